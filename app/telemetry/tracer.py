"""The tracer: where traces begin and how they go on, as one typed interface; the service knows no vendor.

Nothing is made for a message that is not sampled: every method then answers None, or a block that does nothing.
Times (`started`, `arrived`) are those of `time.perf_counter`, in seconds.
"""

import contextlib
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from app.protocol import RECEIVED_TYPES
from app.vocabulary import LateCause, SpanName

Value = str | int | float | bool


MESSAGE_SPANS: Final = {type: f"game.{type}" for type in RECEIVED_TYPES}
"""The span of a handled message, by its type."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """An attempt to connect and its answer; `traceparent` is the client's."""

    started: float
    ended: float
    outcome: str
    status: int
    game_id: str | None = None
    connection_id: str | None = None
    player_id: str | None = None
    traceparent: str | None = None


class Span(Protocol):
    """A span that is being recorded."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""

    @property
    def traceparent(self) -> str:
        """The context to carry on (W3C Trace Context)."""

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes of the catalogue. Raises ValueError for others."""

    def end(self, fault: str = "", ended: float | None = None) -> None:
        """The span is over, now or at `ended`; with a `fault` it failed."""


class Link(Protocol):
    """The handshake that a connection's traces point at."""


Maybe = AbstractContextManager[Span | None]


NOTHING: Final = contextlib.nullcontext(None)


class Tracer:
    """Samples nothing; the one over OpenTelemetry overrides it."""

    slow_s: float = math.inf
    """A message that took longer is slow."""

    def handshake(self, handshake: Handshake) -> tuple[Link | None, str | None]:  # noqa: ARG002 - the interface's
        """An attempt to connect was answered: what its messages link to, and its trace's id where it was sampled."""
        return None, None

    def message(self, type: str, arrived: float, link: Link | None, traceparent: str | None) -> Span | None:
        """A message is to be handled: its span, if it is sampled."""

    def late(
        self, type: str, arrived: float, link: Link | None, traceparent: str | None, cause: LateCause
    ) -> Span | None:
        """A message that was not sampled went wrong or was slow: its span from its arrival on, at a bounded rate."""

    def root(self, name: SpanName, link: Link | None = None, attributes: Mapping[str, Value] | None = None) -> Maybe:  # noqa: ARG002 - the interface's
        """A block that nobody's message caused, in a trace of its own, if that is sampled."""
        return NOTHING

    def child(self, name: SpanName, attributes: Mapping[str, Value] | None = None) -> Maybe:  # noqa: ARG002 - the interface's
        """A block within the span that is current, if there is one."""
        return NOTHING

    def continued(self, name: SpanName, traceparent: str | None, attributes: Mapping[str, Value]) -> Maybe:  # noqa: ARG002 - the interface's
        """A block that an event caused, in the trace that the event carries, if any."""
        return NOTHING

    def delivery(self, span: Span, link: Link | None, attributes: Mapping[str, Value]) -> Span:  # noqa: ARG002 - the interface's
        """A frame goes to one member: begun within `span`, linked to the member's connection, ended by the caller."""
        return span

    def active(self, span: Span | None) -> AbstractContextManager[None]:  # noqa: ARG002 - the interface's
        """Make `span` the current one for the block; it is not ended by it."""
        return NOTHING
