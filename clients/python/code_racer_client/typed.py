"""The client, for those who have their programs checked."""

from typing import TYPE_CHECKING

from code_racer_client.calls import Listen, Request, SendMessage, SyncRequest, SyncSendMessage, SyncWaitFor, WaitFor
from code_racer_client.sync import SyncGameWebSocket
from code_racer_client.websocket import GameWebSocket


class TypedGameWebSocket(GameWebSocket):
    """A `GameWebSocket` of which type checkers know what each message holds: misspelt names and data are errors."""

    if TYPE_CHECKING:  # narrower than what it inherits, which takes any name
        on: Listen  # type: ignore[assignment]
        once: Listen  # type: ignore[assignment]
        off: Listen  # type: ignore[assignment]
        wait_for: WaitFor  # type: ignore[assignment]
        send_message: SendMessage  # type: ignore[assignment]
        request: Request  # type: ignore[assignment]


class TypedSyncGameWebSocket(SyncGameWebSocket):
    """The same of a `SyncGameWebSocket`."""

    if TYPE_CHECKING:  # as above
        on: Listen  # type: ignore[assignment]
        once: Listen  # type: ignore[assignment]
        off: Listen  # type: ignore[assignment]
        wait_for: SyncWaitFor  # type: ignore[assignment]
        send_message: SyncSendMessage  # type: ignore[assignment]
        request: SyncRequest  # type: ignore[assignment]
