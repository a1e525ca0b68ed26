"""A release from before `hello`, as met in a rolling deploy: it neither knows the message nor says what it accepts."""

import sys
from typing import Any

import msgspec

from app.__main__ import main
from app.protocol import Batch, ClientMessage, InvalidMessage, WelcomeData, decode
from app.realtime.connection import inbox
from app.realtime.room.welcome import Welcome
from app.vocabulary import ErrorCode

_message = Welcome.message


def _decode(payload: bytes, max_batch: int) -> ClientMessage | Batch:
    message = decode(payload, max_batch)
    if message.type == "hello":
        raise InvalidMessage(ErrorCode.UNKNOWN_TYPE, "unknown message type", type="hello")
    return message


def _say_no_types(self: Welcome, *arguments: Any) -> WelcomeData:
    return msgspec.structs.replace(_message(self, *arguments), accepts=msgspec.UNSET)


if __name__ == "__main__":
    inbox.decode = _decode  # type: ignore[assignment,attr-defined] # as it was
    Welcome.message = _say_no_types  # type: ignore[method-assign,assignment] # as it was
    sys.exit(main())
