"""What all connections of a replica share."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from app.aio.timing_wheel import TimingWheel
from app.rate_limits import LimitPolicy
from app.realtime.connection.outbox import Outboxes
from app.realtime.identity import Verify
from app.settings import AuthSettings, ConnectionSettings, LimitSettings
from app.telemetry.bulkhead import Bulkhead, ReportFault
from app.telemetry.observer import Observer


@dataclass(frozen=True, slots=True, eq=False)
class ConnectionContext:
    """Parts that every connection uses.

    `now` is the games' clock in epoch milliseconds; `report` is called with
    faults; `spawn` runs what handles messages, to its end.
    """

    limits: LimitSettings
    connection: ConnectionSettings
    auth: AuthSettings
    observer: Observer
    policy: LimitPolicy
    verify: Verify
    now: Callable[[], int]
    wheel: TimingWheel
    outboxes: Outboxes
    bulkhead: Bulkhead
    report: ReportFault
    spawn: Callable[[Coroutine[Any, Any, None], str], None]
