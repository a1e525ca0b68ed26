"""HTTP with an end: every request is bounded in bytes and time, and so is the wait for whoever reads the answer.

A subclass of uvicorn's httptools protocol, which has no such bounds. It reads one request, hands it to the application
once it is whole, and reads on when that is answered: what was pipelined behind it waits in the socket. What arrives
behind an upgrade request goes on to the WebSocket. `HttpBounds` has all the bounds; they hold on each port.
"""

import asyncio
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

import httptools
from uvicorn import Config
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.protocol import encode, problem
from app.telemetry.observer import Observer
from app.transport import PROBLEM_HEADERS, LeanConfig, LeanTransport, http_answer
from app.transport.http_bounds import RETRY_MS, HttpBounds, HttpPlaces
from app.transport.http_head import (
    BadRequest,
    Framing,
    check_host,
    check_version_and_method,
    framing,
    malformed,
    origin_form,
    too_large,
)
from app.vocabulary import HttpRejection

MAX_UPGRADE_LINE: Final = 8_160
"""What `websockets` takes, which one of the transports reads the head with."""
LINGER_FACTOR: Final = 16
"""Of a peer that was refused so many requests' bytes are drained, and forgotten, so that it sees the answer."""
_EMPTY_LINE: Final = b"\r\n\r\n"
_HALF_EMPTY_LINES: Final = (b"\r\n\r", b"\r\n", b"\r")
_NO_BODY: Final = Framing(0, is_chunked=False)


class _Flow(FlowControl):
    """The application has all of its request: its wish for more must not have the next one read."""

    def resume_reading(self) -> None:
        """Nothing; see `read_on`."""

    def read_on(self) -> None:
        """Read again."""
        super().resume_reading()


