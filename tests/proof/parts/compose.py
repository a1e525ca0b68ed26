"""The Compose file, started by podman-compose with stand-ins of its images, and used: all services that can be had.

Podman starts what `depends_on` names without waiting until it is healthy; the test waits.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from app.client.bot import PROBLEM
from app.eventlog.nats import NatsEventLog
from code_racer_client import Api, GameWebSocket
from tests.cluster import checker
from tests.cluster.racing import Racer, read_game
from tests.proof import standins
from tests.proof.backends import COLLECTOR
from tests.proof.built import NotBuiltError, built
from tests.proof.containers import COMMAND_TIMEOUT_S, Engine, engine, eventually, lacks, versions
from tests.proof.record import Record
from tools.harness import fetch
from tools.harness.nats import log_settings
from tools.harness.server import ROOT
from tools.harness.tokens import token

MAY_MISS: Final = ("Grafana", "Loki", "Tempo")
NOT_TO_BE_HAD: Final = frozenset({"grafana", "loki", "tempo"})
PROJECT: Final = "code-racer"
SITE: Final = "https://localhost"
UP_S: Final = 180
TOLD_S: Final = 300
BOTS, IN_A_GAME = 50, 5
RACE_S: Final = 90.0


class Project:
    """The Compose project of a copy of the deployment's files."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        for name in ("deploy", "alerts", "dashboards"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".env", "tls"))
        subprocess.run([folder / "deploy/make-compose-env.sh"], check=True, capture_output=True)
        self._file = folder / "deploy/compose.yaml"
        self.trust = folder / "deploy/compose/tls/ca.crt"
        lines = (folder / "deploy/.env").read_text().splitlines()
        self.secrets = dict(line.split("=", 1) for line in lines)
        whole = yaml.safe_load(self._file.read_text())
        self.services: dict[str, Any] = {
            name: one for name, one in whole["services"].items() if name not in NOT_TO_BE_HAD
        }

    def compose(self, *arguments: str) -> str:
        """Run a command of podman-compose; all that it says."""
        program = Path(sys.executable).with_name("podman-compose")
        done = subprocess.run(
            [program, "--in-pod=0", f"--project-name={PROJECT}", f"--file={self._file}", *arguments],
            env=self.engine.environment, cwd=self._file.parent, capture_output=True, text=True,
            timeout=COMMAND_TIMEOUT_S, check=False,
        )  # fmt: skip
        said = f"{done.stdout}{done.stderr}"
        assert done.returncode == 0, said[-3000:]
        return said

    def container(self, service: str) -> str:
        """The name of a service's container."""
        return f"{PROJECT}_{service}_1"

    def address(self, service: str) -> str:
        """Its address in the project's network."""
        networks = self.engine.inspect(self.container(service))["NetworkSettings"]["Networks"]
        return str(networks[f"{PROJECT}_default"]["IPAddress"])

    def runs(self, service: str) -> bool:
        """Whether its container runs."""
        return bool(self.engine.inspect(self.container(service))["State"]["Running"])

    def is_healthy(self, service: str) -> bool:
        """Whether its check says so, which is run now."""
        return not self.engine.run("healthcheck", "run", self.container(service), fails=True).strip()

    def prometheus(self, path: str) -> Any:
        """What Prometheus answers; nothing while it does not."""
        with contextlib.suppress(httpx.HTTPError):
            return fetch.get(f"http://{self.address('prometheus')}:9090/api/v1/{path}").json()["data"]
        return {}


def prove(record: Record) -> None:
    """Bring it up, use it, restart its racers, let an alert fire, take it down."""
    for name in MAY_MISS:
        record.not_run(name, "its licence and image are not to be had here; its file is held to its reference by tests")
    try:
        why = lacks()
        programs = {"otelcol": built(COLLECTOR), "prometheus": built(standins.PROMETHEUS)}
    except NotBuiltError as error:
        why = str(error)
    if why:
        record.not_run("the Compose file", why)
        return
    with engine() as one, tempfile.TemporaryDirectory() as name:
        for program in versions(one):
            record.started(*program)
        project = Project(one, Path(name))
        _make_images(record, project, programs)
        try:
            _used(record, project)
        finally:
            one.run("rm", "--force", "--time=0", "receiver", fails=True)
            project.compose("down", "--volumes", "--timeout=10")
        left = one.run("ps", "--all", "--quiet") + one.run("volume", "ls", "--quiet")
        record.asked("what is left after `down -v`?", left.strip() or "nothing", held=not left.strip())


