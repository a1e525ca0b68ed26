"""Every row of the close table, seen from both ends: what the client gets, and what is counted and logged."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode

from app.protocol import CLOSE_TABLE, Close, CloseRow
from app.vocabulary import DisconnectOrder, Initiator, Reconnect
from tools.harness import fetch
from tools.harness.player import Player
from tools.harness.server import ServerProcess, difference, until
from tools.harness.tokens import token

LINGER: dict[str, Any] = {"finished_linger_s": 30}
FIRST_MESSAGE: dict[str, Any] = {"additional_headers": {}, "subprotocols": ["code-racer.v1"]}


@dataclass
class Table:
    """A running server and the player whose end is looked at, already in a game."""

    server: ServerProcess
    player: Player
    game_id: str
    mine: str
    before: dict[str, float]
    """The metrics before the player came."""
    logged: int
    """How often others had been closed for the same."""


Ending = Callable[[Table], None]


@dataclass
class Scene:
    """How a row comes about: what the player does, under which settings, and whether they log in at all."""

    end: Ending
    settings: dict[str, object] = field(default_factory=dict)
    anonymous: bool = False
    ttl_s: float = 600
    seen_by_client: bool = True


def nothing(_: Table) -> None:
    """Time does it."""


def raw(opcode: Opcode, data: bytes) -> Ending:
    def send(table: Table) -> None:
        table.player.ws.socket.sendall(Frame(opcode, data).serialize(mask=True))

    return send


def leave(table: Table) -> None:
    table.player.send("leave")


def close_with(code: int) -> Ending:
    def send(table: Table) -> None:
        table.player.ws.close(code)

    return send


def close_without_code(table: Table) -> None:
    raw(Opcode.CLOSE, b"")(table)


def vanish(table: Table) -> None:
    table.player.drop()


def nonsense(table: Table) -> None:
    for _ in range(11):
        table.player.ws.send("nonsense")


def flood(table: Table) -> None:
    with suppress(ConnectionClosed):  # which may come while we still send
        for number in range(400):
            table.player.send("ping", {"timestamp": number})


def wrong_token(table: Table) -> None:
    table.player.send("auth", {"token": token("ann", -600)})


def log_in(table: Table) -> None:
    table.player.send("auth", {"token": token("late")})


def be_removed(table: Table) -> None:
    url = f"{table.server.http_url}/api/games/{table.game_id}/players/ann"
    answer = fetch.delete(url, headers={"authorization": f"Bearer {token('host')}"})
    assert answer.status_code == 204, answer.text


def be_replaced(table: Table) -> None:
    with Player(table.server, table.game_id, table.mine) as newer:
        newer.until("player_reconnected")


def drain(table: Table) -> None:
    os.kill(table.server.pid, signal.SIGTERM)


def fill_up(table: Table) -> None:
    """The place in the game is taken between the upgrade and the login."""
    with Player(table.server, table.game_id, token("quick")) as quick:
        quick.until("player_joined")
        log_in(table)
        table.player.until_closed()


def finish(table: Table) -> None:
    with Player(table.server, table.game_id, token("host")) as host:
        host.send("ready")
        host.until("game_started")
        host.send("leave")
        host.until_closed()
    log_in(table)


def freeze(table: Table) -> None:
    """A client that is stuck: it answers no ping and reads no close frame."""
    table.player.ws.protocol.send_pong = lambda *_: None  # type: ignore[method-assign] # as above
    table.player.ws.protocol.recv_frame = lambda *_: None  # type: ignore[method-assign] # as above


BY_TIME = {nothing, freeze}
"""On a machine that is busy these may come before the player has joined."""

SCENES: dict[CloseRow, Scene] = {
    Close.NORMAL: Scene(leave),
    Close.GOING_AWAY: Scene(close_with(CloseCode.GOING_AWAY)),
    Close.WIRE_ERROR: Scene(raw(Opcode.CONT, b"x")),
    Close.BINARY: Scene(raw(Opcode.BINARY, b"x")),
    Close.NO_CODE: Scene(close_without_code),
    Close.LOST: Scene(vanish, seen_by_client=False),
    Close.INVALID_UTF8: Scene(raw(Opcode.TEXT, b"\xff")),
    Close.TOO_BIG: Scene(raw(Opcode.TEXT, b"x" * 2000), {"max_message_bytes": 1024}),
    Close.PING_TIMEOUT: Scene(freeze, {"ping_interval_s": 0.2, "ping_timeout_s": 2}, seen_by_client=False),
    Close.DRAINING: Scene(drain),
    Close.AGE: Scene(nothing, {"max_connection_age_s": 1}),
    Close.OVERLOADED: Scene(nothing, {"memory_shed_bytes": 1, "overload_interval_s": 2}),
    Close.PROTOCOL_ERROR: Scene(nonsense),
    Close.AUTH_FAILED: Scene(wrong_token, anonymous=True),
    Close.TOKEN_EXPIRED: Scene(nothing, {"jwt_leeway_s": 0, "token_expiring_notice_s": 0}, ttl_s=5),
    Close.FORBIDDEN: Scene(be_removed),
    Close.NO_SUCH_GAME: Scene(log_in, anonymous=True),
    Close.AUTH_TIMEOUT: Scene(nothing, {"auth_timeout_s": 0.3}, anonymous=True),
    Close.IDLE: Scene(nothing, {"idle_timeout_s": 0.5}),
    Close.REPLACED: Scene(be_replaced),
    Close.GAME_FULL: Scene(fill_up, anonymous=True),
    Close.GAME_OVER: Scene(finish, anonymous=True),
    Close.RATE_LIMITED: Scene(flood, {"messages_per_second": 0.01, "max_rate_limited_per_minute": 50}),
    Close.OTHER: Scene(close_with(4999)),
}

ELSEWHERE = {
    Close.INTERNAL: "tests/e2e/test_faults.py",
    Close.SLOW_CONSUMER: "tests/e2e/test_slow_reader.py",
}
"""Rows that take a stage of their own."""


def test_every_row_has_its_scene() -> None:
    assert set(SCENES) | set(ELSEWHERE) == set(CLOSE_TABLE)
    for row, path in ELSEWHERE.items():
        assert row.reason in (Path(__file__).parents[2] / path).read_text()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The server of the rows that need no settings and leave it running."""
    with ServerProcess(tmp_path_factory.mktemp("lasting"), **LINGER) as server:
        yield server


