"""HTTP with an end: every request is bounded in bytes and time, and so is the wait for whoever reads the answer.

A subclass of uvicorn's httptools protocol, which has no such bounds. The bounds are settings; they hold on each port.
Four arguments of the constructor are uvicorn's.

How it works. All of it runs on the event loop; a connection has one request at a time.

- Reading. `data_received` collects bytes; `_read` feeds them to the parser piece by piece, never beyond the end of one
  request. The parser calls the `on_…` methods meanwhile; one that raises BadRequest ends the reading (`_refuse`). What
  was pipelined behind the request stays in `_unparsed`, and the socket is paused, until the request is answered.
- Answering. Only when the request is whole does the application get it, in a task of its own, which writes to the
  socket. `on_response_complete` comes when it has written all; `_settle` waits until the kernel has taken it
  (`resume_writing`), and `_read_next` begins the next request.
- Time. `_deadline` waits for the peer's next step: a whole request, the next one, its end. `_write_deadline` waits for
  the peer to read: it runs while the socket's buffer is not empty or over its mark (`pause_writing`).
- Elsewhere. Of several workers only one has a game. When the head says that it is another's, the socket goes there with
  all that was read of this request and behind it, and is ours no more.
- The end. A request that is refused is answered, and the connection closed lingering. After an upgrade the socket
  belongs to a WebSocket transport, with whatever came behind the request, and nothing here is called any more.
"""

import asyncio
import math
from http import HTTPStatus
from typing import Any, Final, cast

import httptools
from uvicorn import Config
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.aio.deadline import Deadline
from app.rate_limits import BUSY_RETRY_S, spread_ms
from app.settings import Settings
from app.telemetry.observer import Observer
from app.transport.elsewhere import Elsewhere, Handed
from app.transport.ends import ends
from app.transport.http_answer import error_answer
from app.transport.http_connections import HttpConnections
from app.transport.http_head import BadRequest, malformed
from app.transport.http_request import BoundedRequest
from app.transport.lean import LeanContext, LeanTransport
from app.transport.lingering_close import LingeringClose
from app.vocabulary import HttpRejection

LINGER_FACTOR: Final = 16
"""Of a peer that was refused so many requests' bytes are drained, and forgotten, so that it sees the answer."""


class _Flow(FlowControl):
    """Flow control whose reading the application cannot resume: it has all of its request."""

    def resume_reading(self) -> None:
        """Do nothing: what the application wishes is the body, and reading on would bring the next request."""

    def read_on(self) -> None:
        """Read again."""
        super().resume_reading()


def _no_descriptors() -> BadRequest:
    text = "the server has no file descriptors left (ulimit -n); come back in a moment"
    return BadRequest(HttpRejection.NO_DESCRIPTORS, HTTPStatus.SERVICE_UNAVAILABLE, text)


