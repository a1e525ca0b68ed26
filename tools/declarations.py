"""The message types of the JavaScript client's declarations, made from the types that the server encodes."""

from typing import Any, Final

import msgspec.inspect as types

from app.protocol import EVENT_DATA, SERVER_DATA

_SIMPLE: Final[dict[type[types.Type], str]] = {
    types.IntType: "number",
    types.FloatType: "number",
    types.StrType: "string",
    types.BoolType: "boolean",
    types.NoneType: "null",
    types.AnyType: "any",
}


def messages() -> str:
    """A declaration for each enum and struct that is sent, parts first, and the table of all messages."""
    declared: dict[str, str] = {}
    for info in types.multi_type_info(SERVER_DATA.values()):
        _typescript(info, declared)
    return "\n".join((*declared.values(), _table()))


def _table() -> str:
    lines = [
        f"  {name}: {'ServerEvent' if name in EVENT_DATA else 'ServerMessage'}<{kind.__name__}, '{name}'>;"
        for name, kind in SERVER_DATA.items()
    ]
    comment = "/** Every message of the server, by type. */\nexport interface ServerMessages {\n"
    return comment + "\n".join(lines) + "\n}\n"


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
            text = " | ".join(_typescript(part, declared) for part in info.types)
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
    name = info.cls.__name__
    fields = [
        f"  {field.encode_name}{'' if field.required else '?'}: {_typescript(field.type, declared)};\n"
        for field in info.fields
    ]
    declared[name] = f"{_comment(info.cls)}export interface {name} {{\n{''.join(fields)}}}\n"
    return name


def _comment(kind: type) -> str:
    """What the type's docstring says first."""
    return f"/** {(kind.__doc__ or '').partition(chr(10))[0]} */\n"
