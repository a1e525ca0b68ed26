"""All boards, and the files they are written to."""

import json
from typing import Final

from dashboards.connections import CONNECTIONS
from dashboards.event_log import EVENT_LOG
from dashboards.game_day import GAME_DAY
from dashboards.games import GAMES
from dashboards.logs import LOGS
from dashboards.machine import MACHINE
from dashboards.messages import MESSAGES
from dashboards.model import to_json
from dashboards.overview import OVERVIEW
from dashboards.replicas import REPLICAS
from dashboards.runtime import RUNTIME

BOARDS: Final = (OVERVIEW, CONNECTIONS, MESSAGES, GAMES, EVENT_LOG, REPLICAS, RUNTIME, MACHINE, LOGS, GAME_DAY)


def boards() -> dict[str, str]:
    """File name to committed text of every board."""
    return {f"{board.uid}.json": json.dumps(to_json(board), indent=2, ensure_ascii=False) + "\n" for board in BOARDS}
