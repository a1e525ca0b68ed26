"""Options are looked at when they are given: one of a wrong type would fail later, or again and again."""

from code_racer_client.message import number, whole


def require_counts(**options: object) -> None:
    """Require whole numbers from 0 on, or None. Raises TypeError."""
    for name, value in options.items():
        count = whole(value)
        if value is not None and (count is None or count < 0):
            raise TypeError(f"{name} is no whole number from 0 on")


def require_seconds(**options: object) -> None:
    """Require numbers from 0 on. Raises TypeError."""
    for name, value in options.items():
        seconds = number(value)
        if seconds is None or not seconds >= 0:  # what is no number is not less, either
            raise TypeError(f"{name} is no number from 0 on")
