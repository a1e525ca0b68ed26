"""The HTTP side of a service: what a player asks for before there is a connection."""

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

from code_racer_client.errors import ClientError, Refused


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP side of a service at `url`, like ``http://localhost:8080``; a request fails after `timeout_s`."""

    url: str
    timeout_s: float = 30.0

    @property
    def ws_url(self) -> str:
        """The WebSocket side."""
        return self.url.replace("http", "ws", 1)

    async def guest(self, name: str) -> str:
        """Get a guest's token. Raises ClientError."""
        return await self._post("/api/guests", {"name": name}, None, "token")

    async def new_game(self, token: str, **wishes: object) -> str:
        """Create a game and return its id. Raises ClientError."""
        return await self._post("/api/games", wishes, token, "game_id")

    async def _post(self, path: str, body: object, token: str | None, wanted: str) -> str:
        """Send a request and return what its answer has under the name `wanted`. Raises ClientError."""
        headers = {"content-type": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)  # noqa: S310 - the URL is the caller's

        def send() -> str:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310 - as above
                return str(json.load(answer)[wanted])

        try:
            return await asyncio.to_thread(send)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, f"{path}: {_detail(error)}") from None
        except (ValueError, KeyError, TypeError):
            raise ClientError(f"{self.url}{path} was answered by something that is no Code Racer") from None
        except OSError as error:
            raise ClientError(f"cannot reach {self.url}: {error}") from None


def _detail(error: urllib.error.HTTPError) -> str:
    """Return the service's own words; those of HTTP where a proxy on the way has answered."""
    try:
        return str(json.loads(error.read())["detail"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)
