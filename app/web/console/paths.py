"""The ids in paths of the console's API: whatever a player is called, a `/` in it too, is one part of the path.

A server decodes a path before its parts are told from each other, so here it is routed as it was sent.
"""

from typing import Final
from urllib.parse import unquote

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from app.web.json_request import AnyRequest

PREFIX: Final = "/ops/api"


def route_as_sent(application: Litestar) -> None:
    """Have an application find the handlers of the console's API by paths that are not yet decoded."""
    handle = application.asgi_handler

    async def handle_as_sent(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith(f"{PREFIX}/"):
            scope["path"] = sent_path(scope)
        await handle(scope, receive, send)

    application.asgi_handler = handle_as_sent


def sent_path(scope: Scope) -> str:
    """Return the path of a request as it was sent."""
    return scope["raw_path"].decode("ascii")


def decode_ids(request: AnyRequest) -> None:
    """Decode what a handler is given of the path: in a dictionary of its own, as Litestar keeps the one it has."""
    found = request.scope["path_params"].items()
    request.scope["path_params"] = {name: unquote(one) if isinstance(one, str) else one for name, one in found}
