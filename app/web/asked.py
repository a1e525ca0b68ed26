"""A request as the checks see it: Litestar's, or an upgrade's, which costs a tenth of Litestar's to make."""

from typing import Any, Protocol

from litestar.connection import ASGIConnection
from litestar.datastructures import MultiDict
from litestar.types import Receive, Scope, Send

RawHeaders = list[tuple[bytes, bytes]]


class RequestHeaders(Protocol):
    """Headers by their names in lower case."""

    def get(self, name: str, /) -> str | None:
        """Return the first header of a name."""

    def getall(self, name: str, default: list[str], /) -> list[str]:
        """Return all headers of a name."""


class Asked(Protocol):
    """A request."""

    @property
    def scope(self) -> Scope:
        """What the protocol has read."""

    @property
    def headers(self) -> RequestHeaders:
        """Its headers."""

    @property
    def query_params(self) -> MultiDict[Any]:
        """Its query."""


class UpgradeHeaders:
    """The headers of an upgrade, whose names the protocol has in lower case; only those asked for are decoded."""

    __slots__ = ("_first", "_raw")

    def __init__(self, raw: RawHeaders) -> None:
        self._raw = raw
        self._first = dict(reversed(raw))

    def get(self, name: str, /) -> str | None:
        """Return the first header of a name."""
        value = self._first.get(name.encode())
        return None if value is None else value.decode("latin-1")

    def getall(self, name: str, default: list[str], /) -> list[str]:
        """Return all headers of a name."""
        wanted = name.encode()
        if wanted not in self._first:
            return default
        return [value.decode("latin-1") for one, value in self._raw if one == wanted]


class UpgradeRequest:
    """The request for an upgrade, and what answers it."""

    __slots__ = ("headers", "query_params", "receive", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.headers = UpgradeHeaders(list(scope["headers"]))
        query = ASGIConnection[Any, Any, Any, Any](scope).query_params if scope["query_string"] else MultiDict()
        self.query_params: MultiDict[Any] = query