def _make_images(record: Record, project: Project, programs: Mapping[str, Path]) -> None:
    one = project.engine
    one.make_base()
    images = {service["image"] for service in project.services.values()}
    (ours,) = (image for image in images if image.startswith("code-racer:"))
    one.build(ROOT / "deploy/Dockerfile", f"localhost/{ours}", ROOT)
    standins.make(one, images - {ours}, programs)
    for image in sorted(images - {ours}):
        name, _, tag = image.rpartition(":")
        record.started(name, f"in place of {tag}", standins.STAND_INS[name].origin)


def _used(record: Record, project: Project) -> None:
    project.compose("up", "--detach", "--no-build", *project.services)
    racers = ("racer-1", "racer-2")
    healthy = eventually(lambda: all(map(project.is_healthy, racers)), UP_S)
    eventually(lambda: all(_is_ready(project, one) for one in racers), UP_S)  # their event log has chosen who leads
    record.asked("do both racers become healthy?", "yes" if healthy else _logs(project, "racer-1"), held=healthy)
    up = eventually(lambda: all(map(project.runs, project.services)) and _answers(project), UP_S)
    down = [service for service in project.services if not project.runs(service)]
    record.asked(
        f"do the {len(project.services)} services run, and does the site answer?",
        f"not {down}: {[_logs(project, one) for one in down]}" if down or not up else "yes",
        held=up and not down,
    )
    _receive(project)
    _raced(record, project)
    _watched(record, project)
    asyncio.run(_restarted(record, project))
    _alerted(record, project)


def _logs(project: Project, service: str) -> str:
    return project.engine.run("logs", "--tail=5", project.container(service), fails=True)[-600:]


def _answers(project: Project) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return fetch.get(f"{SITE}/", verify=str(project.trust)).is_success
    return False


def _receive(project: Project) -> None:
    """Start whoever is called by alerts, under the names that the shipped routes have."""
    names = [f"--network-alias={name}.example.org" for name in ("pager", "tickets", "deadman")]
    options = ("--detach", "--name=receiver", f"--network={PROJECT}_default", *names)
    project.engine.run("run", *options, standins.PROGRAMS, "receiver")


def _raced(record: Record, project: Project) -> None:
    bots = [sys.executable, "-m", "app.client", "--quiet", f"--url={SITE}"]
    environment = os.environ | {"SSL_CERT_FILE": str(project.trust)}
    done = subprocess.run(bots, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=UP_S, check=False)
    record.asked(
        "do two players race through nginx?", (done.stdout or done.stderr).strip()[-300:], held=not done.returncode
    )


def _watched(record: Record, project: Project) -> None:
    wanted = {"code-racer": 2, "code-racer-canary": 1, "code-racer-nats": 3}

    def healths() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for target in project.prometheus("targets").get("activeTargets", ()):
            found.setdefault(target["labels"]["job"], []).append(target["health"])
        return found

    all_up = eventually(lambda: healths() == {job: ["up"] * count for job, count in wanted.items()}, UP_S)
    record.asked("are all targets up?", json.dumps(healths()), held=all_up)
    raced = 'sum(code_racer_canary_races_total{outcome="ok"}) > 0'
    canary = eventually(lambda: bool(_values(project, raced)), UP_S)
    record.asked(
        "does the canary's race through nginx end well?", "yes" if canary else _logs(project, "canary"), held=canary
    )
    rules = [rule for group in project.prometheus("rules")["groups"] for rule in group["rules"]]
    files = (ROOT / "alerts/rules").glob("*.yaml")
    written = sum(len(group["rules"]) for file in files for group in yaml.safe_load(file.read_text())["groups"])
    ill = eventually(lambda: not _ill(project), UP_S)
    record.asked(
        "are all rules loaded, and can each be evaluated?",
        f"{len(rules)} of {written}{'' if ill else f'; ill: {_ill(project)}'}",
        held=len(rules) == written and ill,
    )


