"""What is of one replica: a page where it is so of a large part of them, a ticket where it is so of one of many."""

from dataclasses import replace
from typing import Final

from alerts.config import CONFIG
from alerts.model import Alert, Case, Severity

_OTHERS: Final = "bcdefghijkl"


def page_and_ticket(page: Alert, all_of_them: str, well: str) -> tuple[Alert, Alert]:
    """Make a page, and the ticket of its name, of an alert whose expression finds the replicas that are ill.

    `all_of_them` finds all replicas, `well` is the gauge that is 1 of those that are not. The ticket's cases are the
    page's, each beside eleven replicas that are well.
    """
    others = {f'{well}{{job="code-racer", instance="{name}:8080"}}': "1x40" for name in _OTHERS}
    cases = tuple(_beside(others, case) for case in page.cases)
    return (
        replace(page, severity=Severity.CRITICAL, expr=large_share(page.expr, all_of_them)),
        replace(page, severity=Severity.WARNING, expr=small_share(page.expr, all_of_them), cases=cases),
    )


def _beside(others: dict[str, str], case: Case) -> Case:
    return replace(case, name=f"one of twelve: {case.name}", series={**others, **case.series})


def large_share(bad: str, all_of_them: str) -> str:
    """Keep what is bad where so large a part of the replicas is that somebody is to be woken."""
    return f"{bad}\nand {_is_large(bad, all_of_them)}"


def small_share(bad: str, all_of_them: str) -> str:
    """Keep what is bad where it is so small a part of the replicas that a ticket is enough."""
    return f"{bad}\nunless {_is_large(bad, all_of_them)}"


def _is_large(bad: str, all_of_them: str) -> str:
    by = "(cluster, namespace, job)"
    share = CONFIG["fleet"]["page_above"]
    return f"on {by} count by {by} ({bad}) / count by {by} ({all_of_them}) > {share}\n"
