"""The ids of players in paths: whatever a player is called, a `/` in it too, is one part of the path.

A server decodes a path before its parts are told from each other, so here an id is routed as it was sent: in the
console's API all of a path is, in the game's API the id alone.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from app.web.json_request import AnyRequest

PREFIX: Final = "/ops/api"
_PLAYERS: Final = "/players/"
_PLAYER: Final = re.compile(f"(.*{_PLAYERS})([^/]*/*)")


def route_as_sent(application: Litestar) -> None:
    """Have an application find handlers that are given ids of players by paths in which these are not yet decoded."""
    handle = application.asgi_handler

    async def handle_as_sent(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            if scope["path"].startswith(f"{PREFIX}/"):
                scope["path"] = sent_path(scope)
            elif _PLAYERS in scope["path"]:
                found = _PLAYER.fullmatch(sent_path(scope))
                scope["path"] = unquote(found[1]) + found[2] if found else quote(scope["path"])
        await handle(scope, receive, send)

    application.asgi_handler = handle_as_sent


def sent_path(scope: Scope) -> str:
    """Return the path of a request as it was sent."""
    return scope["raw_path"].decode("ascii")


def decode_ids(request: AnyRequest) -> None:
    """Decode what a handler is given of the path: in a dictionary of its own, as Litestar keeps the one it has."""
    found = request.scope["path_params"].items()
    request.scope["path_params"] = {name: unquote(one) if isinstance(one, str) else one for name, one in found}
