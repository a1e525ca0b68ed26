"""The game's WebSocket is a handler of the application, and the short way to it answers the same."""

from typing import Any, Final

import pytest
from litestar.datastructures import Headers

from app.asgi import create_app
from app.settings import load_settings
from app.web.asked import UpgradeHeaders
from app.web.handshake.endpoint import GameSockets
from tools.harness.server import SECRET
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio
NOBODYS: Final = "0b1f7a52-1d2c-4b4e-9c55-0a8a3f1f9f00"
GOOD: Final = f"Bearer {token('ann')}".encode()


def scope(path: str, authorization: bytes) -> dict[str, Any]:
    """An upgrade as uvicorn passes it on."""
    return {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws", "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "subprotocols": [], "extensions": {},
        "headers": [(b"host", b"localhost"), (b"authorization", authorization)],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip


async def answer(application: Any, asked: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """The status, the headers and the body of a refusal."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(asked, receive, send)
    start, body = sent
    return start["status"], sorted(start["headers"]), body["body"]


@pytest.mark.parametrize(
    ("game", "authorization", "status"), [(NOBODYS, GOOD, 404), (NOBODYS, b"Bearer x", 401), ("no!", GOOD, 400)]
)
async def test_litestars_way_and_the_short_one_answer_alike(game: str, authorization: bytes, status: int) -> None:
    app: Any = create_app(load_settings(jwt_secret=SECRET, event_log_url="memory:"))
    async with app.state.service.lifecycle.run(app):
        answers = [
            await answer(one, scope(f"/ws/{game}", authorization))
            for one in (app, GameSockets(app, app.state.handshakes))
        ]
    assert answers[0] == answers[1]
    assert answers[0][0] == status, answers[0]


async def test_what_is_no_games_is_refused_before_litestar() -> None:
    app: Any = create_app(load_settings(jwt_secret=SECRET, event_log_url="memory:"))
    status, _, body = await answer(GameSockets(app, app.state.handshakes), scope("/elsewhere", GOOD))
    assert (status, b"no_such_path" in body) == (404, True)


def test_the_headers_of_an_upgrade_are_read_as_litestar_reads_them() -> None:
    raw = [(b"authorization", b"Bearer a"), (b"origin", b"\xe9"), (b"authorization", b"Bearer b"), (b"via", b"")]
    ours, theirs = UpgradeHeaders(raw), Headers(raw)
    for name in ("authorization", "origin", "via", "host"):
        assert ours.get(name) == theirs.get(name), name
        assert ours.getall(name, []) == theirs.getall(name, []), name
