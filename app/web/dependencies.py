"""What handlers ask for by name."""

from typing import Any

from litestar.di import Provide


def provide(**values: Any) -> dict[str, Provide]:  # noqa: ANN401 - whatever handlers ask for by name
    """Give handlers these values, each to whoever has a parameter of its name."""
    return {name: Provide(_constant(value), sync_to_thread=False) for name, value in values.items()}


def _constant(value: Any) -> Any:  # noqa: ANN401 - whatever it is
    def provide() -> Any:  # noqa: ANN401 - whatever it is
        return value

    return provide
