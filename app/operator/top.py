"""`top`: the replicas, and what is worst off on them, again and again in a terminal."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from app.operator.commands import COMMANDS, Reach
from app.operator.consoles import Consoles
from app.operator.frame import Look, frame
from app.operator.service import CannotAskError
from app.operator.terminal import Terminal

VIEWS: Final = {"c": "connections", "g": "games", "x": "closes", "h": "hot"}
"""By the key that shows it."""
HELP: Final = "q quits; c connections, g games, x closes and refusals, h hot"
_ROWS: Final = 100
_ONCE: Final = (80, 24)


def show_top(consoles: Consoles, *, every_s: float, is_once: bool) -> int:
    """Show frames until q or Ctrl+C, or one; return the exit code. Raises CannotAskError: the first look failed."""
    first = look(consoles, VIEWS["c"])
    if is_once or not Terminal.is_there():
        print("\n".join(frame(first, None, "", *_ONCE)).rstrip())  # noqa: T201 - a command's answer
        return 1 if first.missing else 0
    with suppress(KeyboardInterrupt), Terminal() as terminal:
        _watch(lambda view: look(consoles, view), terminal, first, every_s)
    return 0


def look(consoles: Consoles, view: str) -> Look:
    """Ask for all that a frame shows. Raises CannotAskError where nobody answers."""
    replicas = consoles.ask(Reach.EACH, lambda target: target.get("/replica"))
    if not replicas.by_name:
        raise next(iter(replicas.missing.values()))
    command = COMMANDS[view]
    listed = consoles.ask(command.reach, lambda target: target.get(command.path, {"limit": _ROWS}))
    rows = [row for one in listed.by_name.values() for row in one["rows"]]
    if command.order:
        rows.sort(key=lambda row: row[command.order], reverse=True)
    alerts = consoles.ask(Reach.ANY, lambda target: target.get(COMMANDS["alerts"].path))
    return Look(
        time.time(),
        replicas.by_name,
        [*replicas.unheard, *listed.unheard],
        view,
        rows,
        sum(one.get("matched", len(one["rows"])) for one in listed.by_name.values()),
        command.columns,
        [row for one in alerts.by_name.values() for row in one["rows"]],
    )


class _Asking:
    """Asks in a thread, so that a key is heard meanwhile; `ready` is a descriptor that says when there is an answer."""

    def __init__(self, ask: Callable[[str], Look]) -> None:
        self._ask = ask
        self.ready, self._told = os.pipe()
        self._found: Look | CannotAskError | None = None
        self.is_busy = False

    def begin(self, view: str) -> None:
        """Ask for a view."""
        self.is_busy = True
        threading.Thread(target=self._run, args=(view,), daemon=True).start()  # it ends with the program

    def _run(self, view: str) -> None:
        try:
            self._found = self._ask(view)
        except CannotAskError as error:
            self._found = error
        os.write(self._told, b".")

    def take(self) -> Look | CannotAskError | None:
        """Return the answer once there is one."""
        found, self._found = self._found, None
        if found is not None:
            os.read(self.ready, 1)
            self.is_busy = False
        return found


def _watch(ask: Callable[[str], Look], terminal: Terminal, first: Look, every_s: float) -> None:
    """Draw again and again; q ends it, and so does whatever interrupts it."""
    asking = _Asking(ask)
    view, shown, before, trouble = first.view, first, None, ""
    due = time.monotonic() + every_s
    while True:
        if not asking.is_busy and time.monotonic() >= due:
            asking.begin(view)
            due = time.monotonic() + every_s
        terminal.draw(frame(shown, before, trouble or HELP, *terminal.size))
        key = terminal.key(asking.ready, every_s if asking.is_busy else max(0.0, due - time.monotonic()))
        if key in {"q", "Q"}:
            return
        if key in VIEWS and VIEWS[key] != view:
            view, due = VIEWS[key], 0.0
        found = asking.take()
        if isinstance(found, CannotAskError):
            trouble = str(found)
        elif found is not None:
            shown, before, trouble = found, shown, ""
