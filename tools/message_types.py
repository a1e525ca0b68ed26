"""The types of the messages on the wire, walked for the declarations of a client's language."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec.inspect as types

from app.protocol import CLIENT_TYPES, SERVER_DATA

MESSAGES: Final = (*SERVER_DATA.values(), *CLIENT_TYPES.values())


@dataclass(frozen=True)
class Notation:
    """How a language writes types: `array` and `map` hold the place of what is in them.

    `enum` and `struct` get the name and the parts, and return the declaration: of an enum its type, of a struct its
    fields as (name, type, required) with what its docstring says first.
    """

    simple: dict[type[types.Type], str]
    array: str
    map: str
    one_of: Callable[[tuple[Any, ...]], str]
    enum: Callable[[str, str, str], str]
    struct: Callable[[str, str, list[tuple[str, str, bool]]], str]


def declarations(notation: Notation) -> dict[str, str]:
    """Each enum and struct of a message by its name, parts first."""
    declared: dict[str, str] = {}
    for info in types.multi_type_info(MESSAGES):
        _written(info, notation, declared)
    return declared


def name_of(kind: type) -> str:
    """How a type is called: the data of a client's message as that of the server's."""
    return f"{kind.__name__}Data" if kind in CLIENT_TYPES.values() else kind.__name__


def _written(info: types.Type, notation: Notation, declared: dict[str, str]) -> str:
    """The type in that language; what it needs is added to `declared`."""
    match info:
        case types.StructType():
            text = name_of(info.cls)
            fields = [
                (field.encode_name, _written(field.type, notation, declared), field.required) for field in info.fields
            ]
            declared[text] = notation.struct(text, _comment(info.cls), fields)
        case types.EnumType():
            text = info.cls.__name__
            declared[text] = notation.enum(text, _comment(info.cls), notation.one_of(tuple(info.cls)))
        case types.LiteralType():
            text = notation.one_of(info.values)
        case types.ListType():
            text = notation.array.format(_written(info.item_type, notation, declared))
        case types.DictType():
            text = notation.map.format(_written(info.value_type, notation, declared))
        case types.UnionType():
            text = " | ".join(dict.fromkeys(_written(part, notation, declared) for part in info.types))
        case _:
            text = notation.simple[type(info)]
    return text


def _comment(kind: type) -> str:
    """What the type's docstring says first."""
    return (kind.__doc__ or "").partition("\n")[0]
