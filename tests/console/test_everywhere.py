"""What is done to a player or a game is done by all replicas, and the answer says what each of them did or did not."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from app.aio.fetching import Fetched, FetchFailed
from app.asgi import Service, create_app
from app.console.erasing import Erasure
from app.console.fleet import ReplicaCard
from app.eventlog import LogUnavailable
from app.settings import load_settings
from app.web.console.router import HANDLERS
from app.workers import Share
from tools.harness.server import SECRET

pytestmark = pytest.mark.anyio
OPS_TOKEN = "an-operators-token-of-enough-length-0123456789"
ERASE = "/ops/api/players/ann/erase"
DONE = Erasure("ann", games=2, going_on=["g"], failed=[], stays=["backups"])
AWAY = LogUnavailable("it is away")


class Case(NamedTuple):
    """What comes of it here, and at the other worker; the answer's status and who is missing, or its words."""

    here: Erasure | Exception | None
    there: Fetched | FetchFailed
    status: int
    missing: list[str] | str


def answer(status: int, body: object = None) -> Fetched:
    return Fetched(status, "application/json", msgspec.json.encode(body))


CASES = {
    "both": Case(DONE, answer(200, DONE), 200, []),
    "the other alone knows her": Case(None, answer(200, DONE), 200, []),
    "she is known here alone": Case(DONE, answer(404), 200, []),
    "nobody knows her": Case(None, answer(404), 404, "knows this player"),
    "nobody who answers knows her": Case(None, FetchFailed("silent"), 404, "knows this player; other did not answer"),
    "the other is silent": Case(DONE, FetchFailed("silent"), 200, ["other"]),
    "the log here is away, the other erased": Case(
        AWAY, answer(200, DONE), 200, ["own (its event log is unavailable)"]
    ),
    "the log here is away, the other knows nothing": Case(AWAY, answer(404), 503, "event log is unavailable"),
}


class Worker:
    """One worker of two, of whose other the test says what it answers."""

    def __init__(self, service: Service, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self.service = service
        self.client = client
        self.here: Erasure | Exception | None = None
        self.there: Fetched | FetchFailed = answer(404)
        self.asked: list[float | None] = []
        service.hub.rooms.share = Share(0, 2)
        monkeypatch.setattr(service.console.fleet, "others", self._others)
        monkeypatch.setattr(service.console.fleet, "find", self._find)
        monkeypatch.setattr(service.console.fleet, "call", self._call)
        monkeypatch.setattr(service.console.actions._eraser, "erase", self._erase)

    async def _others(self) -> list[ReplicaCard]:
        return [msgspec.structs.replace(self.service.console.fleet.own, replica="other", instance="other")]

    async def _find(self, name: str) -> ReplicaCard:
        return next(card for card in (self.service.console.fleet.own, *await self._others()) if card.replica == name)

    async def _call(self, _card: ReplicaCard, _asked: object, _whom: object, timeout_s: float | None) -> Fetched:
        self.asked.append(timeout_s)
        if isinstance(self.there, FetchFailed):
            raise self.there
        return self.there

    async def _erase(self, _player_id: str) -> Erasure | None:
        if isinstance(self.here, Exception):
            raise self.here
        return self.here

    async def erase(self, headers: dict[str, str] | None = None, **query: str) -> httpx.Response:
        return await self.client.post(ERASE, json={"reason": "asked to"}, params=query, headers=headers)


@pytest.fixture
async def worker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    given: dict[str, Any] = {
        "ops_token": OPS_TOKEN,
        "event_log_url": "memory:",
        "replica": "own",
        "ops_long_timeout_s": 70,
    }
    app: Any = create_app(load_settings(jwt_secret=SECRET, environment="test", **given))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield Worker(app.state.service, client, monkeypatch)


@pytest.mark.parametrize("name", CASES)
async def test_the_answer_says_what_each_did(name: str, worker: Worker) -> None:
    worker.here, worker.there, status, missing = CASES[name]
    told = await worker.erase()
    assert told.status_code == status, told.text
    if isinstance(missing, str):
        assert missing in told.json()["detail"]
        return
    done = 2 if name == "both" else 1
    assert (told.json()["games"], told.json()["going_on"]) == (2 * done, ["g"] * done)
    assert told.json()["missing"] == missing


async def test_the_others_are_asked_once_for_long_and_not_by_who_is_asked_for_another(worker: Worker) -> None:
    worker.here = DONE
    for replicas in ("", "all"):
        await worker.erase(replicas=replicas)
    assert worker.asked == [70, 70], "an erasure may take as long as the commands wait, less five seconds"
    on_behalf = {"authorization": f"Bearer {OPS_TOKEN}", "x-operator": "kim", "x-operator-right": "act"}
    assert (await worker.erase(on_behalf)).status_code == 200
    assert (await worker.erase(replica="own")).status_code == 200
    worker.service.hub.rooms.share = Share(0, 1)
    assert (await worker.erase()).status_code == 200, "all games are here"
    assert len(worker.asked) == 2


@pytest.mark.parametrize(
    ("method", "path", "waited_s"),
    [
        ("POST", "players/ann/erase?replica=other", 70),
        ("GET", "hot?replica=other&over_s=60", 70),
        ("GET", "hot?replica=other", None),
        ("GET", "replica?replica=other", None),
    ],
)
async def test_one_is_asked_for_as_long_as_it_may_take(
    method: str, path: str, waited_s: float | None, worker: Worker
) -> None:
    worker.there = answer(200, {})
    told = await worker.client.request(method, f"/ops/api/{path}", json={"reason": "asked to"})
    assert (told.status_code, worker.asked) == (200, [waited_s])


def test_what_handlers_say_of_themselves_is_read_by_somebody() -> None:
    for handler in HANDLERS:
        assert handler.opt.keys() <= {"right", "takes_long", "is_own_alone", "names_game"}, handler.handler_name
