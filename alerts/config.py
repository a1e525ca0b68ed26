"""What others may want otherwise of the rules: jobs, windows, thresholds (`config.toml`), and their file over it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

Value = str | int | float
Tables = dict[str, dict[str, Value]]
SHIPPED: Final = Path(__file__).parent / "config.toml"


class ConfigError(ValueError):
    """What a file of others says that the rules know nothing of."""


class Config:
    """Gives each alert its table; `override` goes before the first import of a module of alerts."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __getitem__(self, table: str) -> Mapping[str, Value]:
        """Return a table: what an alert's file says of it. Raises KeyError."""
        return self._tables[table]

    def number(self, table: str, name: str) -> int | float:
        """Return a value to reckon with, not only to write into a rule. Raises KeyError; TypeError: a text."""
        value = self._tables[table][name]
        if isinstance(value, str):
            raise TypeError(f"[{table}] {name} is a text: {value!r}")
        return value

    @property
    def tables(self) -> Mapping[str, Mapping[str, Value]]:
        """All of them, by name."""
        return self._tables

    def override(self, tables: Mapping[str, Any]) -> None:
        """Put other values in place of the shipped ones.

        Raises:
            ConfigError: a table or a name that there is not, or a value of another type.
        """
        for name, table in tables.items():
            if name not in self._tables or not isinstance(table, dict):
                raise ConfigError(f"there is no table [{name}]; there are {', '.join(self._tables)}")
            for key, value in table.items():
                self._replace(name, key, value)

    def _replace(self, name: str, key: str, value: Value) -> None:
        shipped = self._tables[name].get(key)
        if shipped is None:
            raise ConfigError(f"[{name}] has no {key}; it has {', '.join(self._tables[name])}")
        if isinstance(shipped, str) != isinstance(value, str):
            raise ConfigError(f"[{name}] {key} = {value!r} is not like {shipped!r}")
        self._tables[name][key] = value


CONFIG: Final = Config(tomllib.loads(SHIPPED.read_text("utf-8")))
