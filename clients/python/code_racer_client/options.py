"""Options are looked at when they are given: one that cannot be used would fail later, or again and again."""

from typing import Final

from code_racer_client.message import number, whole

LEAST_S: Final = 0.1
"""Pings more often than that are a flood, and no connection comes up in less."""


def require_counts(**options: object) -> None:
    """Require whole numbers from 0 on, or None. Raises TypeError."""
    for name, value in options.items():
        count = whole(value)
        if value is not None and (count is None or count < 0):
            raise TypeError(f"{name} is no whole number from 0 on")


def require_seconds(least_s: float = 0, /, **options: object) -> None:
    """Require numbers from `least_s` on. Raises TypeError."""
    for name, value in options.items():
        seconds = number(value)
        if seconds is None or not seconds >= least_s:  # what is no number is not less, either
            raise TypeError(f"{name} is no number from {least_s} on")


def require_functions(**options: object) -> None:
    """Require what can be called, or None. Raises TypeError; what it is instead, a token maybe, is not told."""
    for name, value in options.items():
        if value is not None and not callable(value):
            raise TypeError(f"{name} is no function")
