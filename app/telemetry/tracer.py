"""The tracer: where traces begin and how they go on, as one typed interface; the service knows no vendor.

Nothing is made for a message that is not sampled: every method then answers None, or a block that does nothing.
Times (`started`, `arrived`) are those of `time.perf_counter`, in seconds.
"""

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

from msgspec import Struct

from app.protocol import RECEIVED_TYPES
from app.vocabulary import HandshakeOutcome, LateCause, SpanName

Value = str | int | float | bool


MESSAGE_SPANS: Final = {type: f"game.{type}" for type in RECEIVED_TYPES}
"""The span of a handled message, by its type."""


class Handshake(Struct, frozen=True):
    """An attempt to connect and its answer; `traceparent` is the client's.

    `refusal` says why it was refused, where it was; it holds no token and no raw input.
    """

    started: float
    ended: float
    outcome: HandshakeOutcome
    status: int
    client: str
    refusal: str | None = None
    game_id: str | None = None
    connection_id: str | None = None
    player_id: str | None = None
    traceparent: str | None = None


class Span(Protocol):
    """A span that is being recorded."""

    @property
    def trace_id(self) -> str:
        """The id of its trace, 32 hexadecimal digits."""

    @property
    def traceparent(self) -> str:
        """The context to carry on (W3C Trace Context)."""

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes of the catalogue. Raises ValueError for others."""

    def delivery(self, link: "Link | None", attributes: Mapping[str, Value]) -> "Span":
        """Begin the span of a frame's way to one member, linked to the member's handshake; the caller ends it."""

    def end(self, fault: str = "", ended: float | None = None) -> None:
        """End the span, now or at `ended`; with a `fault` it failed."""


class Link(Protocol):
    """The handshake that a connection's traces point at."""

    @property
    def trace_id(self) -> str | None:
        """The id of its span's trace; None while it has none: it is not sampled, and no trace has pointed at it yet."""


Maybe = AbstractContextManager[Span | None]


NOTHING: Final = contextlib.nullcontext(None)


class Tracer:
    """A tracer that samples nothing; the one over OpenTelemetry overrides it."""

    can_watch: bool = False
    """Whether anything is traced at all."""

    def __init__(self) -> None:
        self.watched: set[tuple[str, str]] = set()
        """What is sampled whatever the ratio: attributes of a handshake, such as ``player.id``, and their values."""

    def handshake(self, handshake: Handshake) -> Link | None:
        """Trace an answered attempt to connect; return what its messages link to."""

    def request(self, traceparent: str | None) -> Span | None:
        """Begin the span of a request over HTTP, if it is sampled."""

    def message(self, type: str, arrived: float, link: Link | None, traceparent: str | None) -> Span | None:
        """Begin the span of a message that is to be handled, if it is sampled."""

    def late(
        self, type: str, arrived: float, link: Link | None, traceparent: str | None, cause: LateCause
    ) -> Span | None:
        """Begin, as of its arrival, the span of a message that was slow or failed unsampled; at a bounded rate."""

    def root(self, name: SpanName, link: Link | None = None, attributes: Mapping[str, Value] | None = None) -> Maybe:  # noqa: ARG002 - the interface's
        """Trace a block that no message caused: within the current span, or in a trace of its own, if it is sampled."""
        return NOTHING

    def child(self, name: SpanName, attributes: Mapping[str, Value] | None = None) -> Maybe:  # noqa: ARG002 - the interface's
        """Trace a block within the current span, if there is one."""
        return NOTHING

    def continued(self, name: SpanName, traceparent: str | None, attributes: Mapping[str, Value]) -> Maybe:  # noqa: ARG002 - the interface's
        """Trace a block that an event caused, in the trace that the event carries, if any."""
        return NOTHING

    def active(self, span: Span | None) -> AbstractContextManager[None]:  # noqa: ARG002 - the interface's
        """Make `span` the current one for the block; it is not ended by it."""
        return NOTHING

    async def close(self) -> None:
        """Send what waits: nothing."""
