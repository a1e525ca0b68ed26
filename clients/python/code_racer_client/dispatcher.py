"""The calls of the application's handlers: in order, each by itself, and never in the way of the connection.

They are made in a task of their own, which there is while something waits to be handed on: a handler may wait for an
answer that has yet to be read, may disconnect, and may raise. However long it takes, reading goes on: what comes when
enough waits is passed over, and events are asked for again once all handlers are done.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from code_racer_client.calling_out import CallFailed, call_out
from code_racer_client.message import JsonMessage, whole
from code_racer_client.subscriptions import Subscriptions

MAX_WAITING: Final = 1_000
"""So many messages wait at most, and as many events of the client's own beside them."""
FAULT: Final = "fault"
"""The client's own event: a handler has raised."""
RETRY: Final = "retry"
"""The client's own event: it waits to try again."""

_logger: Final = logging.getLogger("code_racer_client")
_call: ContextVar[object] = ContextVar("code_racer_client_call")


@dataclass(frozen=True, slots=True)
class _Told:
    """What waits to be handed on: a message, and the last event before it, or an event of the client's own."""

    type: str
    data: dict[str, Any]
    is_own: bool
    last_seq: int | None = None


class Dispatcher:
    """Hands on what has come: messages to `hand_on`, events of the client's own to their handlers."""

    def __init__(self, subscriptions: Subscriptions, hand_on: Callable[[JsonMessage], Awaitable[None]]) -> None:
        self.ask_again: Callable[[int | None], Awaitable[None]] = _nobody
        """Has the events after one sent again; set by who keeps the connection."""
        self._subscriptions = subscriptions
        self._hand_on = hand_on
        self._waiting: deque[_Told] = deque()
        self._task: asyncio.Task[None] | None = None
        self._current: object = None
        self._begun = asyncio.Event()
        self._passed_over: tuple[int | None] | None = None  # since the event after this one
        self._is_warned = False

    @property
    def is_calling_us(self) -> bool:
        """Whether this is done by the handler that is being called, or by what it waits for."""
        return self._current is not None and _call.get(None) is self._current

    @property
    def current(self) -> object:
        """The call that is being made, None where there is none: for `stop`."""
        return self._current

    def begin(self) -> None:
        """Be there for another connection: whoever stops the calls of the one before waits no longer."""
        self._begun.set()
        self._begun = asyncio.Event()

    def add(self, message: JsonMessage, last_seq: int | None) -> None:
        """Hand a message on; `last_seq` is that of the event before it.

        Where enough waits it is passed over, and so is what comes after an event that was, until that has come again.
        """
        if self._passed_over is None and len(self._waiting) < MAX_WAITING:
            self._add(_Told(str(message["type"]), message, is_own=False, last_seq=last_seq))
            return
        if self._passed_over is None and whole(message.get("seq")) is not None:
            self._passed_over = (last_seq,)
        self._warn()

    def tell(self, type: str, /, **data: Any) -> None:  # noqa: ANN401 - whatever the event says
        """Hand on an event of the client's own; where a handler does not return and many wait, it is passed over."""
        if len(self._waiting) < 2 * MAX_WAITING:
            self._add(_Told(type, data, is_own=True))

    def fault(self, error: BaseException, type: str) -> None:
        """Tell that the application's code has raised; where nobody listens, it is logged."""
        if self._subscriptions.has_handlers(FAULT):
            self.tell(FAULT, error=error, type=type)
        else:
            _log(error, type)

    async def call_handlers(self, type: str, data: JsonMessage) -> None:
        """Call the handlers of a type, one after the other; what one raises is told, and holds up no other."""
        for handler in self._subscriptions.take_handlers(type):
            try:
                await call_out(handler, data)
            except CallFailed as failed:
                if type == FAULT:
                    _log(failed.error, type)
                else:
                    self.fault(failed.error, str(data.get("type", type)) if type == "*" else type)

    def drop(self) -> tuple[int | None] | None:
        """Hand on no message that waits, and no next try; return the last event before, None where none waits."""
        dropped = [one for one in self._waiting if not one.is_own]
        self._waiting = deque(one for one in self._waiting if one.is_own and one.type != RETRY)
        passed_over, self._passed_over = self._passed_over, None
        return (dropped[0].last_seq,) if dropped else passed_over

    async def stop(self, call: object, patience_s: float) -> None:
        """End a call that was made before, and hand on what waits, for so long, or until another connection is begun.

        A handler's own call is left to itself. So is one that has begun after the end: it may have been told of that,
        and what it calls for is the next connection.
        """
        if self.is_calling_us:
            return
        begun = self._begun
        if call is not None and call is self._current:
            await self._end(patience_s)
        if self._task is None or self._task.done() or begun.is_set():
            return
        beginning = asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait({self._task, beginning}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            beginning.cancel()
            if not begun.is_set():
                self._waiting.clear()
                await self._end(patience_s)

    def _add(self, one: _Told) -> None:
        self._waiting.append(one)
        if self._is_idle:
            self._start()

    @property
    def _is_idle(self) -> bool:
        return self._task is None or self._task.done()

    def _warn(self) -> None:
        if not self._is_warned:
            self._is_warned = True
            _logger.warning("%d messages wait for their handlers: later ones are passed over for now", MAX_WAITING)

    def _start(self) -> asyncio.Task[None]:
        self._task = asyncio.get_running_loop().create_task(self._work(), name="handlers")
        return self._task

    async def _work(self) -> None:
        try:
            while self._waiting or self._passed_over is not None:
                if self._waiting:
                    one = self._waiting.popleft()
                    self._current = object()
                    _call.set(self._current)
                    await self._hand(one)
                elif self._passed_over is not None:  # all handlers are done
                    self._current = None
                    (last_seq,), self._passed_over = self._passed_over, None
                    await self.ask_again(last_seq)
        finally:
            self._current = None

    async def _hand(self, one: _Told) -> None:
        if one.is_own:
            await self.call_handlers(one.type, one.data)
            return
        try:
            await call_out(self._hand_on, one.data)
        except CallFailed as failed:  # of who overrides it: handlers' own have been told
            self.fault(failed.error, one.type)

    async def _end(self, patience_s: float) -> None:
        """Cancel the call that is made, wait for its end, and go on; one that will not end is left behind."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=patience_s)
        if self._waiting and self._is_idle:
            self._start()


async def _nobody(_: int | None) -> None:
    """Ask nobody."""


def _log(error: BaseException, type: str) -> None:
    _logger.error("%s: the application's code has raised", type, exc_info=error)
