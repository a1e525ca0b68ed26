"""The wire: messages, codec and the close table.

One JSON text frame is one message, ``{"type": string, "data": object, ...}``. This package is the single
source of the message types, the error codes and the close codes: the server, the Python client, the
metric labels and the documentation derive from it. Times are epoch milliseconds.
"""

from app.protocol.client import (
    BATCH,
    CLIENT_TYPES,
    MAX_BATCH,
    MAX_ID_LENGTH,
    MAX_TOKEN_LENGTH,
    RECEIVED_TYPES,
    SUBPROTOCOL,
    TOKEN_SUBPROTOCOL_PREFIX,
    AuthMessage,
    ClientMessage,
    LeaveMessage,
    Message,
    Ping,
    PingMessage,
    Progress,
    ProgressMessage,
    Ready,
    ReadyMessage,
    SubmitCodeMessage,
)
from app.protocol.closes import (
    CLOSE_TABLE,
    Close,
    CloseRow,
    client_close,
    should_reconnect,
)
from app.protocol.codec import (
    MALFORMED,
    Batch,
    InvalidMessage,
    decode,
    decode_server_message,
    encode,
)
from app.protocol.problems import problem
from app.protocol.server import DURABLE_TYPES, SENT_TYPES

__all__ = [
    "BATCH",
    "CLIENT_TYPES",
    "CLOSE_TABLE",
    "DURABLE_TYPES",
    "MALFORMED",
    "MAX_BATCH",
    "MAX_ID_LENGTH",
    "MAX_TOKEN_LENGTH",
    "RECEIVED_TYPES",
    "SENT_TYPES",
    "SUBPROTOCOL",
    "TOKEN_SUBPROTOCOL_PREFIX",
    "AuthMessage",
    "Batch",
    "ClientMessage",
    "Close",
    "CloseRow",
    "InvalidMessage",
    "LeaveMessage",
    "Message",
    "Ping",
    "PingMessage",
    "Progress",
    "ProgressMessage",
    "Ready",
    "ReadyMessage",
    "SubmitCodeMessage",
    "client_close",
    "decode",
    "decode_server_message",
    "encode",
    "problem",
    "should_reconnect",
]
