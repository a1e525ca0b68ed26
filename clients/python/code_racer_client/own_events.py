"""What the events of the client's own say."""

from typing import Any, TypedDict

from code_racer_client.state import ClientState


class State(TypedDict):
    """It is another."""

    state: ClientState


class End(TypedDict):
    """It is over for good; `code` is that of the close, or the status of the refusal, 0: nobody answered."""

    code: int
    reason: str
    detail: str


class Retry(End):
    """It waits to try again, and why; `attempt` counts those in a row that nobody asked for."""

    delay_s: float
    attempt: int


class Fault(TypedDict):
    """A handler for `type` has raised."""

    error: BaseException
    type: str


class Dropped(TypedDict):
    """A message that waited for the connection will not be sent, or was refused."""

    type: str
    data: Any
    error: Exception
