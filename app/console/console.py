"""The console of one service: its views and its actions, made once and owned here."""

from collections.abc import Callable, Mapping

from app.console.configuration import SettingsView
from app.console.connections import ConnectionsView
from app.console.games import GamesView
from app.console.players import PlayersView
from app.console.replica import ReplicaView
from app.health import Health
from app.realtime import Hub
from app.settings import Settings


class Console:
    """Has an attribute for each subject; nothing of it costs anything while nobody looks."""

    def __init__(
        self,
        hub: Hub,
        health: Health,
        settings: Settings,
        replica: str,
        fingerprints: Callable[[], Mapping[str, str]],
    ) -> None:
        self.replica = ReplicaView(hub, health, settings, replica)
        self.settings = SettingsView(settings, fingerprints)
        self.connections = ConnectionsView(hub, replica)
        self.games = GamesView(hub, self.connections, replica)
        self.players = PlayersView(self.connections, self.games)
