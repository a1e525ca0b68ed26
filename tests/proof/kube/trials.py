"""What is asked of the service on the node: how it starts, moves its players, ends, and what the probes make of it."""

import asyncio
import calendar
import contextlib
import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from app.client.bot import PROBLEM
from app.eventlog.nats import NatsEventLog
from code_racer_client import GameWebSocket
from tests.cluster import checker
from tests.cluster.racing import Racer, read_game
from tests.proof.kube import workload
from tests.proof.kube.plane import Plane, RefusedError
from tests.proof.kube.workload import NATS_ADDRESS, NATS_MAX_BYTES, NATS_PASSWORD, SPACE
from tools.harness import fetch
from tools.harness.nats import log_settings
from tools.harness.processes import freeze
from tools.harness.server import until
from tools.harness.tokens import token

NAME: Final = "code-racer"
GAMES, PLAYERS = 25, 4
RACE_S: Final = 60.0
WAIT_S: Final = 300.0
PRE_STOP_S: Final = 5
FROZEN_S: Final = 90
"""A process that stands still has ended before the grace of one that drains is over."""
GATED: Final[dict[str, dict[str, str]]] = {
    "overload": {"OVERLOAD_LAG_S": "0.000001"},
    "signing_keys": {"JWT_JWKS_URL": "https://10.96.0.51/keys"},
}
"""Settings with which a replica is never ready, by the gate that tells it."""
PAUSE_S: Final = 20.0
"""For longer than the readiness probe needs to fail, if it were to."""


class Told(Protocol):
    """What answers are told to: a record, or what passes them on to one."""

    def asked(self, question: str, answer: str, *, held: bool = True) -> None:
        """One of them."""


