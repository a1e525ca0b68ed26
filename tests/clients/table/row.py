"""A row of the table: what an application and the network do, and what becomes of the client by it."""

from dataclasses import dataclass, field
from typing import Any, Final

JAVASCRIPT: Final = "javascript"
PYTHON: Final = "python"
LANGUAGES: Final = (JAVASCRIPT, PYTHON)
THROWN: Final = "the application's own"


@dataclass(frozen=True, slots=True)
class Only:
    """The one language that has what a row is about."""

    language: str
    because: str


BROWSER: Final = Only(JAVASCRIPT, "such signs are a browser's")
CREDENTIALS: Final = Only(JAVASCRIPT, "a browser's page cannot set headers: the token has other ways; Python has one")
BESIDE: Final = Only(JAVASCRIPT, "in Python handlers are called one after the other, and coroutines awaited")
COROUTINES: Final = Only(PYTHON, "in JavaScript connect returns at once, and nothing can be cancelled")


@dataclass(frozen=True, slots=True)
class Row:
    """One row, for both languages.

    `steps` are calls (with ``+`` in one turn), what the network does, or what is waited for: the next of that name that
    is heard, after the one waited for before. A handler misbehaves as `handlers` says the first time it is called.
    `heard` are the states and the client's own events, in order; None: not looked at. `options` are the client's, as
    Python names them. `more`: ``token``, ``fresh`` (what the application's code for tokens brings, one after the
    other), ``waits_stay`` (waits are for ever, else as long as told, but at most ``waits_at_most_s``, 20 ms),
    ``filler`` (so many characters more in what is sent, over sockets that take little at a time), ``by_name`` (the
    service is found by its name), ``before_id`` (stands before the game's id), ``auth`` (how the token is sent, where
    there is a choice), ``hears_faults``, ``answer`` (of a gateway that stands in the server's place: status line, type,
    body), ``socket`` (a WebSocket of that kind), ``metrics`` (of the application's own, which throw). Of
    `expected` each is told so.
    """

    name: str
    steps: str
    heard: str | None = None
    handlers: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, Any] = field(default_factory=dict)
    only: Only | None = None

    def is_for(self, language: str) -> bool:
        """Whether a language has it."""
        return self.only is None or self.only.language == language
