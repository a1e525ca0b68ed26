"""One address of the operators' API: what is asked there, and in words why something could not be."""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
API: Final = "/ops/api"
_MOST_BYTES: Final = 32 * 1024 * 1024
_JSON: Final = "application/json"
_NOTHING_THERE: Final = "nothing is served at this path"
"""What the service says of any other path; a proxy says less."""
_ADVICE: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "set OPS_TOKEN in the environment to that of the service",
    HTTPStatus.FORBIDDEN: "that needs the right to act: set OPS_TOKEN in the environment",
    HTTPStatus.TOO_MANY_REQUESTS: "wait a little, then ask again",
}


class CannotAskError(Exception):
    """Something could not be asked or done: where, why, and what helps. `is_gone`: what it was about is not there."""

    def __init__(self, text: str, *, is_gone: bool = False) -> None:
        super().__init__(text)
        self.is_gone = is_gone


class OpsService:
    """The operators' API at a URL. The token goes to nobody else: no redirect is followed, no proxy is asked.

    Who brings OPS_TOKEN, which many may, is logged by the name `operator`.
    """

    def __init__(self, url: str, token: str, operator: str, timeout_s: float) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._operator = operator
        self._timeout_s = timeout_s

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return an answer of the API. Raises CannotAskError."""
        return self.send("GET", path, query)

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Ask the API by any method; return what it answers. Raises CannotAskError."""
        text = self.text(method, path, query, body)
        try:
            told = json.loads(text) if text else {}
        except ValueError:
            raise self._cannot("what answers is no operators' API", "is that OPS_PORT?") from None
        return {"rows": told} if isinstance(told, list) else told

    def text(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> str:
        """Return the text of an answer of the API. Raises CannotAskError."""
        given = {key: value for key, value in (query or {}).items() if value is not None}
        target = API + path + (f"?{urlencode(given)}" if given else "")
        headers = {"Accept": f"{_JSON}, text/plain;q=0.5", "User-Agent": "code-racer"}
        if self._token:
            headers |= {"Authorization": f"Bearer {self._token}", "X-Operator": quote(self._operator)}
        if body is not None:
            headers["Content-Type"] = _JSON
        try:
            with closing(self._connection()) as connection:
                connection.request(method, target, json.dumps(body) if body is not None else None, headers)
                answer = connection.getresponse()
                read = answer.read(_MOST_BYTES).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise self._unreached(error) from None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise self._refused(answer.status, read)
        return read

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=self._timeout_s)

    def _cannot(self, what: str, advice: str, *, is_gone: bool = False) -> CannotAskError:
        return CannotAskError(f"{self.url}: {what}" + (f"; {advice}" if advice else ""), is_gone=is_gone)

    def _unreached(self, error: Exception) -> CannotAskError:
        if isinstance(error, ConnectionRefusedError):
            return self._cannot("nobody listens there", "does the service run, and is OPS_PORT (or --url) right?")
        if isinstance(error, socket.gaierror):
            return self._cannot("the name cannot be resolved", "is --url right?")
        if isinstance(error, TimeoutError):
            advice = "--timeout-s waits longer; SIGUSR2 has a process say where it is that answers nobody"
            return self._cannot(f"no answer within {self._timeout_s:g} s", advice)
        if isinstance(error, ssl.SSLError):
            return self._cannot(
                f"TLS: {error.reason or error}", "the ops port speaks http, unless a proxy is before it"
            )
        if isinstance(error, http.client.HTTPException):
            return self._cannot("what answers is no HTTP", "is that OPS_PORT?")
        return self._cannot(str(error) or type(error).__name__, "is --url right?")

    def _refused(self, status: int, text: str) -> CannotAskError:
        """Say what a problem document says, or what it means that there is none."""
        try:
            detail = str(json.loads(text)["detail"])
        except (ValueError, KeyError, TypeError):
            detail = _NOTHING_THERE if status == HTTPStatus.NOT_FOUND else "what answers says no more"
        if detail.startswith(_NOTHING_THERE):
            advice = "in production it is on OPS_PORT alone; a worker's is OPS_PORT + i"
            return self._cannot("there is no console, or none of this version", advice)
        advice = _ADVICE.get(status, "")
        if status == HTTPStatus.UNAUTHORIZED and self._token:
            advice = "OPS_TOKEN here is not that of the service, or the token has expired"
        return self._cannot(f"{status}: {detail}", advice, is_gone=status == HTTPStatus.NOT_FOUND)