class Trials:
    """Those of one plane."""

    def __init__(self, plane: Plane, record: Told) -> None:
        self._plane = plane
        self._record = record

    def all(self) -> None:
        """One after the other."""
        self.start()
        asyncio.run(self.roll())
        self.stop()
        self.evict()
        self.lose_log()
        self.keep_who_is_ready()
        self.freeze()

    # ---------------------------------------------------------------- what the cluster tells

    def _get(self, *arguments: str) -> Any:
        return self._plane.get("-n", SPACE, *arguments)

    def _do(self, *arguments: str, given: str | None = None) -> str:
        return self._plane.kubectl("-n", SPACE, *arguments, given=given)[0]

    def _pods(self) -> list[dict[str, Any]]:
        pods = self._get("pods", "-l", f"app.kubernetes.io/name={NAME}")["items"]
        return [one for one in pods if "deletionTimestamp" not in one["metadata"]]

    def _ready(self) -> list[str]:
        """The names of the pods that are ready."""
        return [
            one["metadata"]["name"]
            for one in self._pods()
            for each in one["status"].get("conditions", ())
            if each["type"] == "Ready" and each["status"] == "True"
        ]

    def _endpoints(self) -> dict[str, dict[str, bool]]:
        """The conditions of each pod behind the Service, by name."""
        slices = self._get("endpointslices", "-l", f"kubernetes.io/service-name={NAME}")["items"]
        each = [one for part in slices for one in part["endpoints"] or ()]
        return {one["targetRef"]["name"]: one["conditions"] for one in each}

    def _restarts(self) -> int:
        return sum(each["restartCount"] for one in self._pods() for each in one["status"]["containerStatuses"])

    def _unhealthy(self, text: str) -> int:
        """How many events tell of a probe that failed."""
        events = self._get("events", "--field-selector=reason=Unhealthy")["items"]
        return sum(one.get("count") or 1 for one in events if text in one["message"])

    # ---------------------------------------------------------------- trials

    def start(self) -> None:
        """Wait for two replicas that are ready: the autoscaler's least, as the Deployment says no number."""
        began = time.monotonic()
        until(lambda: len(self._ready()) == 2, WAIT_S)
        answer = f"2 replicas ready {time.monotonic() - began:.0f} s later, {self._restarts()} restarts; "
        answer += f"the startup probe failed {self._unhealthy('Startup probe failed')} times before it passed"
        held = self._restarts() == 0 and self._unhealthy("Liveness probe failed") == 0
        self._record.asked(
            "does the kubelet start it, by its probes, as many as the autoscaler's least?", answer, held=held
        )

    async def roll(self) -> None:
        """A rolling update under a hundred bots."""
        url = f"{self._get('service', NAME)['spec']['clusterIP']}:80"
        racers = []
        for game in range(GAMES):
            game_id = await asyncio.to_thread(_new_game, f"http://{url}")
            for player in range(PLAYERS):
                name = f"bot-{game}-{player}"
                ws = GameWebSocket(game_id, token(name), f"ws://{url}", max_reconnect_attempts=50)
                racers.append(Racer(name, ws, RACE_S))
        races = [asyncio.create_task(racer.race()) for racer in racers]
        await asyncio.to_thread(until, lambda: all(racer.events for racer in racers), WAIT_S)
        began = time.monotonic()
        await asyncio.to_thread(self._roll)
        took_s = time.monotonic() - began
        ends = await asyncio.gather(*races, return_exceptions=True)
        broken = [repr(end) for end in ends if isinstance(end, BaseException)]
        wrong = checker.violations(
            await _logs({racer.ws.game_id for racer in racers}), [one.history() for one in racers]
        )
        reconnects = sum(racer.ws.metrics.reconnect_count for racer in racers)
        refused = sum(racer.ws.metrics.error_count for racer in racers)
        answer = f"{len(ends) - len(broken)} of {len(racers)} bots raced to the end, {len(wrong)} promises broken; both"
        answer += (
            f" replicas replaced in {took_s:.0f} s; {reconnects} reconnections, after {refused} losses and refusals"
        )
        answer += "".join(f"; {one}" for one in (broken + wrong)[:3])
        question = "does a rolling update under a hundred racing bots lose anything?"
        self._record.asked(question, answer, held=not broken and not wrong and reconnects > 0)

    def _roll(self) -> None:
        self._do("rollout", "restart", f"deployment/{NAME}")
        self._do("rollout", "status", f"deployment/{NAME}", f"--timeout={WAIT_S:.0f}s")

    def stop(self) -> None:
        """One pod is deleted: preStop, SIGTERM, the drain, exit 0; and the Service leads elsewhere meanwhile."""
        until(lambda: len(self._ready()) == 2, WAIT_S)
        name = self._ready()[0]
        log = subprocess.Popen(self._command("logs", "-f", "--timestamps", name), stdout=subprocess.PIPE, text=True)
        seen = subprocess.Popen(self._command("get", "pod", name, "-w", "-o", _EXIT), stdout=subprocess.PIPE, text=True)
        deleted = time.time()
        self._do("delete", "pod", name, "--wait=false")
        until(lambda: self._endpoints().get(name, {}).get("ready") is not True, WAIT_S)
        left = time.time()
        until(lambda: name not in {one["metadata"]["name"] for one in self._get("pods")["items"]}, WAIT_S)
        gone = time.time()
        lines, _ = log.communicate(timeout=WAIT_S)
        seen.terminate()
        codes = set(re.findall(r"exit=(\d+)", seen.communicate()[0]))
        drains = [at for at, event in _events(lines) if event == "app.draining"]
        waited = drains[0] - deleted if drains else -1.0
        answer = (
            f"out of the Service after {left - deleted:.1f} s, drain after {waited:.1f} s (preStop: {PRE_STOP_S} s), "
        )
        answer += f"exit {', '.join(codes) or 'unknown'}, gone after {gone - deleted:.0f} s of the 90 that it has"
        question = "a pod is deleted: preStop, SIGTERM, drain, exit, in this order?"
        held = left - deleted < waited and waited >= PRE_STOP_S - 0.5 and codes == {"0"}
        self._record.asked(question, answer, held=held)

    def _command(self, *arguments: str) -> list[str]:
        return ["kubectl", f"--kubeconfig={self._plane.kubeconfig}", "-n", SPACE, *arguments]

    def evict(self) -> None:
        """Both replicas are to go at once: the budget lets one."""
        until(lambda: len(self._ready()) == 2 == len(self._pods()), WAIT_S)
        until(lambda: self._get("pdb", NAME)["status"]["disruptionsAllowed"] == 1, WAIT_S)
        answers = [self._evicted(name) for name in self._ready()]
        question = "both replicas are evicted at once: does the budget let one?"
        self._record.asked(question, "; ".join(answers), held=answers[0] == "yes" and "disruption budget" in answers[1])
        until(lambda: len(self._ready()) == 2 == len(self._pods()), WAIT_S)

    def _evicted(self, name: str) -> str:
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": SPACE}}
        try:
            path = f"/api/v1/namespaces/{SPACE}/pods/{name}/eviction"
            self._do("create", "--raw", path, "-f", "-", given=json.dumps(eviction))
        except RefusedError as refused:
            return str(refused)
        return "yes"

    def lose_log(self) -> None:
        """NATS goes: who runs stays ready and is not restarted, who starts meanwhile is not ready until it is back."""
        before = self._restarts()
        self._do("scale", "deployment/nats", "--replicas=0")
        until(lambda: not self._get("pods", "-l", "app.kubernetes.io/name=nats")["items"], WAIT_S)
        old = self._ready()
        self._do("delete", "pod", old[0], "--wait=false")
        until(lambda: len(self._pods()) == 2 and self._unhealthy("Readiness probe failed") > 0, WAIT_S)
        is_ready = _stays(lambda: self._ready() == [old[1]])
        self._do("scale", "deployment/nats", "--replicas=1")
        began = time.monotonic()
        until(lambda: len(self._ready()) == 2, WAIT_S)
        answer = f"the one that ran stayed ready and the one that started stayed unready: {is_ready}; both ready"
        answer += f" {time.monotonic() - began:.0f} s after NATS was wanted again; {self._restarts() - before} restarts"
        self._record.asked(
            "NATS is away: what do the probes make of it?", answer, held=is_ready and self._restarts() == before
        )

    def keep_who_is_ready(self) -> None:
        """What `/readyz` can say besides: a rollout of replicas that never get ready ends nobody's."""
        for gate, settings in GATED.items():
            self._roll_in_vain(gate, settings)

    def _roll_in_vain(self, gate: str, settings: dict[str, str]) -> None:
        old = sorted(self._ready())
        failed = self._unhealthy("Readiness probe failed")
        workload.run(self._plane, READY_GATES=gate, **settings)
        until(lambda: len(self._pods()) == 3 and self._unhealthy("Readiness probe failed") > failed, WAIT_S)
        held = _stays(lambda: sorted(self._ready()) == old) and self._restarts() == 0
        workload.run(self._plane)
        until(lambda: len(self._pods()) == 2 == len(self._ready()), WAIT_S)
        answer = "never ready, and both old ones stay" if held else "it is, or was started again"
        question = f"a rollout with READY_GATES={gate} and {settings}: is the new replica ready?"
        self._record.asked(question, answer, held=held and sorted(self._ready()) == old)

    def freeze(self) -> None:
        """A process stands still: the liveness probe fails, and the kubelet starts another."""
        pod = self._pods()[0]
        freeze(_process_of(pod["metadata"]["uid"]))
        frozen = time.monotonic()
        until(lambda: len(self._ready()) == 1, WAIT_S)
        unready_s = time.monotonic() - frozen
        until(lambda: self._restarts() == 1, WAIT_S)
        restarted_s = time.monotonic() - frozen
        until(lambda: len(self._ready()) == 2, WAIT_S)
        answer = f"unready after {unready_s:.0f} s, another one runs after {restarted_s:.0f} s"
        answer += f" and is ready after {time.monotonic() - frozen:.0f} s"
        held = restarted_s < FROZEN_S
        self._record.asked("a replica's process stands still: what does the kubelet do?", answer, held=held)


