"""Appending to the event log, measured."""

import time
from collections.abc import Sequence

from app.eventlog import Conflict, Cursor, EventLog, LogUnavailable
from app.game import GameEvent
from app.telemetry.observer import AppendOutcome, Observer


async def append(log: EventLog, observer: Observer, game_id: str, after: Cursor, events: Sequence[GameEvent]) -> Cursor:
    """Append one commit and tell the observer how that went and what happened. Raises Conflict, LogUnavailable."""
    started = time.perf_counter()
    outcome = AppendOutcome.ACCEPTED
    try:
        cursor = await log.append(game_id, after, events)
    except Conflict:
        outcome = AppendOutcome.CONFLICT
        raise
    except LogUnavailable:
        outcome = AppendOutcome.UNAVAILABLE
        raise
    finally:
        observer.append(outcome, time.perf_counter() - started)
    for event in events:
        observer.event(game_id, event)
    return cursor
