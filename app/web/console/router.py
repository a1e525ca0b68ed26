"""All of the console's API: who adds a module of handlers adds its `HANDLERS` to the list here."""

import asyncio
from functools import cached_property
from typing import Final

import msgspec
from litestar import Litestar, MediaType, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from app.console.console import Console
from app.web.console import actions, alerts, connections, diagnostics, games, hot, replica, telemetry, watch
from app.web.console.access import OperatorAccess, OpsConnection, find_operator, find_reason
from app.web.console.document import complete
from app.web.console.forwarding import OWN_ALONE, find_others, forwarding
from app.web.console.listing import find_listing, require_ids
from app.web.dependencies import provide
from app.web.json_request import AnyRequest
from app.web.paths import PREFIX, decode_ids

HANDLERS: Final = [
    *replica.HANDLERS,
    *connections.HANDLERS,
    *games.HANDLERS,
    *alerts.HANDLERS,
    *telemetry.HANDLERS,
    *hot.HANDLERS,
    *watch.HANDLERS,
    *diagnostics.HANDLERS,
    *actions.HANDLERS,
]


class ConsoleDocument:
    """The OpenAPI document of the console, which is made when it is first asked for."""

    def __init__(self, console: Console, access: OperatorAccess, version: str) -> None:
        self._console = console
        self._access = access
        self._version = version

    @cached_property
    def encoded(self) -> bytes:
        """The document as JSON."""
        config = OpenAPIConfig(
            title="Code Racer: the operators' console",
            version=self._version,
            description="What operators see of a running service, and do to it.",
            components=Components(security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"bearer": []}],
        )
        router = _router(self._console, self._access, self, in_schema=True)
        application = Litestar(route_handlers=[router], openapi_config=config, logging_config=None)
        own_alone = [f"{PREFIX}{path}" for one in HANDLERS if OWN_ALONE in one.opt for path in one.paths]
        return msgspec.json.encode(complete(application.openapi_schema.to_schema(), own_alone))


@get("/openapi.json", media_type=MediaType.JSON, include_in_schema=False)
async def show_document(document: NamedDependency[ConsoleDocument]) -> bytes:
    """Show the OpenAPI document of what stands below this path."""
    return await asyncio.to_thread(lambda: document.encoded)


def console_router(console: Console, access: OperatorAccess, version: str) -> Router:
    """Make the router of the console's API; each request is checked before its handler is asked."""
    return _router(console, access, ConsoleDocument(console, access, version), in_schema=False)


def _router(console: Console, access: OperatorAccess, document: ConsoleDocument, *, in_schema: bool) -> Router:
    dependencies = provide(console=console, document=document)
    dependencies["operator"] = Provide(find_operator, sync_to_thread=False)
    dependencies["listing"] = Provide(find_listing)
    dependencies["others"] = Provide(find_others)
    dependencies["reason"] = Provide(find_reason)
    dependencies["acting"] = Provide(actions.find_acting)

    async def check(connection: OpsConnection, handler: BaseRouteHandler) -> None:
        """Ask the access itself: Litestar copies a router, with whatever its guards are methods of."""
        await access.check(connection, handler)

    forward = forwarding(console)

    async def before(request: AnyRequest) -> Response[bytes] | None:
        """Decode the ids and refuse bad ones, then answer for another replica, where one is named."""
        decode_ids(request)
        require_ids(request)
        return await forward(request)

    return Router(
        path=PREFIX,
        route_handlers=[*HANDLERS, show_document],
        dependencies=dependencies,
        guards=[check],
        before_request=before,
        exception_handlers=dict(actions.EXCEPTION_HANDLERS.items()),
        include_in_schema=in_schema,
        tags=["console"],
    )
