"""What the supervisor answers."""

import json
from dataclasses import dataclass, field

import pytest

from app.supervisor.ops import SupervisorOps
from app.supervisor.slot import WorkerSlot
from app.telemetry.catalogue import SUPERVISOR_METRICS
from app.telemetry.metrics import MetricStore


@dataclass
class Some:
    """Workers, some of them not ready."""

    why: list[str] = field(default_factory=list)
    store: MetricStore = field(default_factory=lambda: MetricStore(metrics=SUPERVISOR_METRICS))
    slots: list[WorkerSlot] = field(default_factory=list)

    def failed(self) -> list[str]:
        return self.why


def test_it_is_ready_when_all_are_and_else_tells_who_is_not() -> None:
    some = Some()
    ops = SupervisorOps(some, [])
    assert ops.answer("GET", "/readyz", {})[0] == 200
    some.why = ["worker 2 of 2: started"]
    status, _, body = ops.answer("GET", "/readyz", {})
    assert (status, json.loads(body)) == (503, {"status": "failing", "failed": ["worker 2 of 2: started"]})


def test_it_lives_whatever_the_workers_do() -> None:
    assert SupervisorOps(Some(["worker 1 of 2: down"]), []).answer("GET", "/livez", {})[0] == 200


@pytest.mark.parametrize(
    ("host", "shown"), [("race.example.org:9100", "race.example.org"), ("10.1.2.3", "10.1.2.3"), ("[::1]:9", "[::1]")]
)
def test_targets_are_at_the_host_that_was_asked(host: str, shown: str) -> None:
    _, kind, body = SupervisorOps(Some(), [9101, 9102]).answer("GET", "/sd", {"host": host})
    assert kind == "application/json"
    assert json.loads(body) == [{"targets": [f"{shown}:9101", f"{shown}:9102"], "labels": {}}]


def test_itself_it_lists_apart() -> None:
    """A job of its own scrapes it: one process has none, and answers the same question with nobody."""
    _, _, body = SupervisorOps(Some(), [9101]).answer("GET", "/sd/supervisor", {"host": "a:9100"})
    assert json.loads(body) == [{"targets": ["a:9100"], "labels": {}}]


@pytest.mark.parametrize("path", ["/sd", "/sd/supervisor"])
@pytest.mark.parametrize("host", ["", "a b", "a/b", "x:y", "[::1"])
def test_a_host_that_is_none_is_no_target(host: str, path: str) -> None:
    assert SupervisorOps(Some(), [9101]).answer("GET", path, {"host": host})[0] == 400


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/readyz", 405), ("GET", "/", 404), ("GET", "", 404)])
def test_there_is_nothing_else(method: str, path: str, status: int) -> None:
    assert SupervisorOps(Some(), []).answer(method, path, {})[0] == status


def test_all_families_are_shown() -> None:
    _, _, body = SupervisorOps(Some(), []).answer("GET", "/metrics", {})
    assert all(f"# HELP {metric.name} ".encode() in body for metric in SUPERVISOR_METRICS)
