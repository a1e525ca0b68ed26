"""What is told in a terminal: values, tables and records as text, by the names of the API's fields."""

import datetime as dt
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

Fields = Mapping[str, Any]
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60))
REST: Final = "*"
"""The column of all that has none of its own."""
_NOT_SHOWN: Final = ("cursor", "missing", "service.name", "service.version", "deployment.environment.name")
"""What is for programs, told elsewhere, or the same in each row."""
_NAMES: Final = {"pid", "ops_port", "code", "seq", "after_seq"}
"""Numbers that nobody counts with."""
_MOMENTS: Final = {"at", "since", "until"}
_LATEST_S: Final = 1e11
"""No time in seconds is so late."""
_STEP: Final = 1_000
_GAP: Final = "  "
_LEAST: Final = 8
"""A column that is narrower tells nothing."""


def value_text(name: str, value: object) -> str:
    """Write one value, as the unit in its field's name says."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(name, value)
    if isinstance(value, Mapping):
        return " ".join(f"{key}={value_text(key, one)}" for key, one in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(value_text(name, one) for one in value) or "-"
    return printable(str(value))


def _number(name: str, value: float) -> str:
    if name in _MOMENTS or name.endswith("_at"):
        return moment(value)
    if name.endswith("_s"):
        return duration(value)
    if "bytes" in name:
        return size(value)
    if name in _NAMES:
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def moment(epoch_s: float) -> str:
    """Write when it was, or will be, in UTC; what the game's events have are milliseconds."""
    seconds = epoch_s / 1_000 if epoch_s > _LATEST_S else epoch_s
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """Write a time in the two units that tell most."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1_000:.0f}ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for (unit, length), (below, smaller) in zip(_UNITS, (*_UNITS[1:], ("s", 1)), strict=True):
        if whole >= length:
            return f"{whole // length}{unit}{whole % length // smaller:02d}{below}"
    return f"{whole}s"


def size(count: float) -> str:
    """Write a number of bytes in at most four characters."""
    for unit in ("", "k", "M", "G"):
        if count < _STEP:
            return f"{count:.0f}{unit}" if not unit or count >= 10 else f"{count:.1f}{unit}"  # noqa: PLR2004 - two digits
        count /= _STEP
    return f"{count:.1f}T"


def printable(text: str) -> str:
    """Replace what a terminal would obey: a player's name must not move the cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


def cells(text: str) -> int:
    """Count the columns that a text takes."""
    return sum(_cells(char) for char in text)


def _cells(char: str) -> int:
    return 0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fitted(text: str, width: int) -> str:
    """Cut or fill a text to so many columns."""
    if cells(text) > width:
        kept, taken = "", 0
        for char in text:
            if taken + _cells(char) > width - 1:
                break
            kept, taken = kept + char, taken + _cells(char)
        text = f"{kept}~"[:width] if width > 0 else ""
    return text + " " * (width - cells(text))


def table(rows: Sequence[Fields], columns: Sequence[str], width: int | None = None) -> list[str]:
    """Write rows below their columns' names; within `width`, where there is one, what comes first has its place."""
    texts = [[_cell(row, name, columns) for name in columns] for row in rows]
    lines = [[_title(name) for name in columns], *texts]
    widths = [max(cells(line[place]) for line in lines) for place in range(len(columns))]
    if width is not None:
        widths = _placed(widths, width)
    return [_GAP.join(map(fitted, line, widths)).rstrip() for line in lines]


def _cell(row: Fields, name: str, columns: Sequence[str]) -> str:
    if name != REST:
        return value_text(name, row.get(name))
    return value_text(name, {key: value for key, value in row.items() if key not in (*columns, *_NOT_SHOWN)})


def _placed(widths: Sequence[int], width: int) -> list[int]:
    """Give columns their widths in turn, none more than half; the first that has no room has what is left, if any."""
    placed: list[int] = []
    left = width
    for wanted in widths:
        taken = min(wanted, max(width // 2, _LEAST))
        if taken > left:
            return [*placed, left] if left >= _LEAST or not placed else placed
        placed.append(taken)
        left -= taken + len(_GAP)
    return placed


def _title(name: str) -> str:
    return (
        ""
        if name == REST
        else name.removesuffix("_bytes").removesuffix("_s").removesuffix("_id").replace("_", " ").upper()
    )


def columns_of(rows: Iterable[Fields], wanted: Sequence[str] = ()) -> list[str]:
    """Choose the columns: those wanted that some row has a value for, or else all."""
    known = dict.fromkeys(name for row in rows for name, value in row.items() if value not in (None, ""))
    chosen = [name for name in wanted if name in known or name == REST]
    return chosen or [name for name in known if name not in _NOT_SHOWN]


def record(one: Fields, width: int | None = None, columns: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """Write one record: a line a field, and a table for each list of rows that it has, with these columns by name."""
    plain = dict(_fields(one))
    longest = max((len(name) for name in plain), default=0)
    lines = [f"{name:<{longest}}  {value_text(name.rpartition('.')[2], value)}" for name, value in plain.items()]
    for name, rows in one.items():
        if is_rows(rows):
            wanted = columns_of(rows, (columns or {}).get(name, ()))
            lines += ["", f"{name} ({len(rows)})", *table(rows, wanted, width)]
    return lines


def _fields(one: Fields, before: str = "") -> Iterator[tuple[str, object]]:
    """List what is no rows, by the way to it."""
    for name, value in one.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{before}{name}.")
        elif not is_rows(value) and name not in _NOT_SHOWN:
            yield f"{before}{name}", value


def is_rows(value: object) -> bool:
    """Tell whether a value is a list of rows, and not empty."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)
