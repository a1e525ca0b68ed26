"""The runbooks of the alerts, which the console shows as HTML."""

from pathlib import Path
from typing import Final

from msgspec import Struct

_IN_CHECKOUT: Final = Path(__file__).parents[2] / "alerts/runbooks"
_IN_WHEEL: Final = Path(__file__).parent / "runbooks"


class Runbook(Struct, frozen=True):
    """One runbook as HTML of headings, paragraphs, lists, tables, code and links."""

    alert: str
    html: str


class Runbooks:
    """Knows the runbooks by the names of their alerts; each is read when it is asked for."""

    def __init__(self) -> None:
        folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
        self._files = {path.stem: path for path in sorted(folder.glob("*.md"))}
        self.names = frozenset(self._files)

    def show(self, alert: str) -> Runbook | None:
        """Show the runbook of an alert; None where there is none. The first one takes a tenth of a second."""
        from app.console.markdown import rendered  # noqa: PLC0415 - whoever starts need not wait for it

        file = self._files.get(alert)
        return None if file is None else Runbook(alert, rendered(file.read_text("utf-8")))
