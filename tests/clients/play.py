"""Plays rows of tests/clients/table, many side by side. The twin of tests/node/play.mjs.

A line in is a row; a line out is what was told of it, or what the network is to do next. What belongs to a row is told
by the context: its tasks, its timers, its sockets. A row is over when nothing of it is left.
"""

import asyncio
import contextlib
import functools
import gc
import json
import logging
import socket
import sys
import threading
import time
import warnings
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from websockets.asyncio.client import connect

from code_racer_client import ClientError, GameWebSocket, MessageBatcher, Refused, connection, sleep
from tests.clients.given import Counted, Event, ThrowingMetrics
from tests.clients.left import sockets_to

FOR_EVER: Final = 3_600.0
SHORT_S: Final = 0.02
PATIENCE_S: Final = 10.0
WATCH_S: Final = 0.25
"""How often the clock of the machine's sleep is looked at, which stands still but for what rows tell."""

_current: ContextVar["Play | None"] = ContextVar("row", default=None)
_slept_s = [0.0]
"""How long the machine has slept, as told by a row."""
_loose: list[str] = []
"""What went wrong and can be said of no row."""


def say(**what: Any) -> None:
    """One line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Play:
    """One row: a client, what its handlers do, and what is told of it."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.told: dict[str, Any] = {
            **dict.fromkeys(("sockets", "readies"), 0),
            **{
                name: []
                for name in ("heard", "faults", "logged", "loose", "ends", "waits", "whys", "answers", "seqs", "errors")
            },
            **{name: [] for name in ("tries", "opens")},
        }
        self.tasks: set[asyncio.Task[Any]] = set()
        self.calls: set[asyncio.Task[Any]] = set()
        self.connecting: asyncio.Task[None] | None = None
        self.changed = asyncio.Event()
        self.networked = asyncio.Event()
        self._goes_on = asyncio.Event()
        self._read = 0
        self._asked = 0
        self._is_over = False
        self._acts: dict[str, int] = {}
        self.ws = self._client()
        self._batcher = MessageBatcher(self.ws)

    def _client(self) -> GameWebSocket:
        row = self.row
        options = {"open_timeout_s": 20, "pong_timeout_s": 5, **row["options"]}
        if row.get("metrics"):
            options["metrics"] = ThrowingMetrics()
        if row.get("fresh"):
            options["refresh_token"] = self._refresh
        ws = Counted(row["game_id"], row["token"], row["url"], sleep=self._sleep, **options)
        ws.count = self._count
        for type in ("state", "retry", "end", "welcome", "player_ready", "pong", "token_expiring"):
            ws.on(type, functools.partial(self._hear, type))
        ws.on("end", lambda end: self.told["ends"].append([end["code"], end["reason"], end["detail"]]))
        ws.on("retry", self._retry)
        ws.on("error", lambda error: self.told["errors"].append(error["data"].get("code")))
        if row.get("hears_faults") != "no":
            ws.on("fault", self._fault)
        return ws

    def _retry(self, wait: Event) -> None:
        self.told["waits"].append([wait["delay_s"], wait["attempt"]])
        self.told["whys"].append([wait["code"], wait["reason"], wait["detail"]])

    def _count(self, message: Event) -> None:
        if "seq" in message:
            self.told["seqs"].append(message["seq"])
        self.told["readies"] += message["type"] == "player_ready"

    def _fault(self, fault: Event) -> None:
        self.told["faults"].append(f"{fault['type']}: {fault['error']}")
        if self.row.get("hears_faults") == "badly":
            raise ValueError("and another")

    async def _sleep(self, delay_s: float) -> None:
        waits_s = FOR_EVER if self.row.get("waits_stay") else min(delay_s, self.row.get("waits_at_most_s", SHORT_S))
        await asyncio.sleep(waits_s)  # the backoff

    async def _refresh(self) -> str:
        fresh: str = self.row["fresh"].pop(0)
        if fresh == "no network":
            raise OSError("the network is away")
        if fresh == "logged out":
            raise Refused(401, "logged out")
        if fresh == "never":
            await asyncio.sleep(FOR_EVER)  # the identity provider
        if fresh == "late":
            await self.ws.wait_for("pong")
            fresh = "marked.late.token"
        if fresh == "slow":
            await self.ws.wait_for("pong")
            fresh = self.row["token"]
        if fresh == "disconnect":
            await self.ws.disconnect()
        return fresh

    # ---------------------------------------------------------------- handlers

    def _hear(self, type: str, event: Event) -> Coroutine[Any, Any, None] | None:
        """A handler was called: it misbehaves, the first times."""
        name = event.get("state", type)
        self._note(name)
        act = self.row["handlers"].get(name)
        of = type if type == "state" else name
        self._acts[of] = self._acts.get(of, 0) + (act is not None)
        if act is None or self._is_over or self._acts[of] > self.row.get("times", 1):
            return None
        if act == "throw":
            raise ValueError("the application's own")
        return self._act(act)

    def _note(self, name: str) -> None:
        if name == "open":
            self.told["opens"].append(time.time())
        self.told["heard"].append(name)
        self.changed.set()

    async def _act(self, act: str) -> None:
        with contextlib.suppress(ClientError):
            if act == "reject":
                raise ValueError("the application's own")
            if act == "never":
                await asyncio.sleep(FOR_EVER)  # never returns
            if act.startswith("disconnect"):
                await self.ws.disconnect()
            if act.endswith("connect") and act != "disconnect":
                await self.ws.connect()
            if act == "request when told":
                await self._goes_on.wait()
                await self._ask()
            if act in {"request", "send", "ask"}:
                await (self._call(act) or asyncio.sleep(0))

    # ---------------------------------------------------------------- steps

    async def _ask(self, timeout_s: float | None = None, data: object = None, id: str | None = None) -> None:
        try:
            await self.ws.request("ready", data or self._status, timeout_s=timeout_s, id=id)
            answer = "seq"
        except TimeoutError:
            answer = "timeout"
        except asyncio.CancelledError:
            self.told["answers"].append("given up")
            raise
        except TypeError:
            answer = "unsendable"
        except ClientError:
            answer = "ended"
        self.told["answers"].append(answer)
        self._note("answered")

    @property
    def _status(self) -> dict[str, str]:
        """Another each time: the same again is no event."""
        self._asked += 1
        filler = "x" * self.row.get("filler", 0)
        return {"status": "ready" if self._asked % 2 else "not_ready", "filler": filler}

    async def _ask_twice(self) -> None:
        for _ in range(2):
            self.calls.add(asyncio.create_task(self._ask(id="one"), name="call ask"))

    async def _give_up(self) -> None:
        asking = asyncio.create_task(self._ask(), name="asks and gives up")
        await asyncio.sleep(0)  # one turn, in which it asks
        asking.cancel()
        await asyncio.wait({asking})

    async def _send(self, type: str, data: object) -> None:
        try:
            answer = str(await self.ws.send_message(type, data))
        except ClientError:
            answer = "not sent"
        if type != "ping":
            self.told["answers"].append(answer)

    async def _send_ready(self) -> None:
        await self._send("ready", self._status)

    async def _set_last_seq(self) -> None:
        self.ws.last_seq = 0

    async def _jump(self) -> None:
        _slept_s[0] += 3_600

    async def _go_on(self) -> None:
        self._goes_on.set()

    async def _batch(self, type: str, data: object) -> None:
        self._batcher.add_message(type, data)

    async def _connect(self) -> None:
        with contextlib.suppress(ClientError):  # told by events
            await self.ws.connect()

    async def _cancel(self) -> None:
        if self.connecting is not None:
            self.connecting.cancel()
            await asyncio.wait({self.connecting})

    async def _turn(self) -> None:
        """Until an attempt that is under way has come to something, but not for ever."""
        for _ in range(50):
            await asyncio.sleep(SHORT_S / 4)  # nothing depends on what happens meanwhile
            if not self.ws.state.endswith("connecting"):
                return

    async def _opened(self) -> None:
        while not self.ws.is_connected:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)  # nobody is told of it

    async def _once_and_off(self) -> None:
        def off(_: Event) -> None:
            self.told["answers"].append("off")

        self.ws.once("pong", lambda _: self.told["answers"].append("once"))
        self.ws.once("pong", off)
        self.ws.off("pong", off)
        self.ws.on("pong", off)
        self.ws.off("pong", off)

    def _call(self, step: str) -> Coroutine[Any, Any, None] | None:
        """What a step calls, to be waited for; None: it goes on beside the next ones."""
        calls: dict[str, Any] = {
            "disconnect": self.ws.disconnect,
            "request": self._ask,
            "request in 20 ms": functools.partial(self._ask, SHORT_S),
            "request given up": self._give_up,
            "request twice with one id": self._ask_twice,
            "request of what cannot be sent": functools.partial(self._ask, data=object()),
            "send": self._send_ready,
            "nothing has come": self._set_last_seq,
            "jump": self._jump,
            "ping": functools.partial(self._send, "ping", {"timestamp": 1}),
            "batch a ping": functools.partial(self._batch, "ping", {"timestamp": 1}),
            "turn": self._turn,
            "once and off": self._once_and_off,
            "cancel connect": self._cancel,
            "opened": self._opened,
            "go on": self._go_on,
        }
        if step in calls:
            return calls[step]()  # type: ignore[no-any-return] # they are coroutine functions all
        call = asyncio.create_task(self._connect() if step == "connect" else self._ask(), name=f"call {step}")
        self.calls.add(call)
        if step == "connect":
            self.connecting = call
        return None

    async def _heard(self, name: str) -> None:
        """What is heard next of this name, after what the steps before have waited for."""
        while name not in self.told["heard"][self._read :]:
            self.changed.clear()
            await self.changed.wait()
        self._read = self.told["heard"].index(name, self._read) + 1

    async def play(self) -> None:
        """From the first step until nothing is left."""
        for step in self.row["steps"]:
            if "network" in step:
                self.networked.clear()
                say(id=self.row["id"], network=step["network"])
                await self.networked.wait()
            elif "calls" in step:
                await self._call_all(step["calls"])
            else:
                await self._heard(step["hears"])
        if self.row.get("is_random"):
            await self._end()
        await self._settle()
        self.told["state"] = str(self.ws.state)
        say(id=self.row["id"], told=self.told)

    async def _call_all(self, calls: list[str]) -> None:
        waits = {asyncio.create_task(call, name="call") for call in map(self._call, calls) if call is not None}
        self.calls |= waits
        if waits and (calls == ["turn"] or not self.row.get("is_random")):
            await asyncio.wait(waits)
        await asyncio.sleep(0)

    async def _end(self) -> None:
        """The application has done with it."""
        self._is_over = True
        for call in self.calls:
            call.cancel()
        await asyncio.gather(*self.calls, return_exceptions=True)
        await self.ws.disconnect()

    async def _settle(self) -> None:
        late = time.monotonic() + PATIENCE_S
        while self.left and time.monotonic() < late:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)  # for the other side of a socket to notice
        self.told["left"] = self.left
        for call in self.calls:
            if call.done() and not call.cancelled() and call.exception() is not None:
                self.told["loose"].append(repr(call.exception()))

    @property
    def left(self) -> list[str]:
        """What there still is of the row."""
        loop, us = asyncio.get_running_loop(), asyncio.current_task()
        tasks = [f"task {task.get_name()}" for task in self.tasks if not task.done() and task is not us]
        timers = [
            f"timer {handle}"
            for handle in loop._scheduled  # type: ignore[attr-defined] # asyncio tells it in no other way
            if not handle.cancelled() and handle._context.get(_current) is self
        ]
        sockets = [] if tasks or timers else ["socket"] * sockets_to(urlsplit(self.row["url"]).port)
        return [*tasks, *timers, *sockets]


