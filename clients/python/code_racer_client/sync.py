"""The same client for programs without asyncio, for one visit: it runs in a thread of its own.

Handlers are called in another one, one message after the other: they may call anything of the client, and wait for it.
An exception, Ctrl+C too, ends the wait it comes in; the context manager then leaves no thread and no socket. No thread
keeps a program from ending.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextvars import copy_context
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack

from code_racer_client import websocket
from code_racer_client.caller import Caller
from code_racer_client.errors import ClientError
from code_racer_client.message import JsonMessage
from code_racer_client.metrics import WebSocketMetrics
from code_racer_client.options import require_functions
from code_racer_client.state import ClientState
from code_racer_client.subscriptions import Handler

PlainHandler = Callable[[JsonMessage], object]
_T = TypeVar("_T")


class Options(TypedDict, total=False):
    """The options of the asyncio client, but for those that are asyncio's own."""

    max_reconnect_attempts: int | None
    give_up_after_s: float
    ping_interval_s: float
    pong_timeout_s: float
    open_timeout_s: float
    metrics: WebSocketMetrics | None
    client: str
    queue: int
    debug: websocket.Debug | None


class SyncGameWebSocket:
    """A player's connection to a game, for one visit: once disconnected, another one is made.

    What is said of `code_racer_client.GameWebSocket` holds here, but that each call waits for its answer. Waits end
    with the connection, which tries to come back for `give_up_after_s` at most. `refresh_token` may wait for what it
    likes; `debug` is called in the client's thread, and calls nothing of the client.
    """

    def __init__(
        self,
        game_id: str,
        token: str,
        backend_url: str,
        *,
        refresh_token: Callable[[], str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        require_functions(refresh_token=refresh_token)
        self._handlers_caller = Caller(f"game {game_id}: handlers")
        self._token_caller = Caller(f"game {game_id}: token")
        refresh = None if refresh_token is None else lambda: _call_out(self._token_caller, refresh_token)
        self._client = websocket.GameWebSocket(game_id, token, backend_url, refresh_token=refresh, **options)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left = asyncio.Event()
        self._is_over = False

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    # ---------------------------------------------------------------- use

    @property
    def state(self) -> ClientState:
        """Where the client stands."""
        return self._client.state

    @property
    def is_connected(self) -> bool:
        """Whether a message could be sent now."""
        return self._client.is_connected

    @property
    def last_seq(self) -> int | None:
        """The last event that has come; set before `connect`, the events after it are asked for."""
        return self._client.last_seq

    @last_seq.setter
    def last_seq(self, seq: int | None) -> None:
        self._client.last_seq = seq

    @property
    def welcome(self) -> JsonMessage | None:
        """The last ``welcome``."""
        return self._client.welcome

    @property
    def metrics(self) -> WebSocketMetrics:
        """What is counted."""
        return self._client.metrics

    def connect(self, *, timeout_s: float | None = None) -> None:
        """Connect and wait for ``welcome``; from then on the connection keeps itself up.

        Raises what the asyncio client does, or TimeoutError; then it is over, and no thread is left.
        """
        answer = self._begin(self._client.connect())
        try:
            _wait_for(answer, timeout_s)
        except BaseException:  # Ctrl+C too: no thread stays of what did not connect, the cause goes on up
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """Close with 1000 and come back no more; the threads end, that of a handler once it returns."""
        self._require_elsewhere()
        try:
            with contextlib.suppress(ClientError):  # it is over already
                self._ask(self._client.disconnect())
        finally:
            self._leave()

    def wait_closed(self, *, timeout_s: float | None = None) -> None:
        """Wait until the connection has ended for good. Raises Refused, Disconnected, ClientError or TimeoutError."""
        self._ask(self._client.wait_closed(), timeout_s)

    def send_message(self, type: str, data: object, *, id: str | None = None) -> Literal["sent", "queued"]:
        """Send one message; return ``queued`` where it waits for the connection. Raises ClientError."""
        return self._ask(self._client.send_message(type, data, id=id))

    def request(self, type: str, data: object, *, timeout_s: float | None = None, id: str | None = None) -> int | None:
        """Send one message and wait for its ``ack``: the seq of the event it caused, if any.

        Raises Rejected, ClientError or TimeoutError.
        """
        return self._ask(self._client.request(type, data, timeout_s=timeout_s, id=id))

    def wait_for(self, type: str, *, since: int | None = None, timeout_s: float | None = None) -> JsonMessage:
        """Return the next message of a type; with `since`, also one of the last 100 events, later than that.

        Raises what ended the connection, or TimeoutError. What comes between two calls is seen with `since` only.
        """
        return self._ask(self._client.wait_for(type, since=since, timeout_s=timeout_s))

    def on(self, type: str, handler: PlainHandler) -> None:
        """Call `handler` with every message of a type, ``"*"`` for all."""
        self._change(self._client.on, type, handler)

    def once(self, type: str, handler: PlainHandler) -> None:
        """Call `handler` with the next message of a type."""
        self._change(self._client.once, type, handler)

    def off(self, type: str, handler: PlainHandler) -> None:
        """Call `handler` no more."""
        self._change(self._client.off, type, handler)

    # ---------------------------------------------------------------- between the threads

    def _begin(self, coroutine: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Have something done in the client's thread, which is started where it does not run."""
        try:
            self._require_elsewhere()
            with self._lock:
                return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())
        except ClientError:
            coroutine.close()
            raise

    def _require_elsewhere(self) -> None:
        if threading.current_thread() is self._thread:
            raise ClientError("this waits for itself")

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._is_over:
            raise ClientError("disconnected: another visit is another client's")
        if self._loop is None:
            up: Future[asyncio.AbstractEventLoop] = Future()
            self._thread = threading.Thread(
                target=asyncio.run, args=(self._stay(up),), name=f"game {self._client.game_id}", daemon=True
            )
            self._thread.start()
            self._loop = up.result()
        return self._loop

    async def _stay(self, up: Future[asyncio.AbstractEventLoop]) -> None:
        up.set_result(asyncio.get_running_loop())
        await self._left.wait()

    def _leave(self) -> None:
        """End the client's thread: what is asked for before this is answered, and nothing is asked for after it."""
        with self._lock:
            loop, self._loop = self._loop, None
            self._is_over = True
            if loop is not None:
                loop.call_soon_threadsafe(self._left.set)
        if self._thread is not None:
            self._thread.join()
        self._handlers_caller.end()
        self._token_caller.end()

    def _ask(self, coroutine: Coroutine[Any, Any, _T], timeout_s: float | None = None) -> _T:
        """Have something done in the client's thread, and wait for it."""
        return _wait_for(self._begin(coroutine), timeout_s)

    def _change(self, change: Callable[[str, Handler], None], type: str, handler: PlainHandler) -> None:
        """Change whose handlers there are: in the client's thread, while it runs."""
        called = _Called(self._handlers_caller, handler)
        with self._lock:
            if self._loop is None:
                change(type, called)
            else:
                self._loop.call_soon_threadsafe(change, type, called)


@dataclass(frozen=True, slots=True)
class _Called:
    """A handler as the client calls it; equal to another of the same handler, so that it can be taken off."""

    caller: Caller
    handler: PlainHandler

    def __call__(self, message: JsonMessage) -> Awaitable[None]:
        """Have it called where it may wait."""
        return _call_out(self.caller, self.handler, message)


def _wait_for(answer: Future[_T], timeout_s: float | None) -> _T:
    try:
        return answer.result(timeout_s)
    except CancelledError:
        raise ClientError("disconnected") from None
    except BaseException:  # Ctrl+C and the timeout too: what nobody waits for any more is not done
        answer.cancel()
        raise


def _call_out(caller: Caller, function: Callable[..., object], *arguments: object) -> asyncio.Future[Any]:
    """Call a function of the application where it may wait; that it is a handler is known there too."""
    run = copy_context().run
    return asyncio.wrap_future(caller.call(lambda: run(function, *arguments)))
