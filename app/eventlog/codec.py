"""How a commit is stored: a JSON array of events, readable with any tool."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from types import GenericAlias

import msgspec

from app.game import EVENTS, GameEvent, GameFinished

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
        msgspec.MsgspecError: the bytes are no commit.
    """
    try:
        return _decode(data)
    except RecursionError:  # nested without end, in fields that are not ours
        raise msgspec.DecodeError("nested too deeply") from None


def ended_at(events: Sequence[GameEvent]) -> int | None:
    """Tell when the game finished (epoch ms), if it did in this commit."""
    last = events[-1]
    return last.at if isinstance(last, GameFinished) else None