def _process_of(uid: str) -> int:
    """The process of the service in a pod; the first there has started it, and waits for it."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            words = (path / "cmdline").read_bytes().split(b"\0")
            if uid in (path / "cgroup").read_text() and b"serve" in words:
                found.append(int(path.name))
    return max(found)


_EXIT: Final = 'jsonpath={"exit="}{.status.containerStatuses[0].state.terminated.exitCode}{"\\n"}'


def _stays(condition: Callable[[], bool]) -> bool:
    """Whether something is so for a while."""
    end = time.monotonic() + PAUSE_S
    while time.monotonic() < end:
        if not condition():
            return False
        time.sleep(1)  # between two looks: that nothing changes is no event
    return True


def _events(lines: str) -> list[tuple[float, str]]:
    """When each log event was written, and which."""
    found = []
    for line in lines.splitlines():
        record = json.loads(line.partition(" ")[2])
        at = time.strptime(record["timestamp"][:19], "%Y-%m-%dT%H:%M:%S")
        fraction = float(record["timestamp"][19:].rstrip("Z"))
        found.append((_epoch(at) + fraction, str(record["event"])))
    return found


def _epoch(at: time.struct_time) -> float:
    return float(calendar.timegm(at))


def _new_game(url: str) -> str:
    wishes = {"problem": PROBLEM, "min_players": PLAYERS, "max_players": PLAYERS}
    headers = {"authorization": f"Bearer {token('host')}"}
    answer = fetch.post(f"{url}/api/games", json=wishes, headers=headers)
    assert answer.is_success, answer.text
    return str(answer.json()["game_id"])


async def _logs(games: set[str]) -> list[dict[str, Any]]:
    """What the log holds of the games."""
    access = {"nats_user": NAME, "nats_password": NATS_PASSWORD}
    shape = {"nats_replicas": 1, "nats_max_bytes": NATS_MAX_BYTES}
    settings = log_settings(f"nats://{NATS_ADDRESS}:4222", **access, **shape)
    log = NatsEventLog(settings, "checker")
    await log.open()
    try:
        return [await read_game(log, game) for game in sorted(games)]
    finally:
        await log.close()