class BoundedHttp(HttpToolsProtocol):
    """See the module."""

    flow: _Flow

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: HttpBounds,
        places: HttpPlaces,
        observer: Observer,
        lean: LeanConfig | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._lean = lean
        self._bounds = bounds
        self._places = places
        self._observer = observer
        self._address: str | None = None
        self._unparsed = b""
        self._request_bytes = 0
        self._body_bytes = 0
        self._framing = _NO_BODY
        self._in_head = True
        self._is_idle = False
        self._is_asked = False
        self._is_ending = False
        self._ready: tuple[RequestResponseCycle, ASGI3Application] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._write_timeout_s = bounds.http_write_timeout_s

    # ---------------------------------------------------------------- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """The first request must come, and be whole, in time; unless there are too many connections."""
        super().connection_made(transport)
        if hasattr(transport, "set_read_buffer_limits"):  # TLS has a buffer of its own before ours
            transport.set_read_buffer_limits(self._bounds.tls_unread_bytes)
        self.flow = _Flow(transport)
        self._address = self.client[0] if self.client else "unknown"
        if self._places.enter(self._address):
            self._expect_request()
        else:
            self._refuse_connection()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._leave()
        self._set_write_timer(None)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server goes down; whoever has not asked anything yet is not waited for, nor long who reads no answer."""
        self._write_timeout_s = self._shutdown_write_timeout_s
        if self.transport.get_write_buffer_size():
            self._expect_reader()
        if self._is_asked and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _leave(self) -> None:
        self._set_timer()
        if self._address is not None:
            self._places.leave(self._address)
            self._address = None

    # ---------------------------------------------------------------- reading

    def data_received(self, data: bytes) -> None:
        """Parse as far as the end of one request."""
        if self._is_ending:
            self._discard(len(data))
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
        data, at = self._unparsed, 0
        try:
            while at < (end := self._piece(data, at)) and not self._is_asked:
                self._take(end - at)
                at = self._feed(data, at, end)
        except BadRequest as bad:
            self._refuse(bad)
            return
        self._unparsed = data[at:]
        if not self._is_asked:
            self.flow.read_on()

    def _piece(self, data: bytes, at: int) -> int:
        """Where to stop: no later than at the request's end, whether the parser finds one there or not.

        A head and a chunked body end with an empty line; half of one waits for the rest of it.
        """
        if not self._in_head and not self._framing.is_chunked:
            return min(len(data), at + self._framing.length - self._body_bytes)
        found = data.find(_EMPTY_LINE, at)
        if found >= 0:
            return found + len(_EMPTY_LINE)
        half = next((half for half in _HALF_EMPTY_LINES if data.endswith(half, at)), b"")
        return len(data) - len(half)

    def _take(self, size: int) -> None:
        """Count bytes that are about to be parsed. Raises BadRequest."""
        bounds = self._bounds
        self._request_bytes += size
        if self._in_head and self._request_bytes > bounds.max_header_bytes:
            text = f"the request's head is longer than {bounds.max_header_bytes} bytes"
            raise too_large(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
        if self._request_bytes > bounds.max_request_bytes:
            text = f"the chunks' sizes, extensions and trailers are longer than {bounds.max_chunk_overhead_bytes} bytes"
            raise too_large(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)

    def _feed(self, data: bytes, at: int, end: int) -> int:
        """Have the parser take a piece; where to go on. Raises BadRequest."""
        try:
            self.parser.feed_data(memoryview(data)[at:end])
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self._upgrade(data[end:])
                return len(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, BadRequest):
                raise error.__context__ from None
            raise malformed("this is no valid HTTP request") from None
        return end

    # ---------------------------------------------------------------- what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; the fields of a trailer are nobody's (RFC 9110 section 6.5.1)."""
        if not self._in_head:
            return
        if len(self.headers) >= self._bounds.max_headers:
            text = f"the request has more than {self._bounds.max_headers} headers"
            raise too_large(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: it must be one that can be served."""
        self._in_head = False
        version = self.parser.get_http_version()
        check_version_and_method(version, self.parser.get_method())
        check_host(version, self.headers)
        self._framing = framing(version, self.headers)
        self.url, authority = origin_form(self.url)
        if authority is not None:  # which then stands for Host (RFC 9112 section 3.2.2)
            self.headers[:] = [(name, authority if name == b"host" else value) for name, value in self.headers]
        self._check_body()
        if self.parser.should_upgrade():
            self._check_upgrade(version)
        super().on_headers_complete()
        if self.expect_100_continue and self._ready is not None:
            self._ask_for_body(self._ready[0])

    def _check_body(self) -> None:
        if self._framing.length > self._bounds.max_body_bytes:
            raise self._body_too_large

    @property
    def _body_too_large(self) -> BadRequest:
        text = f"the request's body is longer than {self._bounds.max_body_bytes} bytes"
        return too_large(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)

    def _check_upgrade(self, version: str) -> None:
        if self._framing.has_body:  # the parser takes it for what follows the upgrade
            raise malformed("a request for an upgrade has no body")
        if not self._should_upgrade():
            return
        if version != "1.1":
            raise malformed("a WebSocket needs HTTP/1.1; behind nginx: proxy_http_version 1.1")
        longest = max(len(self.url), *(len(name) + len(value) for name, value in self.headers))
        if longest > MAX_UPGRADE_LINE:
            text = f"a line of the head is longer than {MAX_UPGRADE_LINE} bytes"
            raise too_large(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def _ask_for_body(self, cycle: RequestResponseCycle) -> None:
        cycle.waiting_for_100_continue = False
        if not self._body_bytes:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Not before the request is whole: see `on_message_complete`."""
        self._ready = cycle, app

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        if self._body_bytes > self._bounds.max_body_bytes:
            raise self._body_too_large
        self.cycle.body += body

    def on_message_complete(self) -> None:
        """The request is whole: the application may have it."""
        super().on_message_complete()
        if self._ready is not None:
            ready, self._ready = self._ready, None
            self._is_asked = True
            self._set_timer()
            super()._start_asgi_task(*ready)

    # ---------------------------------------------------------------- answering

    def on_response_complete(self) -> None:
        """Answered; what is to be sent is sent at the end of this turn of the event loop."""
        self.server_state.total_requests += 1
        self.loop.call_soon(self._settle)

    def _settle(self) -> None:
        """The next request is read once the answer is in the hands of the kernel."""
        if self.transport.get_write_buffer_size():
            self.transport.set_write_buffer_limits(0)  # paused at once, resumed when all is sent
        else:
            self._read_next()

    def _read_next(self) -> None:
        self._is_idle, self._is_asked, self._in_head = True, False, True
        self._request_bytes = self._body_bytes = 0
        if self.transport.is_closing():
            return
        if self._unparsed:
            self._read()
        else:
            self._set_timer(self._bounds.http_keep_alive_s, self.transport.close)
            self.flow.read_on()

    def pause_writing(self) -> None:
        """Something is unsent: it has to be taken in time, be it the answer or what came before the end."""
        super().pause_writing()
        self._expect_reader()

    def resume_writing(self) -> None:
        """It is sent, and where the answer is complete, all of it."""
        super().resume_writing()
        self._set_write_timer(None)
        if self._is_asked and self.cycle.response_complete:
            self.transport.set_write_buffer_limits()
            self._read_next()

    def _set_write_timer(self, timer: asyncio.TimerHandle | None) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._write_timer = timer

    def _expect_reader(self) -> None:
        self._set_write_timer(self.loop.call_later(self._write_timeout_s, self._on_unread))

    @property
    def _shutdown_write_timeout_s(self) -> float:
        """Well before uvicorn would cancel the application's task, which is a fault in the log."""
        return min(self._bounds.close_timeout_s, self.config.timeout_graceful_shutdown or math.inf) / 2

    def _on_unread(self) -> None:
        text = f"the answer was not taken within {self._write_timeout_s:g} s"
        self._observer.http_rejected(HttpRejection.UNREAD, None, text, str(self._address))
        self.transport.abort()

    # ---------------------------------------------------------------- upgrades

    def _upgrade(self, rest: bytes) -> None:
        self._leave()
        self.flow.read_on()  # from now on it is the WebSocket's to read, or not
        self.handle_websocket_upgrade()
        websocket = self.transport.get_protocol()
        if rest and isinstance(websocket, asyncio.Protocol):
            websocket.data_received(rest)
        self.parser = None  # type: ignore[assignment] # parser and protocol hold each other

    def handle_websocket_upgrade(self) -> None:
        """Give the socket to a transport of ours, with the head as it has been parsed, or to uvicorn's."""
        if self._lean is None:
            super().handle_websocket_upgrade()
            return
        self.connections.discard(self)
        websocket = LeanTransport(self._lean, self.server_state, self.transport)
        self.transport.set_protocol(websocket)
        websocket.begin(cast("dict[str, Any]", self.scope), self.url)

    # ---------------------------------------------------------------- time, and the end

    def _set_timer(self, delay_s: float = 0.0, on_end: Callable[[], None] | None = None) -> None:
        """There is one thing at a time to wait for: this from now on, or nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(delay_s, on_end) if on_end is not None else None

    def _expect_request(self) -> None:
        self._set_timer(self._bounds.handshake_timeout_s, self._on_timeout)

    def _on_timeout(self) -> None:
        text = f"the request was not whole within {self._bounds.handshake_timeout_s:g} s"
        self._refuse(BadRequest(HttpRejection.TIMEOUT, HTTPStatus.REQUEST_TIMEOUT, text))

    def _refuse(self, bad: BadRequest) -> None:
        """Answer and end: the way out is shut and the way in drained, as a reset would take the answer away."""
        if self.transport.is_closing():
            return
        self._answer(bad)
        self._is_ending = True
        self._unparsed = b""
        self._request_bytes = 0
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._set_timer(self._bounds.close_timeout_s, self.transport.abort)
            self.flow.read_on()
        else:
            self._set_timer()
            self.transport.close()

    def _discard(self, size: int) -> None:
        self._request_bytes += size
        if self._request_bytes > LINGER_FACTOR * self._bounds.max_request_bytes:
            self.transport.abort()

    def _refuse_connection(self) -> None:
        """No wait for the peer's end: it is its place that is wanted."""
        text = "too many connections are open; come back in a moment"
        self._answer(BadRequest(HttpRejection.TOO_MANY, HTTPStatus.SERVICE_UNAVAILABLE, text), RETRY_MS)
        self._is_ending = True
        self.transport.close()

    def _answer(self, bad: BadRequest, retry_after_ms: int | None = None) -> None:
        self._observer.http_rejected(bad.reason, bad.status, bad.detail, str(self._address))
        body = encode(problem(bad.status, bad.detail, bad.reason, retry_after_ms))
        headers = [*self.server_state.default_headers, *PROBLEM_HEADERS]
        if retry_after_ms is not None:
            headers.append((b"retry-after", b"%d" % max(1, -(-retry_after_ms // 1000))))
        self.transport.write(http_answer(bad.status, headers, body))
