"""What sees faults."""

from app.telemetry.observer import Observer


class Faults(Observer):
    """Keeps where faults were, and of which games."""

    def __init__(self) -> None:
        self.where: list[str] = []
        self.games: list[str] = []

    def fault(self, where: str, error: BaseException, game_id: str | None = None) -> None:  # noqa: ARG002 - the interface's
        self.where.append(where)
        if game_id is not None:
            self.games.append(game_id)


def unexpected(where: str, error: BaseException) -> None:
    """Nothing may go wrong here."""
    raise AssertionError(where) from error
