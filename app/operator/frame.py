"""One frame of `top`: what was seen, as so many lines of so many columns; pure."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.operator.tables import Fields, columns_of, fitted, table

FEWEST_LINES: Final = 8
_OF_REPLICAS: Final = 3
"""This part of a frame's lines the replicas have at most."""
_REPLICA_COLUMNS: Final = ("replica", "state", "connections", "games", "lag_s", "memory_bytes", "cpu", "fds", "judge",
                           "log", "up_s", "version")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one time: each replica, or why it could not be asked; the rows of the view that is shown."""

    at: float
    replicas: Mapping[str, Fields] = field(default_factory=dict)
    missing: Sequence[str] = ()
    view: str = ""
    rows: Sequence[Fields] = ()
    matched: int = 0
    columns: Sequence[str] = ()
    alerts: Sequence[Fields] = ()


def frame(look: Look, before: Look | None, help: str, columns: int, lines: int) -> list[str]:
    """Draw a look; what counts per second is against the one `before`."""
    lines = max(lines, FEWEST_LINES)
    shown = [_summary(look), *_troubles(look)]
    replicas = [_replica(name, one, look, before) for name, one in look.replicas.items()]
    replicas.sort(key=lambda one: (one["state"] == "ready", -one["connections"]))
    most = max(1, lines // _OF_REPLICAS - 1)
    shown += table(replicas[:most], columns_of(replicas, _REPLICA_COLUMNS), columns)
    if len(replicas) > most:
        shown.append(f"{len(replicas) - most} more replicas")
    shown += ["", f"{look.view.upper()}  {_matched(look)}"]
    room = max(0, lines - len(shown) - 2)  # the titles, and the last line
    if look.rows and room:
        shown += table(look.rows[:room], columns_of(look.rows, look.columns), columns)
    shown = shown[: lines - 1]
    shown += [""] * (lines - 1 - len(shown))
    return [fitted(line, columns).rstrip() for line in (*shown, help)]


def _summary(look: Look) -> str:
    clock = dt.datetime.fromtimestamp(look.at, dt.UTC).strftime("%H:%M:%S UTC")
    counts = {"replica": len(look.replicas), "connection": _total(look, "connections"), "game": _total(look, "games")}
    return "  ".join(
        ("code-racer", clock, *(f"{count:,} {name}{'s' * (count != 1)}" for name, count in counts.items()))
    )


def _total(look: Look, name: str) -> int:
    return sum(int(one.get(name) or 0) for one in look.replicas.values())


def _matched(look: Look) -> str:
    return f"{len(look.rows)} of {look.matched:,}" if look.matched > len(look.rows) else (str(len(look.rows)) or "none")


def _troubles(look: Look) -> list[str]:
    alerts = ", ".join(f"{one.get('name')} ({one.get('severity')})" for one in look.alerts)
    return [*look.missing, *([f"FIRING: {alerts}"] if alerts else [])]


def _replica(name: str, one: Fields, look: Look, before: Look | None) -> dict[str, Any]:
    fds, most = one.get("fds"), one.get("fds_max")
    judge: Mapping[str, Any] = one.get("judge") or {}
    return {
        "replica": one.get("replica", name),
        "state": _state(one),
        "connections": one.get("connections", 0),
        "games": one.get("games"),
        "lag_s": one.get("loop_lag_s"),
        "memory_bytes": one.get("memory_bytes"),
        "cpu": _cpu(name, one, look, before),
        "fds": f"{100 * fds // most}%" if fds is not None and most else fds,
        "judge": judge.get("queue"),
        "log": one.get("log_level"),
        "up_s": one.get("uptime_s"),
        "version": one.get("version"),
    }


def _state(one: Fields) -> str:
    """Say how it is, and where it is not ready, of what."""
    draining: Mapping[str, Any] = one.get("draining") or {}
    if draining:
        return f"drain: {draining.get('phase')}"
    if one.get("ready"):
        return "ready"
    checks: Mapping[str, bool] = one.get("checks") or {}
    return f"not ready: {', '.join(name for name, passed in checks.items() if not passed)}"


def _cpu(name: str, one: Fields, look: Look, before: Look | None) -> str | None:
    last = before.replicas.get(name) if before else None
    if last is None or before is None or look.at <= before.at or last.get("pid") != one.get("pid"):
        return None
    return f"{100 * (one['cpu_s'] - last['cpu_s']) / (look.at - before.at):.0f}%"
