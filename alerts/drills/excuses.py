"""What an alert on lateness is excused by: what the machine withheld from what it watches, and nothing else."""

import time

from alerts.build import GROUPS
from alerts.drills.late import LATE, SCRAPED_LATE, bounds, looks_back_s, told_apart
from alerts.drills.scale import milliseconds
from alerts.drills.stack import Notice, Stack
from alerts.model import Alert
from tools.harness.machine import Witness


class Excuses:
    """Judges alerts of a stack by what a witness saw withheld from the processes that it watches.

    The disk is the machine's too, unless the drill is its `own`.
    """

    def __init__(self, stack: Stack, witness: Witness, own: str = "") -> None:
        self._not_asked = {"CodeRacerDiskFilling"} - {own}
        self._stack = stack
        self._witness = witness

    def hold_for(self, rule: Alert, notice: Notice | None = None) -> bool:
        """Check whether lateness is no more than the machine withheld: now, or when somebody was told of it."""
        if rule.name in self._not_asked:
            return True
        bound_s = self._given_back(rule, time.monotonic() if notice is None else notice.at)
        if bound_s is None:
            return False
        expr = told_apart(rule, bound_s, self._factor(rule))
        if notice is None:
            return not self._stack.query(expr)
        return not self._stack.held(expr, notice.since, milliseconds(rule.hold) / 1000 / self._factor(rule))

    def _given_back(self, rule: Alert, until: float) -> float | None:
        """Find from which time on the rule's lateness is none of the machine's; None where all of it is not."""
        since = until - looks_back_s(rule, self._factor(rule)) - 1
        if rule.name in SCRAPED_LATE:
            limit_s = self._stack.scrape_s
        elif rule.name in LATE:
            limit_s = LATE[rule.name].limit_s
        else:
            return None
        bound_s = self._witness.withheld.given_back(limit_s, bounds(), since, until)
        return None if bound_s == limit_s else bound_s

    def _factor(self, rule: Alert) -> float:
        return self._stack.factors[next(group.name for group in GROUPS if rule in group.rules)]
