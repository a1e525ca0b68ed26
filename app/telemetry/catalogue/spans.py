"""The spans: every kind that the tracer makes, and the attributes it may have."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.telemetry.tracer import MESSAGE_SPANS
from app.vocabulary import SpanName


class SpanKind(StrEnum):
    """OpenTelemetry's kinds of span."""

    SERVER = "server"
    INTERNAL = "internal"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


@dataclass(frozen=True, slots=True)
class SpanSpec:
    """One kind of span: its name, its kind, its meaning, the attributes it may have."""

    name: str
    kind: SpanKind
    help: str
    attributes: frozenset[str]


def _span(name: str, kind: SpanKind, help: str, *attributes: str) -> SpanSpec:
    return SpanSpec(name, kind, help, frozenset((*attributes, "error.type")))


_WHO: Final = ("connection.id", "game.id", "player.id")
_COMMAND: Final = "A command that no message caused, within the request that did, or in a trace of its own: "
_SPANS: Final = (
    _span(
        SpanName.HANDSHAKE,
        SpanKind.SERVER,
        "From the request to its answer; the spans of the connection's messages link to it.",
        "outcome",
        "http.response.status_code",
        *_WHO,
    ),
    _span(
        SpanName.REQUEST,
        SpanKind.SERVER,
        "A request to the HTTP API; it continues the trace of a client that is trusted, and links to another's.",
        "http.route",
        "http.request.method",
        "http.response.status_code",
    ),
    *(
        _span(
            name,
            SpanKind.SERVER,
            f"A {type} message, from its arrival to its answer.",
            "message.outcome",
            "error.code",
            "late",
            *_WHO,
        )
        for type, name in MESSAGE_SPANS.items()
    ),
    _span(SpanName.CREATE, SpanKind.SERVER, _COMMAND + "a game is made.", *_WHO),
    _span(SpanName.JOIN, SpanKind.SERVER, _COMMAND + "a player comes in, or comes back.", *_WHO),
    _span(SpanName.DISCONNECT, SpanKind.INTERNAL, _COMMAND + "a player's connection has ended.", *_WHO),
    _span(SpanName.REMOVE, SpanKind.SERVER, _COMMAND + "a player is put out.", *_WHO),
    _span(SpanName.END, SpanKind.SERVER, _COMMAND + "an operator ends the game.", *_WHO),
    _span(SpanName.TICK, SpanKind.INTERNAL, _COMMAND + "a deadline has come.", *_WHO),
    _span(SpanName.DECIDE, SpanKind.INTERNAL, "The rules decide what follows from a command.", "events"),
    _span(
        SpanName.APPEND,
        SpanKind.PRODUCER,
        "The event log takes one commit; its events carry this span's context to the replicas.",
        "game.id",
        "events",
    ),
    _span(
        SpanName.FAN_OUT,
        SpanKind.CONSUMER,
        "One replica gives one event to all its members of the game.",
        "game.id",
        "event.type",
        "event.seq",
        "recipients",
    ),
    _span(
        SpanName.DELIVER,
        SpanKind.PRODUCER,
        "The event's frame, until a member's socket has taken it; links to that connection's handshake.",
        "event.type",
        "event.seq",
        "waited",
        *_WHO,
    ),
    _span(
        SpanName.JUDGE,
        SpanKind.CONSUMER,
        "A submission, from a worker's taking it to its verdict in the log.",
        "game.id",
        "player.id",
        "attempt",
        "verdict",
    ),
    _span(SpanName.JUDGE_RUN, SpanKind.CLIENT, "The sandbox runs the code against the tests.", "problem"),
)
SPANS: Final[dict[str, SpanSpec]] = {span.name: span for span in _SPANS}
"""All spans, by name."""
