"""The console of one service: its views and its actions, made once and owned here."""

from app.console.replica import ReplicaView
from app.health import Health
from app.realtime import Hub
from app.settings import Settings


class Console:
    """Has an attribute for each subject; nothing of it costs anything while nobody looks."""

    def __init__(self, hub: Hub, health: Health, settings: Settings, replica: str) -> None:
        self.replica = ReplicaView(hub, health, settings, replica)
