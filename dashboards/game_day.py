"""For a game day, or an incident: what to look at while a fault is caused, from what players meet to what causes it."""

from dataclasses import replace
from typing import Final

from dashboards.connections import CONNECTIONS
from dashboards.event_log import EVENT_LOG
from dashboards.games import GAMES
from dashboards.model import Board, Panel, RowKind, row
from dashboards.overview import OVERVIEW
from dashboards.replicas import REPLICAS
from dashboards.runtime import RUNTIME

_SHOWN: Final = (
    # do we know of it, and do players?
    (
        RowKind.SYMPTOM,
        (OVERVIEW, "What fires"),
        (OVERVIEW, "Canary races that fail"),
        (CONNECTIONS, "Open connections"),
        (CONNECTIONS, "Refused by our fault"),
    ),
    # what do they meet?
    (
        RowKind.SYMPTOM,
        (CONNECTIONS, "Closes by reason"),
        (CONNECTIONS, "Reconnects"),
        (GAMES, "Players by what they do"),
        (GAMES, "Most overdue game"),
    ),
    # how long does it take?
    (
        RowKind.SYMPTOM,
        (OVERVIEW, "Message handling"),
        (OVERVIEW, "Event delivery"),
        (EVENT_LOG, "Append"),
        (GAMES, "Judging"),
    ),
    # where does it come from?
    (
        RowKind.CAUSE,
        (REPLICAS, "What is bad, by replica"),
        (RUNTIME, "Event loop lag"),
        (EVENT_LOG, "Takes appends"),
        (RUNTIME, "Faults"),
    ),
)


def _panel(board: Board, title: str) -> Panel:
    (found,) = [panel for panel in board.panels if panel.title == title]
    return replace(found, width=6, height=6)


GAME_DAY: Final = Board(
    "code-racer-game-day",
    "Game day",
    tuple(row(kind, *(_panel(board, title) for board, title in shown)) for kind, *shown in _SHOWN),
)
