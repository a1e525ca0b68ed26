"""The message types of the JavaScript client's declarations, made from those on the wire."""

from typing import Any, Final

import msgspec.inspect as types

from app.protocol import BATCH, CLIENT_TYPES, EVENT_DATA, SERVER_DATA

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
    declared: dict[str, str] = {}
    for info in types.multi_type_info((*SERVER_DATA.values(), *CLIENT_TYPES.values())):
        _typescript(info, declared)
    received = {
        name: f"{'ServerEvent' if name in EVENT_DATA else 'ServerMessage'}<{kind.__name__}, '{name}'>"
        for name, kind in SERVER_DATA.items()
    }
    sent = {name: _name(kind) for name, kind in CLIENT_TYPES.items()} | {BATCH: "Array<ClientMessage>"}
    tables = (
        _table("ServerMessages", "Every message of the server, by type.", received),
        _table("ClientMessages", "The data of every message of a client, by type.", sent),
    )
    return "\n".join((*declared.values(), *tables))


def _table(name: str, comment: str, rows: dict[str, str]) -> str:
    lines = "".join(f"  {type}: {declared};\n" for type, declared in rows.items())
    return f"/** {comment} */\nexport interface {name} {{\n{lines}}}\n"


def _name(kind: type) -> str:
    """How a type is called: the data of a client's message as that of the server's."""
    return f"{kind.__name__}Data" if kind in CLIENT_TYPES.values() else kind.__name__


def _typescript(info: types.Type, declared: dict[str, str]) -> str:
    """The type in TypeScript; what it needs is added to `declared`."""
    match info:
        case types.StructType():
            text = _struct(info, declared)
        case types.EnumType():
            text = _enum(info, declared)
        case types.LiteralType():
            text = _one_of(info.values)
        case types.ListType():
            text = f"Array<{_typescript(info.item_type, declared)}>"
        case types.DictType():
            text = f"Record<string, {_typescript(info.value_type, declared)}>"
        case types.UnionType():
            text = " | ".join(dict.fromkeys(_typescript(part, declared) for part in info.types))
        case _:
            text = _SIMPLE[type(info)]
    return text


def _one_of(values: tuple[Any, ...]) -> str:
    return " | ".join(f"'{value}'" for value in values)


def _enum(info: types.EnumType, declared: dict[str, str]) -> str:
    name = info.cls.__name__
    declared[name] = f"{_comment(info.cls)}export type {name} = {_one_of(tuple(info.cls))};\n"
    return name


def _struct(info: types.StructType, declared: dict[str, str]) -> str:
    name = _name(info.cls)
    fields = [
        f"  {field.encode_name}{'' if field.required else '?'}: {_typescript(field.type, declared)};\n"
        for field in info.fields
    ]
    body = f"interface {name} {{\n{''.join(fields)}}}" if fields else f"type {name} = Record<string, never>;"
    declared[name] = f"{_comment(info.cls)}export {body}\n"
    return name


def _comment(kind: type) -> str:
    """What the type's docstring says first."""
    return f"/** {(kind.__doc__ or '').partition(chr(10))[0]} */\n"
