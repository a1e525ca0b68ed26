"""What a drill is, and how one is run.

A drill is a generator with three stops: all is well; the fault is there; the fault is lifted. At each stop the runner
looks: at the first that nothing fires; at the second that the right alert reaches the right receiver, that the panel
that should show it does, and that every query and log search of its runbook works; at the third that all falls
silent again.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from websockets.exceptions import WebSocketException

from alerts.build import GROUPS, alerts
from alerts.drills.excuses import Excuses
from alerts.drills.late import rules_named
from alerts.drills.scale import milliseconds, scaled_expr
from alerts.drills.stack import WATCHDOG, Notice, Stack, waited_for
from alerts.drills.stage import DrillFailed, Stage
from alerts.model import Alert, Group, Severity
from alerts.objectives import OBJECTIVES
from dashboards.build import BOARDS
from dashboards.model import Board, Panel
from tools.harness.machine import SLOWEST, Witness, pace
from tools.harness.prometheus import filled
from tools.queries import blocks

ROOT: Final = Path(__file__).parents[2]
FACTOR: Final = 60.0
_SPECIAL: Final = {
    "code-racer-availability": 20.0,  # a scrape that is late once on a busy machine is nobody down
    "code-racer-objectives": 240.0,  # six hours in ninety seconds
    **{group.name: 240.0 for objective in OBJECTIVES for group in (objective.steps(), objective.recordings())},
}
FACTORS: Final = {group.name: _SPECIAL.get(group.name, FACTOR) for group in GROUPS}
QUIET_S: Final = 60.0
_TOLD_S: Final = 5.0
"""Longer than a rule that is true takes to be pending, and Alertmanager to tell of it."""
FIRES_WITHIN_S: Final = 180.0
SILENT_WITHIN_S: Final = 240.0
LOGS: Final = "kubectl logs -l app.kubernetes.io/name=code-racer --tail=-1"

Act = Callable[[Stage], Generator[None, None, None]]


@dataclass(frozen=True, slots=True)
class Drill:
    """A fault for an alert.

    `panel` is the title of the panel that shows it, None where nothing can be shown; `event` the log event that tells
    of it, with its fields, None where a process cannot write one. `pages` are further pages that the fault is right to
    cause. `stays_bad`: the panel shows a longer past than the drill. `takes_native`: its Prometheus takes native
    histograms. What only looks like a fault (`is_look_alike`) is told as that by nobody, nor as anything else but what
    `pages` allows.
    """

    alert: str
    severity: Severity
    fault: str
    act: Act
    panel: str | None
    event: str | None
    fields: Mapping[str, object] = field(default_factory=dict)
    pages: frozenset[str] = frozenset()
    factors: Mapping[str, float] = field(default_factory=dict)
    stays_bad: bool = False
    takes_native: bool = False
    is_look_alike: bool = False

    @property
    def name(self) -> str:
        """Alert, severity and fault."""
        return f"{self.alert} ({self.severity}): {self.fault}"

    @property
    def rule(self) -> Alert:
        """The alert it is for."""
        return next(one for one in alerts() if (one.name, one.severity) == (self.alert, self.severity))

    @property
    def group(self) -> Group:
        """The group of its alert."""
        return next(group for group in GROUPS if self.rule in group.rules)

    @property
    def factor(self) -> float:
        """How much faster its clock is."""
        return {**FACTORS, **self.factors}[self.group.name]

    def shown_by(self) -> tuple[Board, Panel] | None:
        """Find the panel that should show it. Raises LookupError where the alert is not linked from there."""
        if self.panel is None:
            return None
        for board in BOARDS:
            for panel in board.panels:
                if panel.title == self.panel and self.alert in panel.alerts:
                    return board, panel
        raise LookupError(f"no panel {self.panel!r} leads to {self.alert}")


@dataclass
class Result:
    """What a drill has shown; times in seconds on the drill's clock, which was so many times slower (`pace`).

    `excused` are alerts that the machine was right to cause (late.py).
    """

    drill: Drill
    pace: int = 1
    detected_s: float = 0.0
    silent_s: float = 0.0
    others: set[str] = field(default_factory=set)
    false_pages: set[str] = field(default_factory=set)
    excused: set[str] = field(default_factory=set)
    starved: bool = False
    failure: str = ""

    @property
    def is_drowned(self) -> bool:
        """Whether the machine caused the drill's own alert too."""
        return self.drill.alert in self.excused


def run(drill: Drill) -> Result:
    """Run a drill; what goes wrong is in the result, and its files are kept then.

    Its clock is as slow as the machine. Where it fails while the machine kept it waiting it is run again on a clock
    half as fast, but for pages that should not have been: these are told from the machine's own, and are failures.
    """
    slower = pace()
    while True:
        result = _run(drill, slower)
        if not result.failure or result.false_pages or not result.starved or slower >= SLOWEST:
            return result
        slower *= 2


