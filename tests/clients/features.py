"""Scenarios of the Python client, and what comes of each. The twin of features.mjs: same names, same answers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from math import nan
from typing import Any, Literal

from websockets.asyncio.client import connect

from code_racer_client import Api, ClientError, GameWebSocket, MessageBatcher, Presence, Present, Refused

Network = Callable[[str], Awaitable[None]]
Told = dict[str, Any]


class Scenarios:
    """Each method is one."""

    def __init__(self, url: str, token: str, other: str, gateway: str, network: Network) -> None:
        self._url = url
        self._token = token
        self._other = other
        self._gateway = gateway
        self._network = network
        self.ws: GameWebSocket | None = None

    def _play(self, game_id: str, **options: Any) -> tuple[GameWebSocket, list[str]]:
        async def sleep(seconds: float) -> None:
            await asyncio.sleep(min(seconds, 0.02))  # a backoff need not be sat through

        url = options.pop("url", self._url)
        self.ws = ws = GameWebSocket(game_id, self._token, url, sleep=sleep, **options)
        heard: list[str] = []
        ws.on("player_ready", lambda message: heard.append(message["data"]["status"]))
        return ws, heard

    async def kept(self, game_id: str) -> Told:
        ws, heard = self._play(game_id, queue=100)
        acks: list[str] = []
        ws.on("ack", lambda message: acks.append(message["data"]["id"]))
        await ws.connect()
        await self._network("refuse")
        await _reached(ws, "waiting")
        answers = [
            await _sent(ws, "ready", _ready("ready")),
            await _sent(ws, "progress", {"percent": 5}),
            await _sent(ws, "ready", _ready("not_ready")),
            await _sent(ws, "ping", {"timestamp": 1}),
            await _sent(ws, "ready", _ready("ready")),
        ]
        await self._network("heal")
        await _reached(ws, "open")
        answers.append(await _sent(ws, "ready", _ready("not_ready")))
        await ws.request("ready", _ready("ready"))
        lost = _next(ws, "retry")
        await self._network("cut")
        await lost
        await _reached(ws, "open")
        await ws.request("ready", _ready("not_ready"))
        await asyncio.sleep(0)  # the handler has the last answer too
        return {"answers": answers, "heard": heard, "acks": len(acks)}

    async def bounded(self, game_id: str) -> Told:
        ws, _ = self._play(game_id, queue=2)
        answers = [await _sent(ws, "ready", _ready("ready")) for _ in range(3)]
        await ws.connect()
        await ws.request("ready", _ready("not_ready"))
        await self._network("refuse")
        await _reached(ws, "waiting")
        answers += [await _sent(ws, "ready", _ready("ready")) for _ in range(3)]
        await self._network("heal")
        return {"answers": answers}

    async def unbidden(self, game_id: str) -> Told:
        ws, _ = self._play(game_id)
        return {"answers": [await _sent(ws, "ready", _ready("ready"))]}

    async def dropped(self, game_id: str) -> Told:
        ws, _ = self._play(game_id, queue=1)
        await _sent(ws, "ready", _ready("ready"))
        told = _next(ws, "dropped")
        await self._network("refuse")
        connecting = asyncio.ensure_future(ws.connect())
        await _reached(ws, "waiting")
        await ws.disconnect()
        await asyncio.wait({connecting})
        assert isinstance(connecting.exception(), ClientError)
        await self._network("heal")
        event = await told
        after = await _sent(ws, "ready", _ready("ready"))
        return {"type": event["type"], "data": event["data"], "error": type(event["error"]).__name__, "after": after}

    async def rejected(self, game_id: str) -> Told:
        ws, _ = self._play(game_id, queue=1)
        await _sent(ws, "ready", _ready("steady"))
        told = _next(ws, "dropped")
        await ws.connect()
        return {"code": (await told)["error"].code}

    async def since(self, game_id: str) -> Told:
        ws, _ = self._play(game_id)
        await ws.connect()
        first = await ws.request("ready", _ready("ready")) or 0
        second = await ws.request("ready", _ready("not_ready")) or 0
        answers = [
            await _named(ws.wait_for("player_ready", since=first - 1)),
            await _named(ws.wait_for("player_ready", since=first)),
            await _named(ws.wait_for("player_ready", since=second, timeout_s=0.02)),
            await _named(ws.wait_for("player_ready", since=None, timeout_s=0.02)),
        ]
        coming = asyncio.ensure_future(_named(ws.wait_for("player_ready", since=second)))
        await ws.request("ready", _ready("ready"))
        answers.append(await coming)
        await ws.disconnect()
        answers.append(await _named(ws.wait_for("player_ready", since=second)))
        answers.append(await _named(ws.wait_for("player_ready")))
        return {"answers": answers}

    async def cut_short(self, game_id: str) -> Told:
        ws, _ = self._play(game_id)
        waiting = asyncio.ensure_future(_named(ws.wait_for("game_finished")))
        await ws.connect()
        await ws.disconnect()
        return {"answers": [await waiting]}

    async def debugged(self, game_id: str) -> Told:
        told: list[str] = []
        ws, _ = self._play(game_id, debug=lambda what, details: told.append(f"{what} {details}"))
        await ws.connect()
        with contextlib.suppress(ClientError):
            await ws.request("submit_code", {"code": "SECRET"})
        retry = _next(ws, "retry")
        await self._network("cut")
        event = await retry
        await _reached(ws, "open")
        await ws.disconnect()
        text = "\n".join(told)
        parts = [
            "connecting",
            "waiting",
            "retry",
            "disconnected with",
            "reconnecting",
            "closed",
            "player_joined",
            "'seq':",
        ]
        return {
            "told": [part in text for part in parts],
            "kept": [part in text for part in ("SECRET", self._token, "connection_id")],
            "why": [event["code"], event["detail"]],
        }

    async def measured(self, game_id: str) -> Told:
        ws, _ = self._play(game_id)
        own = asyncio.ensure_future(ws.wait_for("pong"))
        await ws.connect()
        await own
        other = asyncio.ensure_future(ws.wait_for("pong"))
        await asyncio.sleep(0)  # one turn: it waits from now on
        await ws.send_message("ping", {"timestamp": -1e12})
        assert (await other)["data"]["timestamp"] == -1e12
        return {"is_ours": ws.rtt_s is not None and 0 <= ws.rtt_s < 600}

    async def nowhere(self, game_id: str) -> Told:
        self._play(game_id)
        api = Api(self._gateway)
        calls = [
            call
            for one in ("", ".", "..")
            for call in (GameWebSocket(one, self._token, self._url).connect(), api.game(one), api.submission(one, 1))
        ]
        return {"refused": sum([await _fails(call, "is no part of a path") for call in calls])}

    async def unsendable(self, game_id: str) -> Told:
        ws, _ = self._play(game_id)
        await ws.connect()
        batcher = MessageBatcher(ws, 10, 1)
        heard = asyncio.ensure_future(ws.wait_for("pong"))
        batcher.add_message("ping", {"timestamp": 1})
        kind = None
        try:
            batcher.add_message("ready", {"status": object()})
        except TypeError as error:
            kind = type(error).__name__
        await heard
        await batcher.close()
        return {"kind": kind}

    async def mistaken(self, game_id: str) -> Told:
        ws, _ = self._play(game_id)
        times = ("give_up_after_s", "ping_interval_s", "pong_timeout_s", "open_timeout_s")
        options = [{name: value} for name in (*times, "queue", "max_reconnect_attempts") for value in ("3", -1, nan)]
        options += [{name: value} for name in times[1:] for value in (0, 0.099)]
        options += [{"refresh_token": self._token}, {"debug": True}]
        makes = [lambda one=one: self._play(game_id, **one) for one in options]
        sets = [lambda seq=seq: setattr(ws, "last_seq", seq) for seq in ("3", -1, 2.5, nan)]
        least: dict[str, Any] = dict.fromkeys(("give_up_after_s", "queue", "max_reconnect_attempts"), 0)
        taken, _ = self._play(game_id, refresh_token=None, **least, **dict.fromkeys(times[1:], 0.1))
        kinds = list({_raised(call) for call in (*makes, *sets)})
        return {"kinds": kinds, "last": ws.last_seq, "least": str(taken.state)}

    async def unwelcome(self, game_id: str) -> Told:
        ws, _ = self._play(game_id, url=f"{self._url}?chaos=loss_pct:100", open_timeout_s=0.2)
        retry = _next(ws, "retry")
        connecting = asyncio.ensure_future(ws.connect())
        event = await retry
        await ws.disconnect()
        await asyncio.wait({connecting})
        assert isinstance(connecting.exception(), ClientError)
        return {"attempt": event["attempt"]}

    async def present(self, game_id: str) -> Told:
        ws, _ = self._play(game_id)
        seen: list[str] = []
        presence = Presence(ws, lambda players: seen.append(" ".join(map(_shown, players))))
        await ws.connect()
        await ws.wait_for("player_joined", since=0)

        async def until(type: str, step: Awaitable[Any]) -> Any:
            heard = asyncio.ensure_future(ws.wait_for(type, since=ws.last_seq))
            made = await step
            await heard
            return made

        def bob() -> Any:
            headers = {"authorization": f"Bearer {self._other}"}
            return connect(f"{self._url}/ws/{game_id}", additional_headers=headers)

        async def cut(socket: Any) -> None:
            socket.transport.abort()

        socket = await until("player_joined", bob())
        await until("player_ready", socket.send('{"type":"ready","data":{"status":"ready"}}'))
        await until("player_disconnected", cut(socket))
        socket = await until("player_reconnected", bob())
        await until("player_left", socket.send('{"type":"leave","data":{}}'))
        await socket.wait_closed()
        presence.close()
        await ws.request("ready", _ready("ready"))
        return {"seen": seen, "last": [one.player_id for one in presence.players], "bob": presence.get("bob")}

    async def resumed(self, game_id: str) -> Told:
        ws, _ = self._play(game_id)
        joined = _next(ws, "player_joined")
        await ws.connect()
        await joined
        await ws.disconnect()
        again, _ = self._play(game_id)
        again.last_seq = ws.last_seq
        presence = Presence(again)
        welcomed = _next(again, "welcome")
        await again.connect()
        resumed = (await welcomed)["data"]["resumed"]
        return {"resumed": resumed, "players": [one.player_id for one in presence.players]}

    async def asked(self, game_id: str) -> Told:
        api = Api(self._url.replace("ws", "http"))
        guest = await api.guest("Ann")
        api.token = guest["token"]
        made = await api.create_game(min_players=1, problem="running-total")
        shown = await api.game(made["game_id"])
        problems = await api.problems()
        ticket = (await api.ticket())["ticket"]
        self._play(made["game_id"])
        elsewhere = Api(self._gateway)
        refusals = [
            await _refusal(api.game(made["game_id"] + "?x")),
            await _refusal(api.game("00000000" + game_id[8:])),
            await _refusal(api.submission(made["game_id"], 1)),
            await _refusal(api.create_game(min_players=0)),
            await _refusal(Api(api.url).ticket()),
            await _refusal(elsewhere.game(game_id)),
            await _refusal(Api(f"{self._gateway}/waf/").game(game_id)),
            await _refusal(Api(self._gateway, "marked token\n").game(game_id)),
            await _refusal(Api(f"{self._gateway}/moved", api.token).game(game_id)),
        ]
        await self._network("swallow")
        api.timeout_s = 0.05
        late = await _fails(api.problems(), "cannot reach")
        asking = asyncio.ensure_future(api.problems())
        asking.cancel()
        await asyncio.wait({asking})
        await self._network("heal")
        return {
            "names": [
                guest["name"],
                shown["host_id"] == guest["player_id"],
                made["ws_url"].endswith(f"/ws/{made['game_id']}"),
                shown["problem"]["id"],
                len(ticket) > 0,
            ],
            "problems": any(one["id"] == "running-total" for one in problems),
            "refusals": refusals,
            "late": late,
            "given": asking.cancelled(),
            "foreign": await _fails(elsewhere.guest("Ann"), "no Code Racer"),
        }


def _shown(player: Present) -> str:
    return f"{player.player_id}{'+' if player.ready else ''}{'' if player.connected else '?'}"


async def _refusal(call: Awaitable[Any]) -> list[Any] | None:
    try:
        await call
    except Refused as error:
        return ["Refused", error.status, error.reason]
    return None


def _raised(call: Callable[[], object]) -> str | None:
    try:
        call()
    except TypeError as error:
        return type(error).__name__
    return None


async def _fails(call: Awaitable[Any], words: str) -> bool:
    try:
        await call
    except ClientError as error:
        return words in str(error)
    return False


def _ready(status: str) -> dict[str, str]:
    return {"status": status}


def _next(ws: GameWebSocket, type: str) -> "asyncio.Future[Any]":
    future = asyncio.get_running_loop().create_future()
    ws.once(type, future.set_result)
    return future


async def _reached(ws: GameWebSocket, state: str) -> None:
    while ws.state != state:
        await _next(ws, "state")


async def _sent(ws: GameWebSocket, type: str, data: object) -> Literal["sent", "queued", False]:
    try:
        return await ws.send_message(type, data)
    except ClientError:
        return False


async def _named(answer: Awaitable[Any]) -> str:
    try:
        return str((await answer)["data"]["status"])
    except TimeoutError as error:
        return type(error).__name__
    except ClientError:
        return "over"
