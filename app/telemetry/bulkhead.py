"""Bulkheads: what goes wrong with one of many is reported, and the others go on."""

from collections.abc import Callable
from types import TracebackType

ReportFault = Callable[[str, BaseException], None]


class Bulkhead:
    """A block in which an exception is reported, as a fault in `where`, and goes no further; may be entered again.

    `passes` are exceptions that are no faults and go on up, as everything does that is no `Exception`: cancellations.
    """

    __slots__ = ("_passes", "_report", "_where")

    def __init__(self, report: ReportFault, where: str, passes: tuple[type[Exception], ...] = ()) -> None:
        self._report = report
        self._where = where
        self._passes = passes

    def __enter__(self) -> None:
        """Do nothing: there is nothing to prepare."""

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception) or isinstance(error, self._passes):
            return False
        self._report(self._where, error)
        return True
