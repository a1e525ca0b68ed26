"""All boards, and the files they are written to."""

import json
from typing import Final

from alerts.build import alerts
from dashboards.connections import CONNECTIONS
from dashboards.event_log import EVENT_LOG
from dashboards.game_day import GAME_DAY
from dashboards.games import GAMES
from dashboards.logs import LOGS
from dashboards.machine import MACHINE
from dashboards.messages import MESSAGES
from dashboards.model import Board, to_json
from dashboards.nats import NATS
from dashboards.overview import OVERVIEW
from dashboards.replicas import REPLICAS
from dashboards.runtime import RUNTIME

_OF_AN_AREA: Final = (CONNECTIONS, MESSAGES, GAMES, EVENT_LOG, NATS, REPLICAS, RUNTIME, MACHINE, LOGS)
BOARDS: Final = (OVERVIEW, *_OF_AN_AREA, GAME_DAY)


def homes() -> dict[str, str]:
    """Return the uid of each alert's board: of those with a panel that shows it, the one that is about the least.

    Raises:
        ValueError: no panel of any board names the alert.
    """
    found = {name: board.uid for board in (OVERVIEW, *reversed(_OF_AN_AREA)) for name in _shown_on(board)}
    for alert in alerts():
        if alert.name not in found:
            raise ValueError(f'{alert.name}: name it in a panel of dashboards/: alerts=("{alert.name}",)')
    return found


def _shown_on(board: Board) -> set[str]:
    return {name for panel in board.panels for name in panel.alerts}


def boards() -> dict[str, str]:
    """File name to committed text of every board."""
    return {f"{board.uid}.json": json.dumps(to_json(board), indent=2, ensure_ascii=False) + "\n" for board in BOARDS}
