"""HTTP with an end: requests must be whole within a time, and their heads within a size.

A thin subclass of uvicorn's httptools protocol, which has neither limit: a client that sends nothing, or headers
for ever, would hold its socket and its bytes for as long as it likes. What arrives behind an upgrade request goes
on to the WebSocket instead of being lost.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final, cast

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from app.realtime.transport import LeanConfig, LeanTransport
from app.telemetry.observer import HttpRejection, Observer

MAX_UPGRADE_LINE: Final = 8_160
MAX_UPGRADE_HEADERS: Final = 128
"""What `websockets` takes, which one of the transports reads the head with."""


class BoundedHttp(HttpToolsProtocol):
    """See the module."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        timeout_s: float,
        max_head_bytes: int,
        observer: Observer,
        lean: LeanConfig | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._lean = lean
        self._timeout_s = timeout_s
        self._max_head_bytes = max_head_bytes
        self._observer = observer
        self._head_bytes = 0
        self._in_head = True
        self._rejected = False
        self._request_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """The first request must come, and be whole, in time."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; hand what follows an upgrade request to the WebSocket."""
        if self._rejected:
            return
        if self._in_head:
            self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._disarm()
            if self._should_upgrade():
                self._upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._reject(HttpRejection.MALFORMED, HTTPStatus.BAD_REQUEST, "this is no valid HTTP request")
            return
        if self._in_head and self._head_bytes > self._max_head_bytes:
            self._reject_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if self._request_timer is None:
            self._arm()

    def on_headers_complete(self) -> None:
        """The head is whole: it may still be too large."""
        self._in_head = False
        head_bytes = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if head_bytes > self._max_head_bytes:
            self._reject_head()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self._rejected:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._disarm()
        self._in_head = True
        self._head_bytes = 0
        if not self._rejected:
            super().on_message_complete()

    def shutdown(self) -> None:
        """The server goes down; whoever has not asked anything yet is not waited for."""
        self._disarm()
        super().shutdown()

    def _upgrade(self, rest: bytes) -> None:
        if self._rejected:
            return
        longest = max(len(self.url), *(len(name) + len(value) for name, value in self.headers))
        if longest > MAX_UPGRADE_LINE or len(self.headers) > MAX_UPGRADE_HEADERS:
            self._reject_upgrade()
            return
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

    def _arm(self) -> None:
        self._request_timer = self.loop.call_later(self._timeout_s, self._on_timeout)

    def _disarm(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _on_timeout(self) -> None:
        self._request_timer = None
        text = f"the request was not whole within {self._timeout_s:g} s"
        self._reject(HttpRejection.TIMEOUT, HTTPStatus.REQUEST_TIMEOUT, text)

    def _reject_head(self) -> None:
        text = f"the request's head is longer than {self._max_head_bytes} bytes"
        self._reject(HttpRejection.TOO_LARGE, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def _reject_upgrade(self) -> None:
        text = (
            f"a line of the head is longer than {MAX_UPGRADE_LINE} bytes, or it has over {MAX_UPGRADE_HEADERS} headers"
        )
        self._reject(HttpRejection.TOO_LARGE, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)

    def _reject(self, reason: HttpRejection, status: HTTPStatus, text: str) -> None:
        """Answer and close; nothing of the request is shown."""
        if self._rejected or self.transport.is_closing():
            return
        self._rejected = True
        self._disarm()
        self._observer.http_rejected(reason)
        head = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + text.encode())
        self.transport.close()
