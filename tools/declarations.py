"""The message types of the JavaScript client's declarations, made from those on the wire."""

from typing import Any, Final

import msgspec.inspect as types

from app.protocol import BATCH, CLIENT_TYPES, EVENT_DATA, SERVER_DATA
from tools.message_types import Notation, declarations, name_of

_SIMPLE: Final[dict[type[types.Type], str]] = {
    types.IntType: "number",
    types.FloatType: "number",
    types.StrType: "string",
    types.BoolType: "boolean",
    types.NoneType: "null",
    types.AnyType: "any",
}


def messages() -> str:
    """A declaration for each enum and struct of a message, parts first, and the tables of all messages."""
    notation = Notation(_SIMPLE, "Array<{}>", "Record<string, {}>", _one_of, _enum, _struct)
    received = {
        name: f"{'ServerEvent' if name in EVENT_DATA else 'ServerMessage'}<{kind.__name__}, '{name}'>"
        for name, kind in SERVER_DATA.items()
    }
    sent = {name: name_of(kind) for name, kind in CLIENT_TYPES.items()} | {BATCH: "Array<ClientMessage>"}
    tables = (
        _table("ServerMessages", "Every message of the server, by type.", received),
        _table("ClientMessages", "The data of every message of a client, by type.", sent),
    )
    return "\n".join((*declarations(notation).values(), *tables))


def _table(name: str, comment: str, rows: dict[str, str]) -> str:
    lines = "".join(f"  {type}: {declared};\n" for type, declared in rows.items())
    return f"/** {comment} */\nexport interface {name} {{\n{lines}}}\n"


def _one_of(values: tuple[Any, ...]) -> str:
    return " | ".join(f"'{value}'" for value in values)


def _enum(name: str, comment: str, values: str) -> str:
    return f"/** {comment} */\nexport type {name} = {values};\n"


def _struct(name: str, comment: str, fields: list[tuple[str, str, bool]]) -> str:
    lines = [f"  {field}{'' if required else '?'}: {kind};\n" for field, kind, required in fields]
    body = f"interface {name} {{\n{''.join(lines)}}}" if fields else f"type {name} = Record<string, never>;"
    return f"/** {comment} */\nexport {body}\n"
