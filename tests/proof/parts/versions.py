"""Two versions on one event log: an upgrade, a rollback and an upgrade again while bots race, on NATS and on SQLite.

The other version is the last release's tag, or, as long as there is none, the commit `BEFORE_RELEASES`. The checker of
chaos decides: each bot has seen every event of its race once and in order, and each race has one winner.
"""

import asyncio
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from app.eventlog.sqlite import SqliteEventLog
from tests.cluster.chaos import read_log
from tests.cluster.checker import violations
from tests.cluster.racing import SETTINGS, Racer, enter, race, read_game
from tests.proof.record import Record
from tools.harness.nats import Nats
from tools.harness.proxy import FaultProxy
from tools.harness.server import ROOT, ServerProcess, free_port

BEFORE_RELEASES: Final = "102b7465d56cbea51e6c1ad75c82fda5f097e714"
GAMES: Final = 6
RACE_S: Final = 45.0
BETWEEN_S: Final = 4.0
"""For so long two versions race together."""
NO_HISTORY: Final = "the other version"
MAY_MISS: Final = (NO_HISTORY,)


def prove(record: Record) -> None:
    """Unpack the other version, and race over both logs while versions change."""
    name = _git("describe", "--tags", "--abbrev=0").decode().strip() or BEFORE_RELEASES
    archive = _git("archive", "--format=tar", name)
    if not archive:
        record.not_run(NO_HISTORY, f"this clone does not hold {name}")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(folder / "other", filter="data")
        for kind, version in (
            ("the other version", name[:8]),
            ("this version", _git("rev-parse", "HEAD").decode()[:8]),
        ):
            record.started(f"code-racer, {kind}", version, "this repository")
        for title, way in (("NATS, two replicas", _on_nats), ("SQLite, one process", _on_sqlite)):
            found, told = way(folder / title.partition(",")[0], folder / "other")
            said = "; ".join(found[:5]) or f"0 violations: {told}"
            record.asked(f"is anything lost over upgrade, rollback, upgrade ({title})?", said, held=not found)


def _git(*arguments: str) -> bytes:
    """What it answers; nothing where it refuses."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False).stdout


def _on_nats(folder: Path, other: Path) -> tuple[list[str], str]:
    with Nats(folder / "nats", 1) as nats:
        settings = dict(SETTINGS, event_log_url=nats.url, replica_ttl_s=5)
        replicas = [
            ServerProcess(folder / f"r{one}", replica=f"r{one}", port=free_port(), **settings) for one in (1, 2)
        ]
        racers = _raced(replicas, other)
        logs = asyncio.run(read_log(nats.url, {racer.ws.game_id for racer in racers}, 1))
    return violations(logs, [racer.history() for racer in racers]), _told(logs, racers)


def _on_sqlite(folder: Path, other: Path) -> tuple[list[str], str]:
    file = folder / "code-racer.db"
    server = ServerProcess(folder, port=free_port(), **dict(SETTINGS, event_log_url=f"sqlite:///{file}"))
    racers = _raced([server], other)
    logs = asyncio.run(_read_file(file, {racer.ws.game_id for racer in racers}))
    return violations(logs, [racer.history() for racer in racers]), _told(logs, racers)


async def _read_file(file: Path, games: set[str]) -> list[dict[str, Any]]:
    log = SqliteEventLog(file, must_exist=True)
    await log.open()
    try:
        return [await read_game(log, game) for game in sorted(games)]
    finally:
        await log.close()


def _raced(replicas: Sequence[ServerProcess], other: Path) -> list[Racer]:
    """All begin as the other version; then each changes in turn, three times over, while the bots race."""
    try:
        for one in replicas:
            one.code = other
            one.start()
            one.until_ready()
        with FaultProxy(*(int(one.settings["PORT"]) for one in replicas)) as door:
            return asyncio.run(_race(f"http://127.0.0.1:{door.port}", lambda: _changed(replicas, (ROOT, other, ROOT))))
    finally:
        for one in replicas:
            one.kill()


async def _race(url: str, meanwhile: Callable[[], Awaitable[None]]) -> list[Racer]:
    racers = await enter(url, RACE_S, GAMES)
    await race(racers, meanwhile())
    return racers


async def _changed(replicas: Sequence[ServerProcess], versions: Sequence[Path]) -> None:
    for version in versions:
        for one in replicas:
            await asyncio.sleep(BETWEEN_S)  # the versions that there are race together
            await asyncio.to_thread(one.stop)
            one.code = version
            await asyncio.to_thread(one.start)


def _told(logs: Sequence[dict[str, Any]], racers: Sequence[Racer]) -> str:
    events = sum(len(game["events"]) for game in logs)
    return (
        f"{len(racers)} bots in {len(logs)} races, {events} events, {sum(len(one.acks) for one in racers)} acknowledged"
    )
