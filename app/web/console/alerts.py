"""What fires, and what to do about it, shown to operators."""

import asyncio

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.console.alerts import AlertsStatus
from app.console.console import Console
from app.console.runbooks import Runbook
from app.web.console.listing import gone


@get("/alerts")
async def list_alerts(console: NamedDependency[Console]) -> AlertsStatus:
    """List the alerts that fire, of all there are, where ALERTMANAGER_URL or PROMETHEUS_URL is set."""
    return await console.alerts.show()


@get("/runbooks/{alert:str}")
async def show_runbook(alert: FromPath[str], console: NamedDependency[Console]) -> Runbook:
    """Show the runbook of an alert, as HTML without scripts or styles."""
    found = await asyncio.to_thread(console.runbooks.show, alert)
    if found is None:
        raise gone("runbook")
    return found


HANDLERS = (list_alerts, show_runbook)
