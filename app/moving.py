"""Games of another number of workers, moved before anything is served: else they were in files that nobody opens."""

import asyncio
from collections.abc import Callable

from app.eventlog import CopyFailed, LogUnavailable
from app.eventlog.layout import move_games, other_files
from app.eventlog.select import file_of
from app.settings import CannotStartError, EventLogSettings
from app.telemetry.catalogue import Events


def take_in_games(settings: EventLogSettings, workers: int, write: Callable[..., None]) -> None:
    """Move the games of files of other numbers of workers, where there are any. Raises CannotStartError."""
    file = file_of(settings.event_log_url)
    if file is None or not other_files(file, workers):
        return
    try:
        moved = asyncio.run(move_games(file, workers))
    except LogUnavailable as error:
        raise CannotStartError(f"EVENT_LOG_URL: games of another number of workers are to move: {error}") from None
    except CopyFailed as error:
        files = ", ".join(map(str, other_files(file, workers)))
        raise CannotStartError(
            f"EVENT_LOG_URL: games of another number of workers are to move: {error}; of {files} put away the one that"
            " is older"
        ) from None
    for one in moved:
        write(Events.GAMES_MOVED, file=str(one.file), games=one.games)