class BoundedHttp(HttpToolsProtocol):
    """One connection, from its first byte to its end or to an upgrade."""

    flow: _Flow

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        settings: Settings,
        table: HttpConnections,
        observer: Observer,
        lean: LeanContext | None = None,
        elsewhere: Elsewhere | None = None,
        read_already: bytes = b"",
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._elsewhere = elsewhere
        self._head = b""
        self._lean = lean
        self._settings = settings
        self._table = table
        self._observer = observer
        self._address = "unknown"
        self._counted_as: str | None = None
        self._unparsed = read_already
        self._request = BoundedRequest(settings)
        self._is_idle = False
        self._is_asked = False
        self._is_upgrade: bool | None = None
        self._ready: tuple[RequestResponseCycle, ASGI3Application] | None = None
        self._closing: LingeringClose | None = None
        self._deadline = Deadline()
        self._write_deadline = Deadline()
        self._write_timeout_s = settings.http_write_timeout_s

    # ---------------------------------------------------------------- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Wait for the first request, which must be whole in time; unless there are too many connections."""
        self.connections.add(self)
        self.transport = transport
        self.server, self.client = ends(transport)
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        if hasattr(transport, "set_read_buffer_limits"):  # TLS has a buffer of its own before ours
            transport.set_read_buffer_limits(self._settings.tls_unread_bytes)
        self.flow = _Flow(transport)
        if self.client:
            self._address = self.client[0]
        self._counted_as = self._table.add(self._address)
        retry_ms = spread_ms(*BUSY_RETRY_S)
        if self._table.lacks_descriptors(transport):
            self._refuse(_no_descriptors(), retry_ms)
        elif self._table.admits(self._address, self._counted_as, retry_ms):
            self._expect_request()
            if self._unparsed:
                self._read()
        else:
            text = "too many connections are open; come back in a moment"
            self._refuse(BadRequest(HttpRejection.TOO_MANY, HTTPStatus.SERVICE_UNAVAILABLE, text), retry_ms)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._leave()
        self._write_deadline.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End as the server goes down, which waits for no request, and not long for whoever does not read its answer.

        The wait ends well before uvicorn would cancel the application's task, which is a fault in the log.
        """
        wait_s = min(self._settings.close_timeout_s, self.config.timeout_graceful_shutdown or math.inf)
        self._write_timeout_s = wait_s / 2
        if self.transport.get_write_buffer_size():
            self._expect_reader()
        if self._is_asked and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _leave(self) -> None:
        self._deadline.cancel()
        if self._counted_as is not None:
            self._table.remove(self._counted_as)
            self._counted_as = None

    # ---------------------------------------------------------------- reading

    def data_received(self, data: bytes) -> None:
        """Parse as far as the end of one request."""
        if self._closing is not None:
            self._closing.discard(len(data))
            return
        self._unparsed += data
        if not self._is_asked:
            self._read()
        elif self.flow.write_paused or not self.cycle.response_complete:  # else it is read in the next turn
            self.flow.pause_reading()

    def _read(self) -> None:
        """Parse what has come, up to the end of a request: what is behind it waits until that is answered."""
        if self._is_idle:
            self._is_idle = False
            self._expect_request()
        request, data, at = self._request, self._unparsed, 0
        try:
            while at < (end := request.end_of_piece(data, at)) and not self._is_asked:
                request.count(end - at)
                at = self._feed(data, at, end)
        except BadRequest as bad:
            self._refuse(bad)
            return
        except Handed as handed:
            refusal = handed.send(self.transport, self._head + data)
            if refusal is not None:
                self._refuse(refusal, spread_ms(*BUSY_RETRY_S), lingers=True)
                return
            self._unparsed = self._head = b""
            self._leave()
            self.transport.abort()  # closes our descriptor; the connection has another
            return
        self._unparsed = data[at:]
        if self._elsewhere is not None:
            self._head = self._head + data[:at] if self._request.is_in_head else b""
        if not self._is_asked:
            self.flow.read_on()

    def _feed(self, data: bytes, at: int, end: int) -> int:
        """Have the parser take a piece; return where to go on. Raises BadRequest."""
        try:
            self.parser.feed_data(memoryview(data)[at:end])
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self._upgrade(data[end:])
                return len(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, (BadRequest, Handed)):
                raise error.__context__ from None
            raise malformed("this is no valid HTTP request") from None
        return end

    def _expect_request(self) -> None:
        self._deadline.set(self._settings.handshake_timeout_s, self._on_timeout)

    def _on_timeout(self) -> None:
        text = f"the request was not whole within {self._settings.handshake_timeout_s:g} s"
        self._refuse(BadRequest(HttpRejection.TIMEOUT, HTTPStatus.REQUEST_TIMEOUT, text))

    # ---------------------------------------------------------------- what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; the fields of a trailer are nobody's (RFC 9110 section 6.5.1)."""
        if not self._request.is_in_head:
            return
        self._request.count_header()
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Check the whole head: it must be one that can be served."""
        version = self.parser.get_http_version()
        method = self.parser.get_method()
        self.url, authority = self._request.finish_head(version, method, self.url, self.headers)
        if authority is not None:  # which then stands for Host (RFC 9112 section 3.2.2)
            self.headers[:] = [(name, authority if name == b"host" else value) for name, value in self.headers]
        if self.parser.should_upgrade():
            self._request.check_upgrade(version, self.url, self.headers, to_websocket=self._should_upgrade())
        if self._elsewhere is not None:
            self._elsewhere.check(self.url)
        super().on_headers_complete()
        if self.expect_100_continue and self._ready is not None:
            self.cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Keep what the head asks for until the request is whole, which `on_message_complete` says."""
        self._ready = cycle, app

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._request.count_body(len(body))
        self.cycle.body += body

    def on_message_complete(self) -> None:
        """Give the whole request to the application."""
        super().on_message_complete()
        if self._ready is not None:
            ready, self._ready = self._ready, None
            self._is_asked = True
            self._deadline.cancel()
            super()._start_asgi_task(*ready)

    # ---------------------------------------------------------------- answering

    def on_response_complete(self) -> None:
        """Go on when the answer is sent, which happens at the end of this turn of the event loop."""
        self.server_state.total_requests += 1
        self.loop.call_soon(self._settle)

    def _settle(self) -> None:
        """Read the next request once the answer is in the hands of the kernel."""
        if self.transport.get_write_buffer_size():
            self.transport.set_write_buffer_limits(0)  # paused at once, resumed when all is sent
        else:
            self._read_next()

    def _read_next(self) -> None:
        self._is_idle, self._is_asked, self._is_upgrade = True, False, None
        self._request = BoundedRequest(self._settings)
        if self.transport.is_closing():
            return
        if self._unparsed:
            self._read()
        else:
            self._deadline.set(self._settings.http_keep_alive_s, self.transport.close)
            self.flow.read_on()

    def pause_writing(self) -> None:
        """Bound the time until what is unsent is taken, be it the answer or what came before its end."""
        super().pause_writing()
        self._expect_reader()

    def resume_writing(self) -> None:
        """Go on: it is sent, and where the answer is complete, all of it."""
        super().resume_writing()
        self._write_deadline.cancel()
        if self._is_asked and self.cycle.response_complete:
            self.transport.set_write_buffer_limits()
            self._read_next()

    def _expect_reader(self) -> None:
        self._write_deadline.set(self._write_timeout_s, self._on_unread)

    def _on_unread(self) -> None:
        text = f"the answer was not taken within {self._write_timeout_s:g} s"
        self._observer.http_rejected(HttpRejection.UNREAD, None, text, self._address)
        self.transport.abort()

    # ---------------------------------------------------------------- upgrades, and the end

    def _should_upgrade(self) -> bool:
        """Return whether the request is for a WebSocket; uvicorn asks several times, and would look anew each time."""
        if self._is_upgrade is None:
            self._is_upgrade = super()._should_upgrade()
        return self._is_upgrade

    def _upgrade(self, rest: bytes) -> None:
        """Give the socket to a transport of ours, with the head as it has been parsed, or to uvicorn's."""
        self._leave()
        self.flow.read_on()  # from now on it is the WebSocket's to read, or not
        if self._lean is None:
            self.handle_websocket_upgrade()
        else:
            self.connections.discard(self)
            lean = LeanTransport(self._lean, self.server_state, self.transport)
            self.transport.set_protocol(lean)
            lean.begin(cast("dict[str, Any]", self.scope), self.url)
        websocket = self.transport.get_protocol()
        if rest and isinstance(websocket, asyncio.Protocol):
            websocket.data_received(rest)
        self.parser = None  # type: ignore[assignment] # parser and protocol hold each other

    def _refuse(self, bad: BadRequest, retry_after_ms: int | None = None, *, lingers: bool = False) -> None:
        """Answer and end; with `retry_after_ms` without waiting for the peer: it is its connection that is too many.

        Unless it `lingers`: what is too much is not its connection, then.
        """
        if self.transport.is_closing():
            return
        self._observer.http_rejected(bad.reason, bad.status, bad.detail, self._address)
        headers = self.server_state.default_headers
        self.transport.write(error_answer(bad.status, bad.detail, bad.reason, headers, retry_after_ms))
        self._unparsed = b""
        self._closing = LingeringClose(self.transport, LINGER_FACTOR * self._settings.max_request_bytes)
        self._deadline.cancel()
        if retry_after_ms is not None and not lingers:
            self.transport.close()
        elif self._closing.begin():
            self._deadline.set(self._settings.close_timeout_s, self.transport.abort)
            self.flow.read_on()