def _look_up_none(*_: Any, **__: Any) -> Any:
    """As `socket.getaddrinfo` where no name can be found."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _connect_counted(url: str, **options: Any) -> Any:
    play = _current.get()
    assert play is not None
    play.told["sockets"] += 1
    play.told["tries"].append(time.time())
    if "filler" in play.row:
        options |= {"sock": _narrow(urlsplit(url)), "write_limit": 1}
    return connect(url, **options)


def _narrow(url: SplitResult) -> socket.socket:
    """A socket that takes little at a time: who sends much has to wait."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    one.connect((url.hostname, url.port))
    one.setblocking(False)
    return one


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    play = _current.get()
    if play is not None:
        play.tasks.add(task)
        task.add_done_callback(play.tasks.discard)
    return task


class _Logged(logging.Handler):
    """The client's logger, a row at a time: what is an error."""

    def emit(self, record: logging.LogRecord) -> None:
        play = _current.get()
        assert play is not None
        assert isinstance(record.args, tuple)
        error = record.exc_info[1] if record.exc_info else None
        play.told["logged"].append(f"{record.args[0]}: {error}")


async def _begin(row: dict[str, Any], plays: dict[int, Play]) -> None:
    play = Play(row)
    _current.set(play)
    plays[row["id"]] = play
    await play.play()
    del plays[row["id"]]


async def main() -> None:
    """Until nothing more comes."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[str]()
    loop.set_task_factory(_make_task)
    loop.set_exception_handler(lambda _, context: _loose.append(str(context)))
    connection.connect = _connect_counted  # type: ignore[assignment, attr-defined] # to count them
    sleep.WATCH_S, sleep.now = WATCH_S, lambda: _slept_s[0]  # type: ignore[misc, attr-defined]
    look_up = socket.getaddrinfo
    logging.getLogger("code_racer_client").addHandler(_Logged(logging.ERROR))
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, *_: _loose.append(str(message))

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    plays: dict[int, Play] = {}
    playing: set[asyncio.Task[None]] = set()
    while line := await lines.get():
        said = json.loads(line)
        if "names" in said:
            socket.getaddrinfo = _look_up_none if said["names"] == "gone" else look_up
        elif said.get("done"):
            plays[said["id"]].networked.set()
        else:
            task = asyncio.create_task(_begin(said, plays), name=f"row {said['id']}")
            playing.add(task)
            task.add_done_callback(playing.discard)
    gc.collect()  # an error that nobody has heard of is complained of now
    await asyncio.sleep(0)
    if _loose:
        say(loose=_loose)


asyncio.run(main())
