"""Messages that wait for their answer."""

import asyncio

from code_racer_client.errors import ClientError, Rejected
from code_racer_client.message import JsonMessage, retry_after_s


class Requests:
    """Keeps each message until its ``ack`` or ``error`` has come, so that it can be sent again after a reconnect."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, asyncio.Future[int | None]]] = {}

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The messages whose answer has not come, encoded, in the order in which they were first sent.

        None of those that the server has asked to send later: they are added again when it is time.
        """
        return tuple(text for text, answer in self._waiting.values() if not answer.done())

    def require_new(self, id: str) -> None:
        """Require that no message with this id waits: one answer is for one. Raises ClientError."""
        if id in self._waiting:
            raise ClientError(f"a request with the id {id} waits for its answer already")

    def add(self, id: str, text: str) -> asyncio.Future[int | None]:
        """Keep a message until `remove`; return the future of its answer, the seq of the event it caused."""
        answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waiting[id] = (text, answer)
        return answer

    def remove(self, id: str) -> None:
        """Forget a message: it is not sent again."""
        _, answer = self._waiting.pop(id, (None, None))
        if answer is not None and answer.done() and not answer.cancelled():
            answer.exception()  # who asked may have been cancelled before hearing of it

    def on_ack(self, data: JsonMessage) -> None:
        """Hand an ``ack`` to whoever waits for it."""
        answer = self._find(data)
        if answer is not None:
            answer.set_result(data.get("seq"))

    def on_error(self, data: JsonMessage) -> None:
        """Hand an ``error`` to whoever waits for it."""
        answer = self._find(data)
        if answer is not None:
            answer.set_exception(Rejected(str(data.get("code")), str(data.get("message")), retry_after_s(data)))

    def fail(self, error: ClientError) -> None:
        """Tell all who wait that no answer will come."""
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)

    def _find(self, data: JsonMessage) -> asyncio.Future[int | None] | None:
        _, answer = self._waiting.get(str(data.get("id")), (None, None))
        return None if answer is None or answer.done() else answer