@contextmanager
def stage(server: ServerProcess, row: CloseRow, scene: Scene) -> Iterator[Table]:
    until(lambda: server.metric("ws_connections") == 0)
    one_place = row in {Close.GAME_FULL, Close.GAME_OVER}
    game_id = server.new_game(token("host"), min_players=1 if one_place else 2, max_players=1 if one_place else 8)
    if row is Close.NO_SUCH_GAME:
        game_id = "7d6d2f0a-0d0b-4b6e-9a53-1d3f4c1b2a00"
    mine = token("ann", scene.ttl_s)
    options = FIRST_MESSAGE if scene.anonymous else {}
    before, logged = server.metrics(), len(server.logged("ws.closed", reason=row.reason))
    with Player(server, game_id, mine, **options) as player:
        if not (scene.anonymous or scene.end in BY_TIME):
            player.until("player_joined", player_id="ann")
        yield Table(server, player, game_id, mine, before, logged)
        player.ws.socket.close()


@pytest.mark.parametrize("row", SCENES, ids=lambda row: f"{row.code}-{row.reason}")
def test_a_row_of_the_close_table(tmp_path: Path, lasting: ServerProcess, row: CloseRow) -> None:
    scene = SCENES[row]
    with ExitStack() as stack:
        server = lasting
        if scene.settings or row is Close.DRAINING:
            server = stack.enter_context(ServerProcess(tmp_path, **LINGER, **scene.settings))
        table = stack.enter_context(stage(server, row, scene))
        scene.end(table)
        if scene.seen_by_client:
            assert table.player.until_closed() == expected(row)
            check_disconnect(table.player, row)
        record = table.server.wait_for_log("ws.closed", reason=row.reason, skip=table.logged)
        assert (record["code"], record["reason"]) == (row.code, row.reason)
        assert record["initiator"] in row.initiators
        if table.server.alive and row is not Close.DRAINING:
            closes = difference(table.before, table.server.metrics(), "code_racer_ws_closes_total")
            labels = f'code="{row.code}",initiator="{record["initiator"]}",reason="{row.reason}"'
            assert closes[f"code_racer_ws_closes_total{{{labels}}}"] == 1


def expected(row: CloseRow) -> tuple[int, str]:
    """What the client's library shows: its own code where the client closed, 1006 where no frame came."""
    if Initiator.SERVER in row.initiators:
        return row.code, row.reason
    return {Close.NO_CODE: (1005, ""), Close.OTHER: (4999, "")}.get(row, (row.code, ""))


def check_disconnect(player: Player, row: CloseRow) -> None:
    """The last message says the same as the close frame, where the server sent one first."""
    told = [message["data"] for message in player.received if message["type"] == "disconnect"]
    if row.disconnect is DisconnectOrder.NONE:
        assert not told
        return
    (data,) = told
    assert player.received[-1]["type"] == "disconnect"
    assert (data["code"], data["reason"]) == (row.code, row.reason)
    assert data["reconnect"] is (row.reconnect not in {Reconnect.NO, Reconnect.NEW_TOKEN})
