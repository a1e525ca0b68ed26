"""The OpenAPI document: Litestar's, made to say what the service really does."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Router
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from app.protocol import ProblemDetails
from app.refusals import REASONS
from app.web.error_answers import MEDIA_TYPE
from app.web.reading import DOCUMENT

STRICT_BODIES: Final = ("NewGame", "NewGuest")
"""Bodies with no other fields than theirs; each may be left out."""


def refusals(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """List what an operation may be refused with; all of them have a rate."""
    return {
        int(status): ResponseSpec(
            ProblemDetails, generate_examples=False, description=status.phrase, media_type=MEDIA_TYPE
        )
        for status in {*statuses, HTTPStatus.TOO_MANY_REQUESTS}
    }


class _Document(JsonRenderPlugin):
    """The plugin that serves the document as JSON, corrected where Litestar cannot know better."""

    def render(self, request: Any, openapi_schema: dict[str, Any]) -> bytes:  # noqa: ANN401 - Litestar's generic request
        """Encode the document with what is put right."""
        del request
        for operations in openapi_schema["paths"].values():
            for operation in operations.values():
                if isinstance(operation, dict) and "requestBody" in operation:
                    operation["requestBody"]["required"] = False
        for name, schema in openapi_schema["components"]["schemas"].items():
            if name.endswith(STRICT_BODIES):
                schema["additionalProperties"] = False
            if name.endswith(ProblemDetails.__name__):
                schema["properties"]["reason"]["enum"] = REASONS
        return msgspec.json.encode(openapi_schema)


def openapi_config(version: str) -> OpenAPIConfig:
    """Configure Litestar to serve the document at ``/schema`` and ``/schema/openapi.json``."""
    return OpenAPIConfig(
        title="Code Racer",
        version=version,
        description="Games, guests, tickets. The races themselves are WebSockets: see /schema/asyncapi.",
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, response_headers=DOCUMENT),
        render_plugins=[_Document(path=["/", "/openapi.json"])],
        components=Components(
            security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        security=[{"bearer": []}],
    )
