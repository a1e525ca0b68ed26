"""The HTTP side of a service: what is asked for before there is a connection, and what of a race is read after it."""

import asyncio
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final, NoReturn

import msgspec

from code_racer_client.connection import PROBLEM, path_part
from code_racer_client.errors import ClientError, Refused, Unusable
from code_racer_client.message import MALFORMED, JsonMessage, retry_after_s
from code_racer_client.token import require_usable


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none: the token is for this service, and urllib would send it along to wherever an answer points."""

    def redirect_request(self, *_: object) -> None:
        """Make no other request: the answer is what it is."""


_opener: Final = urllib.request.build_opener(_NoRedirects)


@dataclass(slots=True)
class _Endpoint:
    """A service at `url`, and as whose it is asked, for how long at most."""

    url: str
    token: str | None = None
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")

    @property
    def ws_url(self) -> str:
        """The WebSocket side."""
        return self.url.replace("http", "ws", 1)


class SyncApi(_Endpoint):
    """The HTTP side of a service at `url`, like ``http://localhost:8080``; a call fails after `timeout_s`.

    A call that is refused raises `Refused`, as does one that is sent elsewhere: redirects are not followed. One that
    nobody answers raises ClientError. `token` is whose calls they are.
    """

    __slots__ = ()

    def guest(self, name: str) -> JsonMessage:
        """Get a guest's ``token``, with ``player_id`` and ``expires_at``; as a guest, a fresh one of the same."""
        return self._document("token", "/api/guests", {"name": name})

    def ticket(self) -> JsonMessage:
        """Get a ``ticket`` to connect with once, within seconds."""
        return self._document("ticket", "/api/tickets", {})

    def create_game(self, **wishes: object) -> JsonMessage:
        """Create a game: ``problem``, ``min_players``, ``max_players``, ``time_limit_s`` and ``finish``, as wanted."""
        return self._document("game_id", "/api/games", wishes)

    def game(self, game_id: str) -> JsonMessage:
        """Read the public state of a game."""
        return self._document("game_id", f"/api/games/{path_part(game_id)}")

    def submission(self, game_id: str, attempt: int) -> JsonMessage:
        """Read an own submission: code, verdict, visible tests."""
        return self._document("attempt", f"/api/games/{path_part(game_id)}/submissions/{int(attempt)}")

    def problems(self) -> list[JsonMessage]:
        """List all problems, without their tests."""
        listed = self._ask("/api/problems")
        return listed if isinstance(listed, list) else self._miss("/api/problems")

    def _document(self, wanted: str, path: str, body: object = None) -> JsonMessage:
        """Send a request; return the document it is answered with, which has something under the name `wanted`."""
        document = self._ask(path, body)
        return document if isinstance(document, dict) and wanted in document else self._miss(path)

    def _miss(self, path: str) -> NoReturn:
        raise ClientError(f"{self.url}{path} was answered by something that is no Code Racer")

    def _ask(self, path: str, body: object = None) -> object:
        """Send a request, with a body where there is one, and return what it is answered with."""
        headers = {"accept": "application/json"}
        if self.token is not None:
            require_usable(self.token)
            headers["authorization"] = f"Bearer {self.token}"
        sent = None
        if body is not None:
            sent = msgspec.json.encode(body)
            headers["content-type"] = "application/json"
        try:
            request = urllib.request.Request(self.url + path, sent, headers)  # noqa: S310 - the URL is the caller's
            with _opener.open(request, timeout=self.timeout_s) as answer:
                return msgspec.json.decode(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(path, error) from None
        except MALFORMED:
            self._miss(path)
        except ValueError:
            raise Unusable("that is no URL of a service; write it like https://race.example.org") from None
        except (HTTPException, OSError) as error:
            raise ClientError(f"cannot reach {self.url}: {error}") from None


class Api(_Endpoint):
    """A `SyncApi` for programs with asyncio: a call waits in a thread, and is given up by cancelling it."""

    __slots__ = ()

    async def guest(self, name: str) -> JsonMessage:
        """Get a guest's ``token``, with ``player_id`` and ``expires_at``; as a guest, a fresh one of the same."""
        return await asyncio.to_thread(self._sync.guest, name)

    async def ticket(self) -> JsonMessage:
        """Get a ``ticket`` to connect with once, within seconds."""
        return await asyncio.to_thread(self._sync.ticket)

    async def create_game(self, **wishes: object) -> JsonMessage:
        """Create a game: ``problem``, ``min_players``, ``max_players``, ``time_limit_s`` and ``finish``, as wanted."""
        return await asyncio.to_thread(self._sync.create_game, **wishes)

    async def game(self, game_id: str) -> JsonMessage:
        """Read the public state of a game."""
        return await asyncio.to_thread(self._sync.game, game_id)

    async def submission(self, game_id: str, attempt: int) -> JsonMessage:
        """Read an own submission: code, verdict, visible tests."""
        return await asyncio.to_thread(self._sync.submission, game_id, attempt)

    async def problems(self) -> list[JsonMessage]:
        """List all problems, without their tests."""
        return await asyncio.to_thread(self._sync.problems)

    @property
    def _sync(self) -> SyncApi:
        """The same as it is now."""
        return SyncApi(self.url, self.token, self.timeout_s)


def _refused(path: str, error: urllib.error.HTTPError) -> Refused:
    """Read why: in the service's own words, or in those of HTTP where another has answered."""
    try:
        problem = msgspec.json.decode(error.read())
    except (HTTPException, OSError, *MALFORMED):
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    detail, reason = f"{path}: {problem.get('detail', error.reason)}", problem.get("reason")
    is_ours = PROBLEM in error.headers.get("content-type", "") and problem.get("status") == error.code
    if not is_ours or not isinstance(reason, str):
        return Refused(error.code, detail)
    return Refused(error.code, detail, retry_after_s(problem), reason=reason)
