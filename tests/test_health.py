"""Readiness is decided from what the parts know; what all replicas share decides only where it is told to."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from app.health import Health
from app.vocabulary import OverloadCause, ReadinessCheck

GRACE_S = 60.0


def a_hub(**changes: Any) -> Any:
    """What readiness asks of a hub where all is well."""
    log = SimpleNamespace(
        reachable=changes.pop("reachable", True),
        lost_at=changes.pop("lost_at", time.monotonic()),
        is_reached=changes.pop("reached", True),
    )
    load = SimpleNamespace(causes=changes.pop("causes", frozenset()))
    return SimpleNamespace(**{"log_health": log, "load": load, "draining": False, **changes})


def health_of(hub: Any, *gates: ReadinessCheck, keys: int = 1) -> Health:
    health = Health(hub, lambda: keys, gates, GRACE_S)
    health.has_begun = True
    return health


@pytest.mark.parametrize("has_begun", [True, False])
@pytest.mark.parametrize("is_listening", [True, False])
def test_a_replica_is_ready_once_it_has_begun_and_while_it_listens(has_begun: bool, is_listening: bool) -> None:
    health = health_of(a_hub())
    health.has_begun, health.is_listening = has_begun, is_listening
    assert health.is_started == (has_begun and is_listening)
    assert health.is_ready == (has_begun and is_listening)


@pytest.mark.parametrize("changes", [{"draining": True}, {"reached": False}])
def test_what_concerns_this_replica_alone_always_decides(changes: dict[str, Any]) -> None:
    assert not health_of(a_hub(**changes)).is_ready


TROUBLES: dict[ReadinessCheck, tuple[dict[str, Any], int]] = {
    ReadinessCheck.EVENT_LOG: ({"reachable": False, "lost_at": time.monotonic() - GRACE_S - 1}, 1),
    ReadinessCheck.OVERLOAD: ({"causes": frozenset({OverloadCause.MEMORY})}, 1),
    ReadinessCheck.SIGNING_KEYS: ({}, 0),
}


@pytest.mark.parametrize("gate", ReadinessCheck)
def test_what_all_replicas_share_is_shown_and_decides_only_as_a_gate(gate: ReadinessCheck) -> None:
    changes, keys = TROUBLES[gate]
    shown = health_of(a_hub(**changes), keys=keys)
    assert [name for name, well in shown.states.items() if not well] == [gate]
    assert shown.is_ready
    gated = health_of(a_hub(**changes), gate, keys=keys)
    assert [name for name, passed in gated.checks.items() if not passed] == [gate]


def test_the_gate_of_the_event_log_waits_for_it_to_come_back() -> None:
    health = health_of(a_hub(reachable=False), ReadinessCheck.EVENT_LOG)
    assert not health.event_log_connected
    assert health.is_ready