def _run(drill: Drill, slower: int) -> Result:
    result = Result(drill, slower)
    place = Path(tempfile.mkdtemp(prefix="code-racer-drill-"))
    stack = Stack(place / "stack", {**FACTORS, **drill.factors}, slower, takes_native=drill.takes_native)
    witness = Witness(place)
    with witness.looking(), stack.running():
        stage = Stage(place, stack)
        act = drill.act(stage)
        try:
            _Run(drill, stack, stage, result, witness).play(act)
        except (DrillFailed, AssertionError, OSError, WebSocketException, subprocess.TimeoutExpired) as error:
            result.failure = f"{type(error).__name__}: {error}; see {place}"
        finally:
            act.close()
    result.starved = witness.withheld.longest_s(stack.scrape_s) >= stack.scrape_s / 2
    if not result.failure:
        shutil.rmtree(place)
    return result


class _Run:
    def __init__(self, drill: Drill, stack: Stack, stage: Stage, result: Result, witness: Witness) -> None:
        self.excuses = Excuses(stack, witness, drill.alert)
        self.drill = drill
        self.stack = stack
        self.stage = stage
        self.result = result
        self.panel_was_bad = False
        self.began = 0.0

    def play(self, act: Iterator[None]) -> None:
        """Go through the three stops."""
        next(act)
        self._require(self._is_well, QUIET_S, "it was not quiet before the fault")
        logged = self._logged()
        began = self.began = time.monotonic()
        next(act)
        if self.drill.is_look_alike:
            self._let_rules_look()
        elif self.drill.alert == WATCHDOG:
            self._require(
                lambda: self._missed_s() > self._missed_after_s, FIRES_WITHIN_S, "the watchdog was not missed"
            )
            self.result.detected_s = time.monotonic() - began
        else:
            self._await_alert(began)
            self._require(self._panel_is_bad, QUIET_S, f"panel {self.drill.panel} does not show it")
            self._run_queries()
        lifted = time.monotonic()
        next(act)
        self._require(self._is_silent, SILENT_WITHIN_S, "it did not fall silent")
        self.result.silent_s = time.monotonic() - lifted
        if self.drill.event is not None and self._logged() <= logged:
            raise DrillFailed(f"no log line {self.drill.event} {dict(self.drill.fields)}")
        if not self.drill.is_look_alike:
            self._search_logs()
        self._judge_others()

    def _let_rules_look(self) -> None:
        """Wait until the alert, had it come of this, would have been told."""
        rule, factor = self.drill.rule, self.drill.factor
        for_s = _TOLD_S + (milliseconds(rule.hold) / 1000) / factor
        since_s = self.stack.rule_clock_s()
        self._require(
            lambda: self.stack.rule_clock_s() - since_s > for_s, FIRES_WITHIN_S, "the rules' clock stands still"
        )

    # ---------------------------------------------------------------- looks

    def _require(self, condition: Callable[[], object], timeout_s: float, otherwise: str) -> None:
        soon_enough = waited_for(lambda: self.stage.raised or condition(), self._clock(timeout_s))
        if self.stage.raised:
            raise DrillFailed(f"what causes the fault failed itself: {self.stage.raised[0]!r}")
        if not soon_enough:
            states = self.stack.query('ALERTS{alertname!="CodeRacerWatchdog"}')
            active = sorted(f"{one['metric']['alertname']} {one['metric']['alertstate']}" for one in states)
            raise DrillFailed(f"{otherwise}; alerts: {active}; the panel: {self._panel_values()}")

    def _clock(self, timeout_s: float) -> Callable[[], bool]:
        """Begin to wait by the rules' own clock, of which a busy machine drops beats, and not for ever."""
        began = time.monotonic()
        first_s: list[float] = []

        def in_time() -> bool:
            took_s = (time.monotonic() - began) / self.stack.pace
            if took_s < timeout_s / 2:
                return True
            try:
                first_s.append(self.stack.rule_clock_s())
            except httpx.TransportError:  # a drill stops Prometheus itself
                return took_s < timeout_s
            return first_s[-1] - first_s[0] < timeout_s / 2 and took_s < SLOWEST * timeout_s

        return in_time

    def _is_well(self) -> bool:
        return bool(
            self.stack.query("up == 1")
            and self.stack.listener.fired(WATCHDOG, "warning")
            and not self._unexcused(self.stack.alerts())
            and self._panel_is_well()
        )

    def _is_silent(self) -> bool:
        return bool(
            not self._unexcused(self.stack.alerts())
            and not self._unexcused(self.stack.delivered())
            and self._missed_s() < self._missed_after_s
            and self._panel_is_well()
        )

    def _panel_is_well(self) -> bool:
        is_any = self.drill.panel is None or self.drill.stays_bad
        return is_any or not self._panel_is_bad(remember=False) or not self._unexcused({self.drill.alert})

    @property
    def _missed_after_s(self) -> float:
        return 5 * 60 / FACTOR * self.stack.pace

    def _missed_s(self) -> float:
        """Measure how long the dead man's switch has heard nothing."""
        last = max((one.at for one in tuple(self.stack.listener.notices) if one.name == WATCHDOG), default=0.0)
        return time.monotonic() - last

    def _await_alert(self, began: float) -> None:
        def told() -> bool:
            self._panel_is_bad()
            return self._told() is not None

        self._require(told, FIRES_WITHIN_S, "the alert did not fire")
        notice = self._told()
        if notice is None or notice.receiver != {"critical": "pager", "warning": "tickets"}[self.drill.severity]:
            raise DrillFailed(f"it went to the wrong receiver: {notice}")
        self.result.detected_s = max(0.0, notice.at - began)

    def _told(self) -> Notice | None:
        """Return when somebody was told of the drill's alert; before the fault where the machine had caused it too."""
        rule = self.drill.rule
        since = 0.0 if rule.name in self.stack.delivered() and rule.name in self.result.excused else self.began
        return self.stack.listener.fired(rule.name, rule.severity, since)

    # ---------------------------------------------------------------- the machine

    def _unexcused(self, names: set[str]) -> set[str]:
        """Leave out the alerts that are true of the machine now, and of nothing else."""
        excused = {name for name in names if all(map(self.excuses.hold_for, rules_named(name)))}
        self.result.excused |= excused
        return names - excused

    # ---------------------------------------------------------------- the panel

    def _panel_values(self) -> list[float]:
        shown = self.drill.shown_by()
        if shown is None:
            return []
        factor = self.stack.factors[self.drill.group.name]
        exprs = (scaled_expr(filled(query.expr, "5m", "1h"), factor) for query in shown[1].queries)
        series = [one for expr in exprs for one in self.stack.query(expr)]
        return [value for one in series if (value := float(one["value"][1])) == value]

    def _panel_is_bad(self, *, remember: bool = True) -> bool:
        """Check whether the panel shows it; once it did while the fault is there, that is enough."""
        shown = self.drill.shown_by()
        is_bad = shown is None or any(shown[1].needs_attention(value) for value in self._panel_values())
        if remember:
            self.panel_was_bad |= is_bad
            return self.panel_was_bad
        return is_bad

    # ---------------------------------------------------------------- the runbook

    @property
    def _runbook(self) -> Path:
        return ROOT / f"alerts/runbooks/{self.drill.alert}.md"

    def _run_queries(self) -> None:
        for expr in blocks(self._runbook, "promql"):
            self.stack.query(expr)

    def _search_logs(self) -> None:
        """Search with the real jq on the server's real log; kubectl is a stand-in that prints it."""
        log = self.stage.folder / "server.log"
        log.write_text("".join(f"{line}\n" for line in tuple(self.stage.server.lines)))
        found = 0
        for search in blocks(self._runbook, "sh"):
            if not search.startswith(LOGS):
                continue
            command = search.replace(LOGS, f"cat {log}", 1)
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)  # noqa: S603, S607 - our own runbook, as a reader would
            if done.returncode:
                raise DrillFailed(f"a search of the runbook fails: {search}: {done.stderr}")
            found += len(done.stdout.splitlines())
        if self.drill.event is not None and not found:
            raise DrillFailed("no search of the runbook finds a line")

    # ---------------------------------------------------------------- the log and the others

    def _logged(self) -> int:
        if self.drill.event is None:
            return 0
        return len(self.stage.server.logged(self.drill.event, **self.drill.fields))

    def _judge_others(self) -> None:
        expected = {WATCHDOG} if self.drill.is_look_alike else {WATCHDOG, self.drill.alert}
        told = [
            one
            for one in self.stack.listener.notices
            if one.status == "firing" and one.at >= self.began and one.name not in expected
        ]
        honest = [
            one for one in told if any(self.excuses.hold_for(rule, one) for rule in rules_named(one.name, one.severity))
        ]
        self.result.excused |= {one.name for one in honest}
        self.result.others = {one.name for one in told if one not in honest}
        paged = {one.name for one in told if one.receiver == "pager" and one not in honest}
        self.result.false_pages = paged - self.drill.pages
        if self.result.false_pages:
            raise DrillFailed(f"pages that should not have been: {sorted(self.result.false_pages)}")
        if self.drill.is_look_alike and (wrong := self.result.others - self.drill.pages):
            raise DrillFailed(f"it was taken for a fault: {sorted(wrong)}")
