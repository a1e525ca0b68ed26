"""Nothing is shared at module level: two applications live in one process."""

import asyncio
from pathlib import Path

import httpx
import pytest

from app.asgi import Service, create_app
from app.settings import load_settings
from tools.harness.server import SECRET

pytestmark = pytest.mark.anyio


async def test_two_applications_share_nothing(tmp_path: Path) -> None:
    settings = [
        load_settings(jwt_secret=SECRET, event_log_url=f"sqlite:///{tmp_path / name}.db", replica=name)
        for name in ("one", "two")
    ]
    apps = [create_app(each) for each in settings]
    services: list[Service] = [app.state.service for app in apps]
    async with services[0].lifecycle.run(apps[0]), services[1].lifecycle.run(apps[1]):
        clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")  # type: ignore[arg-type] # Litestar is an ASGI application
            for app in apps
        ]
        token = (await clients[0].post("/api/guests", json={"name": "ann"})).json()["token"]
        headers = {"authorization": f"Bearer {token}"}
        game = (await clients[0].post("/api/games", headers=headers)).json()["game_id"]
        answers = await asyncio.gather(*(client.get(f"/api/games/{game}", headers=headers) for client in clients))
        assert [answer.status_code for answer in answers] == [200, 404]
        metrics = [(await client.get("/metrics")).text for client in clients]
        created = 'code_racer_game_transitions_total{to="waiting"} '
        assert [created + "1.0" in text for text in metrics] == [True, False]
        assert ['replica="one"' in text for text in metrics] == [True, False]
        for client in clients:
            await client.aclose()
