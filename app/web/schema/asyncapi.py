"""The WebSocket side as an AsyncAPI 3.0 document, made from the message types and the close table."""

from typing import Any, Final

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from app.protocol import (
    BATCH,
    CLIENT_TYPES,
    CLOSE_TABLE,
    DISCONNECT_NOTE,
    DURABLE_TYPES,
    MAX_ID_LENGTH,
    SERVER_DATA,
    SUBPROTOCOL,
)
from app.settings import ServerSettings
from app.web.reading import DOCUMENT

SCHEMAS: Final = "#/components/schemas/{name}"
MEDIA_TYPE: Final = "application/vnd.aai.asyncapi+json;version=3.0.0"


class AsyncApi:
    """The document of a service, encoded once."""

    def __init__(self, settings: ServerSettings, max_batch: int, version: str) -> None:
        self.body = msgspec.json.encode(document(version, _own_url(settings), max_batch))


def document(version: str, url: str, max_batch: int) -> dict[str, Any]:
    """Make the whole document for a service reached at `url`."""
    names = [*CLIENT_TYPES.values(), *SERVER_DATA.values()]
    schemas, definitions = msgspec.json.schema_components(names, ref_template=SCHEMAS)
    refs = dict(zip([*CLIENT_TYPES, *SERVER_DATA], schemas, strict=True))
    sent = {name: _client_message(name, refs[name]) for name in CLIENT_TYPES}
    sent[BATCH] = _batch(max_batch)
    received = {name: _server_message(name, refs[name]) for name in SERVER_DATA}
    keys = [*_keys("client", sent), *received]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Code Racer",
            "version": version,
            "description": "Live programming races. One JSON text frame is one message.\n\n" + _closes(),
        },
        "defaultContentType": "application/json",
        "servers": {"here": _server(url)},
        "channels": {"game": _channel(keys)},
        "operations": {
            "send": _operation("receive", "What a client sends.", _keys("client", sent)),
            "receive": _operation("send", "What the server sends.", list(received)),
        },
        "components": {
            "messages": dict(zip(keys, (*sent.values(), *received.values()), strict=True)),
            "schemas": definitions,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "query": {"type": "httpApiKey", "name": "token", "in": "query"},
            },
        },
    }


def _own_url(settings: ServerSettings) -> str:
    return settings.public_url or f"http{'s' if settings.tls_cert_file else ''}://localhost:{settings.port}"


def _server(url: str) -> dict[str, Any]:
    scheme, _, host = url.partition("://")
    security = [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("bearer", "query")]
    return {"host": host, "protocol": scheme.replace("http", "ws"), "security": security}


def _channel(keys: list[str]) -> dict[str, Any]:
    return {
        "address": "/ws/{gameId}",
        "title": "One game",
        "parameters": {"gameId": {"description": "the game's UUID"}},
        "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in keys},
        "bindings": {"ws": {"method": "GET", "query": _query(), "headers": _headers(), "bindingVersion": "0.1.0"}},
    }


def _keys(prefix: str, messages: dict[str, Any]) -> list[str]:
    """Prefix the keys of messages: a client's may be called like a server's."""
    return [f"{prefix}_{name}" for name in messages]


def _operation(action: str, summary: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/game"},
        "messages": [{"$ref": f"#/channels/game/messages/{name}"} for name in names],
    }


_CLIENT_ENVELOPE: Final[dict[str, Any]] = {
    "id": {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH},
    "traceparent": {"type": "string", "description": "the client's trace (W3C Trace Context)"},
}


def _client_message(name: str, data: dict[str, Any]) -> dict[str, Any]:
    return _message(name, data, _CLIENT_ENVELOPE, ["type"])


def _server_message(name: str, data: dict[str, Any]) -> dict[str, Any]:
    if name not in DURABLE_TYPES:
        return _message(name, data, {}, ["type", "data"])
    return _message(name, data, {"seq": {"type": "integer", "minimum": 1}}, ["type", "data", "seq"])


def _batch(max_batch: int) -> dict[str, Any]:
    data = {"type": "array", "maxItems": max_batch, "items": {"type": "object"}}
    return _message(BATCH, data, _CLIENT_ENVELOPE, ["type", "data"])


def _message(name: str, data: dict[str, Any], more: dict[str, Any], required: list[str]) -> dict[str, Any]:
    properties = {"type": {"const": name}, "data": data, **more}
    return {"name": name, "title": name, "payload": {"type": "object", "properties": properties, "required": required}}


def _query() -> dict[str, Any]:
    text = {"type": "string"}
    last_seq = {"type": "integer", "minimum": 0, "description": "resume after this event"}
    return {"type": "object", "properties": {"token": text, "ticket": text, "last_seq": last_seq}}


def _headers() -> dict[str, Any]:
    protocol = {"type": "string", "examples": [f"{SUBPROTOCOL}, bearer.<token>"]}
    return {
        "type": "object",
        "properties": {"Authorization": {"type": "string"}, "Sec-WebSocket-Protocol": protocol},
    }


def _closes() -> str:
    rows = [
        f"| {row.code or 'any'} | {row.reason} | {row.reconnect.value} | {row.disconnect.value} | {row.when} |"
        for row in CLOSE_TABLE
    ]
    head = ["| close code | reason | client reconnects | `disconnect` before it | when |", "|" + " --- |" * 5]
    return "\n".join([*head, *rows, "", DISCONNECT_NOTE])


@get("/schema/asyncapi", include_in_schema=False)
async def show_asyncapi(asyncapi: NamedDependency[AsyncApi]) -> Response[bytes]:
    """Show the document."""
    return Response(asyncapi.body, media_type=MEDIA_TYPE, headers=DOCUMENT)
