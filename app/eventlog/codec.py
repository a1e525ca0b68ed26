"""How a commit is stored: a JSON array of events, readable with any tool."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from types import GenericAlias

import msgspec

from app.eventlog.port import LogUnavailable
from app.game import EVENTS, GameEvent, GameFinished
from app.vocabulary import LogTrouble

_encode = msgspec.json.Encoder().encode
_decode: Callable[[bytes], tuple[GameEvent, ...]] = msgspec.json.Decoder(
    GenericAlias(tuple, (reduce(or_, EVENTS), ...))
).decode


def encode_events(events: Sequence[GameEvent]) -> bytes:
    """Encode the events of a commit."""
    return _encode(events)


def decode_events(data: bytes) -> tuple[GameEvent, ...]:
    """Decode the events of a commit.

    Raises:
        LogUnavailable: a newer release wrote them, or they are damaged. Nothing is passed over: the game waits for
            whoever can read it.
    """
    try:
        return _decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:  # the latter: nested without end, in fields not ours
        text = f"an event of a newer release, or damaged: {type(error).__name__}"
        raise LogUnavailable(text, LogTrouble.UNREADABLE) from error


def ended_at(events: Sequence[GameEvent]) -> int | None:
    """Tell when the game finished (epoch ms), if it did in this commit."""
    last = events[-1]
    return last.at if isinstance(last, GameFinished) else None
