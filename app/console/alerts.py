"""The alerts that fire, as Alertmanager or Prometheus tells them when an operator asks."""

from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from app.aio.fetching import FetchFailed, FetchRequest, fetch
from app.settings import OperatorSettings

MOST_ALERTS: Final = 200
_MOST_BYTES: Final = 4_194_304
_ACTIVE: Final = "/api/v2/alerts?active=true&silenced=false&inhibited=false"
_ALL: Final = "/api/v1/alerts"


class AlertRow(Struct, frozen=True, kw_only=True):
    """An alert that fires `since` (seconds since the epoch); `runbook` is whether there is one of its name here."""

    name: str
    severity: str
    since: float | None
    labels: dict[str, str]
    summary: str
    description: str
    runbook: bool


class AlertsStatus(Struct, frozen=True, kw_only=True):
    """What fires; `detail` says why that is not known, where somebody could be asked."""

    configured: bool
    rows: list[AlertRow]
    detail: str | None = None


class _Alert(Struct, rename="camel"):
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: str = ""
    active_at: str = ""
    state: Any = None


class _Alerts(Struct):
    alerts: list[_Alert] = []


class _OfPrometheus(Struct):
    data: _Alerts


class AlertsView:
    """Asks for the alerts: Alertmanager, which knows what is silenced, before Prometheus."""

    def __init__(self, settings: OperatorSettings, runbooks: frozenset[str]) -> None:
        self._alertmanager = settings.alertmanager_url.rstrip("/")
        self._prometheus = settings.prometheus_url.rstrip("/")
        self._timeout_s = settings.ops_timeout_s
        self._runbooks = runbooks

    async def show(self) -> AlertsStatus:
        """Show what fires."""
        if not (self._alertmanager or self._prometheus):
            return AlertsStatus(configured=False, rows=[])
        try:
            alerts = await (self._of_alertmanager() if self._alertmanager else self._of_prometheus())
        except FetchFailed as error:
            who = "ALERTMANAGER_URL" if self._alertmanager else "PROMETHEUS_URL"
            return AlertsStatus(configured=True, rows=[], detail=f"{who}: {error}")
        rows = sorted(map(self._row, alerts), key=lambda row: (row.severity, row.name, row.since or 0.0))
        return AlertsStatus(configured=True, rows=rows[:MOST_ALERTS])

    async def _of_alertmanager(self) -> list[_Alert]:
        found: list[_Alert] = await self._ask(f"{self._alertmanager}{_ACTIVE}", list[_Alert])
        return found

    async def _of_prometheus(self) -> list[_Alert]:
        found: _OfPrometheus = await self._ask(f"{self._prometheus}{_ALL}", _OfPrometheus)
        return [alert for alert in found.data.alerts if alert.state == "firing"]

    async def _ask(self, url: str, kind: Any) -> Any:  # noqa: ANN401 - of that kind
        answer = await fetch(FetchRequest(url), self._timeout_s, _MOST_BYTES)
        if answer.status != 200:  # noqa: PLR2004 - the one status with alerts
            raise FetchFailed(f"the answer is {answer.status}")
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.MsgspecError:
            raise FetchFailed("the answer has no alerts") from None

    def _row(self, alert: _Alert) -> AlertRow:
        name = alert.labels.get("alertname", "")
        return AlertRow(
            name=name,
            severity=alert.labels.get("severity", ""),
            since=_epoch(alert.starts_at or alert.active_at),
            labels=alert.labels,
            summary=alert.annotations.get("summary", ""),
            description=alert.annotations.get("description", ""),
            runbook=name in self._runbooks,
        )


def _epoch(moment: str) -> float | None:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None