def _ill(project: Project) -> list[str]:
    groups = project.prometheus("rules").get("groups", ())
    return [
        rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"
    ]  # "unknown": its group has five minutes


def _values(project: Project, expr: str) -> list[float]:
    answer = project.prometheus(f"query?query={httpx.QueryParams({'q': expr})['q']}")
    return [float(one["value"][1]) for one in answer.get("result", ())]


async def _restarted(record: Record, project: Project) -> None:
    """Each racer is restarted while bots race through nginx; every promise is held against the log."""
    os.environ["SSL_CERT_FILE"] = str(project.trust)
    racers: list[Racer] = []
    for game in range(BOTS // IN_A_GAME):  # as players of a provider: guests are few from one address
        names = [f"bot-{game}-{number}" for number in range(IN_A_GAME)]
        tokens = [token(name, secret=project.secrets["JWT_SECRET"]) for name in names]
        api = Api(SITE, tokens[0])
        wishes = {"problem": PROBLEM, "min_players": IN_A_GAME, "max_players": IN_A_GAME}
        game_id = (await api.create_game(**wishes))["game_id"]
        for name, its in zip(names, tokens, strict=True):
            ws = GameWebSocket(game_id, its, api.ws_url, max_reconnect_attempts=20)
            racers.append(Racer(name, ws, RACE_S))
    races = [asyncio.create_task(racer.race()) for racer in racers]
    began = time.monotonic()
    codes = [await asyncio.to_thread(_restart, project, service) for service in ("racer-1", "racer-2")]
    took_s = time.monotonic() - began
    ends = await asyncio.gather(*races)
    wrong = checker.violations(
        await _log_of(project, {racer.ws.game_id for racer in racers}), [racer.history() for racer in racers]
    )
    reconnects = sum(racer.ws.metrics.reconnect_count for racer in racers)
    unwon = sum(not end["data"]["winner"] for end in ends)
    record.asked(
        f"both racers restarted in turn ({took_s:.0f} s, exit codes {codes}), what do {len(racers)} bots lose?",
        f"{reconnects} reconnects, {unwon} races without a winner, broken promises: {wrong or 'none'}",
        held=not wrong and not unwon and codes == [0, 0] and reconnects >= len(racers) // 2,
    )


def _restart(project: Project, service: str) -> int:
    name = project.container(service)
    project.engine.run("stop", "--time=90", name)
    code = int(project.engine.inspect(name)["State"]["ExitCode"])
    project.engine.run("start", name)
    assert eventually(lambda: project.is_healthy(service) and _is_ready(project, service), UP_S), _logs(
        project, service
    )
    return code


def _is_ready(project: Project, service: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return fetch.get(f"http://{project.address(service)}:9090/readyz").is_success
    return False


async def _log_of(project: Project, games: set[str]) -> list[dict[str, Any]]:
    url = f"nats://{project.address('nats-0')}:4222"
    who = {"nats_user": "code-racer", "nats_password": project.secrets["NATS_PASSWORD"]}
    log = NatsEventLog(log_settings(url, nats_replicas=3, **who), "checker")
    await log.open()
    try:
        return [await read_game(log, game) for game in sorted(games)]
    finally:
        await log.close()


def _alerted(record: Record, project: Project) -> None:
    """The dead man's switch first; then nobody serves, and the pager is called."""

    def told(line: str) -> bool:
        return line in project.engine.run("logs", "receiver")

    alive = eventually(lambda: told("deadman.example.org firing CodeRacerWatchdog"), TOLD_S)
    record.asked("does the dead man's switch reach its receiver?", "yes" if alive else "no", held=alive)
    for service in ("racer-1", "racer-2"):
        project.engine.run("stop", "--time=90", project.container(service))
    began = time.monotonic()
    called = eventually(lambda: told("pager.example.org firing CodeRacerDown"), TOLD_S)
    record.asked(
        "both racers stopped, when is the pager told CodeRacerDown?",
        f"after {time.monotonic() - began:.0f} s" if called else project.engine.run("logs", "receiver")[-300:],
        held=called,
    )
