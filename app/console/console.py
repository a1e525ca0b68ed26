"""The console of one service: its views and its actions, made once and owned here."""

from collections.abc import Callable, Mapping

from app.console.actions import Actions
from app.console.alerts import AlertsView
from app.console.configuration import SettingsView
from app.console.connections import ConnectionsView
from app.console.diagnosing import Diagnosing
from app.console.fleet import Fleet
from app.console.games import GamesView
from app.console.hot import Hot
from app.console.players import PlayersView
from app.console.replica import ReplicaStatus, ReplicaView
from app.console.runbooks import Runbooks
from app.console.telling import Telling
from app.console.watch import Watch
from app.health import Health
from app.realtime import Hub
from app.settings import Settings
from app.vocabulary import Right


class Console:
    """Has an attribute for each subject; nothing of it costs anything while nobody looks."""

    def __init__(
        self,
        hub: Hub,
        health: Health,
        settings: Settings,
        replica: str,
        fingerprints: Callable[[], Mapping[str, str]],
        telling: Telling,
        actions: Actions,
    ) -> None:
        self._settings = settings
        self.actions = actions
        self.replica = ReplicaView(hub, health, settings, replica, actions)
        self.fleet = Fleet(hub, hub.coordination, self.replica.card, settings)
        self.telling = telling
        self.lately = lately = telling.lately
        lately.belongs_to(replica)
        self.settings = SettingsView(settings, fingerprints)
        self.connections = ConnectionsView(hub, replica)
        self.games = GamesView(hub, self.connections, replica)
        self.runbooks = Runbooks()
        self.alerts = AlertsView(settings, self.runbooks.names)
        self.players = PlayersView(self.connections, self.games, lately.ends, hub.bans, replica)
        lately.ends.name_of = self.games.name_of
        self.slow_s = settings.slow_message_s
        self.long_timeout_s = settings.ops_long_timeout_s
        self.hot = Hot(hub.connections, lately.ends)
        self.diagnosing = Diagnosing(hub.load)
        self.watch = Watch({"replica": self._told}, settings.ops_max_watchers, hub.observer.fault)

    async def close(self) -> None:
        """End what is asked for at length, as the service ends: whoever waits for it has the rest at once."""
        self.diagnosing.stop()
        await self.watch.close()

    async def _told(self) -> ReplicaStatus:
        """Show the replica; to nobody in particular, as it is told to all who watch."""
        return self.replica.show("", Right.READ)

    def listens_on(self, port: int, ops_port: int | None) -> None:
        """Note where operators are answered, for other replicas: not over TLS, as they do not know its name."""
        settings = self._settings
        on_port = port if settings.is_open and not settings.tls_cert_file else None
        self.fleet.listens_at(settings.host, on_port if ops_port is None else ops_port)
