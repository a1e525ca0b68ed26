"""This replica, shown to its operators."""

from litestar import get
from litestar.di import NamedDependency

from app.console.configuration import SettingRow
from app.console.console import Console
from app.console.fleet import ReplicaRow
from app.console.replica import ReplicaStatus
from app.web.console.access import Operator


@get("/replica")
async def show_replica(console: NamedDependency[Console], operator: NamedDependency[Operator]) -> ReplicaStatus:
    """Show this replica, and what the operator who asks may do."""
    return console.replica.show(operator.name, operator.right)


@get("/replicas")
async def list_replicas(console: NamedDependency[Console]) -> list[ReplicaRow]:
    """List the replicas that live, this one first, and by which address each is asked."""
    return await console.fleet.rows()


@get("/settings")
async def show_settings(console: NamedDependency[Console]) -> list[SettingRow]:
    """Show the settings; secrets by fingerprints, which are the same where the secret is."""
    return console.settings.show()


HANDLERS = (show_replica, list_replicas, show_settings)
