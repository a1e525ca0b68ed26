"""The console's OpenAPI document: what its handlers declare, and what all of them are asked and answer with."""

from collections.abc import Collection
from typing import Any, Final

import msgspec

from app.protocol import ProblemDetails
from app.web.auth.player import MAX_PLAYER_ID
from app.web.console.access import MAX_OPERATOR, OPERATOR_HEADER, READING, ActionBody
from app.web.console.forwarding import ONE
from app.web.console.listing import MAX_CONNECTION_ID, MAX_REPLICA
from app.web.error_answers import MEDIA_TYPE

_LONGEST: Final = {"player_id": MAX_PLAYER_ID, "connection_id": MAX_CONNECTION_ID}
_WHO: Final = {
    "name": OPERATOR_HEADER,
    "in": "header",
    "description": "the name, which is logged, of who asks with OPS_TOKEN or OPS_READ_TOKEN: percent-encoded, before"
    f" that at most {MAX_OPERATOR} characters",
    "schema": {"type": "string"},
}
_WHOM: Final = {
    "name": ONE,
    "in": "query",
    "description": "name or instance of the replica that is asked, by way of this one",
    "schema": {"type": "string", "maxLength": MAX_REPLICA},
}


def complete(document: dict[str, Any], own_alone: Collection[str]) -> dict[str, Any]:
    """Say of each operation what its handler does not; the paths that are `own_alone` go to no other replica."""
    types = (ProblemDetails, ActionBody)
    (problem, reason), schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    document["components"]["schemas"] |= schemas
    refused = {"description": "A problem document", "content": {MEDIA_TYPE: {"schema": problem}}}
    why = {"content": {"application/json": {"schema": reason}}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"]["default"] = refused
            given = operation.setdefault("parameters", [])
            for one in given:
                if one["name"] in _LONGEST:
                    one["schema"] |= {"minLength": 1, "maxLength": _LONGEST[one["name"]]}
            given += [_WHO] if path in own_alone else [_WHO, _WHOM]
            if method.upper() not in READING:
                operation.setdefault("requestBody", why)
    return document
