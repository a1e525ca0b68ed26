"""One fetch of a JSON Web Key Set (RFC 7517 section 5), bounded in bytes, keys and time; it follows no redirect."""

import contextlib
import http.client
import json
import socket
import urllib.request
from functools import partial
from typing import Any, Final

from jwt import PyJWKSet

from app.settings import AuthSettings

HANDLERS: Final = (
    urllib.request.ProxyHandler, urllib.request.HTTPErrorProcessor, urllib.request.HTTPDefaultErrorHandler,
)  # fmt: skip
"""None for redirects, and none for file, ftp and data URLs."""


class KeySetTooLarge(ValueError):  # noqa: N818 - shown by this name
    """The answer has more bytes, or more keys, than are taken."""


class KeySetFetch:
    """Runs once, in a thread; `end` may be called from another one, and ends it where it waits for the provider."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._socket: socket.socket | None = None
        self._is_ended = False

    def run(self) -> PyJWKSet:
        """Fetch the keys. Raises whatever is raised for what the provider answers: be ready for anything."""
        opener = urllib.request.OpenerDirector()
        for handler in (*(kind() for kind in HANDLERS), _Http(self), _Https(self)):
            opener.add_handler(handler)
        with opener.open(self._settings.jwt_jwks_url, timeout=self._settings.jwks_timeout_s) as response:
            body = response.read(self._settings.jwks_max_bytes + 1)
        if self._is_ended:
            raise TimeoutError("the key set did not come whole in time")
        if len(body) > self._settings.jwks_max_bytes:
            raise KeySetTooLarge(f"more than {self._settings.jwks_max_bytes} bytes")
        return self._key_set(json.loads(body))

    def end(self) -> None:
        """Wait no longer."""
        self._is_ended = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def waits_on(self, connected: socket.socket) -> None:
        """Remember the socket that is waited on from now on."""
        self._socket = connected
        if self._is_ended:
            self.end()

    def _key_set(self, document: dict[str, Any]) -> PyJWKSet:
        if len(document["keys"]) > self._settings.jwks_max_keys:
            raise KeySetTooLarge(f"more than {self._settings.jwks_max_keys} keys")
        return PyJWKSet.from_dict(document)


class _WatchedConnection(http.client.HTTPConnection):
    def __init__(self, fetch: KeySetFetch, host: str, **options: Any) -> None:  # noqa: ANN401 - what urllib passes on
        super().__init__(host, **options)
        self._fetch = fetch

    def connect(self) -> None:
        super().connect()
        self._fetch.waits_on(self.sock)


class _WatchedTlsConnection(http.client.HTTPSConnection):
    def __init__(self, fetch: KeySetFetch, host: str, **options: Any) -> None:  # noqa: ANN401 - what urllib passes on
        super().__init__(host, **options)
        self._fetch = fetch

    def connect(self) -> None:
        super().connect()
        self._fetch.waits_on(self.sock)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, fetch: KeySetFetch) -> None:
        super().__init__()
        self._connect = partial(_WatchedConnection, fetch)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, fetch: KeySetFetch) -> None:
        super().__init__()
        self._connect = partial(_WatchedTlsConnection, fetch)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)
