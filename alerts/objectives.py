"""The service level objectives: what is recorded of each indicator, and the alerts on how fast its budget burns.

Multi-window, multi-burn-rate (Google, The Site Reliability Workbook, chapter 5): a page when the error budget of 30
days would be gone in two days (14.4 times too fast, over an hour) or in five (6 times, over six hours), a ticket at
3 times over a day or 1 times over three days. The short window ends an alert soon after its cause. A quiet night is
no emergency: below `LEAST_BAD` bad events in the long window nothing fires. Verdicts are few and may wait: they page
only where most of at least twenty are bad for half an hour (50 times the budget).
"""

import itertools
from dataclasses import dataclass
from typing import Final

from alerts.config import CONFIG
from alerts.model import INSTANCE, KEEPS, Alert, Case, Group, Recording, Severity

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h")
BUDGET: Final = "30d"
LONG: Final = ("1d", "3d", BUDGET)
STEP: Final = "5m"
"""What long windows are added up from: of the counters Prometheus would read millions of samples each time."""
LEAST_BAD: Final = CONFIG["budgets"]["least_bad"]
_BY: Final = "sum by (cluster, namespace, job)"
HOLD_MINUTES: Final = {Severity.CRITICAL: 2, Severity.WARNING: 15}
FIRST_BURNS: Final = {Severity.CRITICAL: 1, Severity.WARNING: 2}
"""In the tests, the minute after which ten are bad. Promtool evaluates a group of steps every minute, whatever its
interval, so that it counts them up to five times; in production a ticket waits for the end of a step instead."""


@dataclass(frozen=True, slots=True)
class Burn:
    """A budget that goes `factor` times too fast, over a long window and still over a short one.

    Of fewer valid `events` in the long window nothing is said; where that is 0, `LEAST_BAD` bad ones are enough.
    """

    factor: float
    long: str
    short: str
    events: int = 0


PAGE: Final = (Burn(14.4, "1h", "5m"), Burn(6.0, "6h", "30m"))
TICKET: Final = (Burn(3.0, "1d", "2h"), Burn(1.0, "3d", "6h"))


@dataclass(frozen=True, slots=True)
class Objective:
    """One indicator (docs/slis.md): good and valid events as families with their matchers, and what part must be good.

    `alert` names the alert, `events` completes "... of the ..." in its description. For the tests: the series
    of good events and of bad ones, `alike` those of what is no fault of ours, and further `cases`.
    """

    name: str
    target: float
    good: str
    valid: str
    alert: str
    summary: str
    events: str
    pages: tuple[Burn, ...]
    good_series: tuple[str, ...]
    bad_series: tuple[str, ...]
    alike: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()

    def errors(self, window: str) -> str:
        """Name the recording of the ratio of bad events over a window."""
        return f"job:code_racer_{self.name}_errors:ratio_rate{window}"

    def recordings(self) -> Group:
        """Record the error ratio over each window."""
        rules = [Recording(self.errors(window), self.ratio(window)) for window in WINDOWS]
        rules += [Recording(self.errors(window), "1 - {} / {}".format(*self._counts(window))) for window in LONG]
        return Group(f"code-racer-{self.name}-errors", tuple(rules))

    def _counts(self, window: str) -> tuple[str, str]:
        """Write how many good and how many valid events there were in a window."""
        good, valid = (
            f"sum_over_time({step.name}[{window}])" if window in LONG else f"{_BY} (increase({events}[{window}]))"
            for step, events in zip(self.steps().rules, (self.good, self.valid), strict=True)
        )
        return good, valid

    def steps(self) -> Group:
        """Record the good and the valid events of each five minutes, once: a long window is their sum."""
        rules = tuple(
            Recording(f"job:code_racer_{self.name}_{kind}:increase{STEP}", f"{_BY} (increase({events}[{STEP}]))")
            for kind, events in (("good", self.good), ("valid", self.valid))
        )
        return Group(f"code-racer-{self.name}-steps", rules, STEP)

    def ratio(self, window: str) -> str:
        """Write the ratio of bad events over a window, as read from the counters."""
        return f"1 - {_BY} (rate({self.good}[{window}])) / {_BY} (rate({self.valid}[{window}]))"

    def alerts(self) -> tuple[Alert, ...]:
        """Make the page, where there is one, and the ticket."""
        burns = {Severity.CRITICAL: self.pages, Severity.WARNING: TICKET}
        return tuple(self._alert(severity, found) for severity, found in burns.items() if found)

    def _alert(self, severity: Severity, burns: tuple[Burn, ...]) -> Alert:
        return Alert(
            name=self.alert,
            severity=severity,
            expr="\nor\n".join(map(self._burning, burns)) + "\n",
            hold=f"{HOLD_MINUTES[severity]}m",
            summary=self.summary,
            description=f"{{{{ $value | humanizePercentage }}}} of the {self._allowed}",
            cases=(*self._cases(severity), *(self._flapping() if severity is Severity.CRITICAL else ()), *self.cases),
            keeps=KEEPS if severity is Severity.CRITICAL else "",
        )

    @property
    def _allowed(self) -> str:
        return f"{self.events}; the objective allows {1 - self.target:.1%}."

    def _burning(self, burn: Burn) -> str:
        most = f"{burn.factor * (1 - self.target):.4g}"
        good, valid = self._counts(burn.long)
        enough = f"{valid} >= {burn.events}" if burn.events else f"({valid} - {good}) >= {LEAST_BAD}"
        return (
            f"({self.errors(burn.long)} > {most} and {self.errors(burn.short)} > {most}\n"
            f"  and on (cluster, namespace, job) {enough})"
        )

    def _cases(self, severity: Severity) -> tuple[Case, ...]:
        """Burning fires once ten are bad; a quiet night, a restart and what clients do wrong do not."""
        budget = 1 - self.target
        page = 20 if self.pages == PAGE else 60
        bad = {Severity.CRITICAL: page, Severity.WARNING: 4}[severity]  # times the budget: a page, or only a ticket
        total = round(1 / budget)
        return (
            Case(
                f"burns {bad} times too fast",
                self._counted(f"0+{total - bad}x40", f"0+{bad}x40"),
                fires=FIRST_BURNS[severity] + HOLD_MINUTES[severity],
                labels={"job": "code-racer"},
                description=f"{100 * bad / total:g}% of the {self._allowed}",
            ),
            Case("half of two is bad in a quiet night", self._counted("0x60 1x600", "0x60 1x600"), silent=(70, 300)),
            Case("a restart sets the counters back", self._counted("0+99999x30 0+99999x30", "0+1x60"), silent=(32, 55)),
            Case(
                "much of what is no fault of ours",
                self._counted("0+99x60", "0x60") | _series(self.alike, "0+900x60"),
                silent=(10, 55),
            ),
        )

    def _flapping(self) -> tuple[Case, ...]:
        """A burn that comes and goes, or that cannot be read for a while, is told once."""
        bad, well, away = (3, 32, 32) if self.pages == PAGE else (7, 3, 7)  # longer than the short window of a burn
        flapping = ([*[here] * bad, *[there] * well, *[here] * bad] for here, there in ((0, 100), (100, 0)))
        return (
            Case(
                f"all is bad for {bad} minutes, well for {well}, and bad again",
                self._counted(*map(_counter, flapping)),
                silent=(2,),
                once=(3, 2 * bad + well),
            ),
            Case(
                f"its series are gone for {away} minutes",
                self._counted("0x80", f"0+100x12 _x{away} 5000+100x20"),
                silent=(2,),
                once=(3, 12 + away + 10),
            ),
        )

    def _counted(self, good: str, bad: str) -> dict[str, str]:
        return _series(self.good_series, good) | _series(self.bad_series, bad)


def _counter(grown: list[int]) -> str:
    """Write a counter that grows by so much each minute, and then no more."""
    return " ".join(map(str, itertools.accumulate(grown, initial=0))) + f" {sum(grown)}x30"


def _series(names: tuple[str, ...], values: str) -> dict[str, str]:
    return {name.replace("{", "{" + INSTANCE + ", ", 1): values for name in names}


OBJECTIVES: Final = (
    Objective(
        name="handshake",
        target=0.999,
        good='code_racer_ws_handshakes_total{outcome="accepted"}',
        valid='code_racer_ws_handshakes_total{outcome=~"accepted|unavailable|internal_error|overloaded|draining"}',
        alert="CodeRacerHandshakeBudgetBurn",
        summary="Code Racer refuses connections that it should take.",
        events="handshakes of valid clients fail by the service's fault",
        pages=PAGE,
        good_series=('code_racer_ws_handshakes_total{outcome="accepted"}',),
        bad_series=('code_racer_ws_handshakes_total{outcome="unavailable"}',),
        alike=(
            'code_racer_ws_handshakes_total{outcome="unauthorized"}',
            'code_racer_ws_handshakes_total{outcome="game_full"}',
            'code_racer_ws_handshakes_total{outcome="rate_limited"}',
        ),
    ),
    Objective(
        name="message",
        target=0.999,
        good='code_racer_ws_message_duration_seconds_bucket{outcome="ok", le="0.05"}',
        valid='code_racer_ws_message_duration_seconds_count{outcome=~"ok|error"}',
        alert="CodeRacerMessageBudgetBurn",
        summary="Code Racer answers valid messages late or not at all.",
        events="valid messages are slow or fail",
        pages=PAGE,
        good_series=(
            'code_racer_ws_message_duration_seconds_bucket{outcome="ok", type="ready", le="0.05"}',
            'code_racer_ws_message_duration_seconds_count{outcome="ok", type="ready"}',
        ),
        bad_series=('code_racer_ws_message_duration_seconds_count{outcome="error", type="ready"}',),
        alike=('code_racer_ws_message_duration_seconds_count{outcome="rejected", type="other"}',),
    ),
    Objective(
        name="delivery",
        target=0.999,
        good='code_racer_event_delivery_seconds_bucket{reader="prompt", le="0.25"}',
        valid='code_racer_event_delivery_seconds_count{reader="prompt"}',
        alert="CodeRacerDeliveryBudgetBurn",
        summary="Code Racer tells players late what happens in their games.",
        events="deliveries of events take longer than 250 ms",
        pages=PAGE,
        good_series=(
            'code_racer_event_delivery_seconds_bucket{reader="prompt", le="0.25"}',
            'code_racer_event_delivery_seconds_count{reader="prompt", instance_part="good"}',
        ),
        bad_series=('code_racer_event_delivery_seconds_count{reader="prompt", instance_part="bad"}',),
        alike=('code_racer_event_delivery_seconds_count{reader="slow"}',),
    ),
    Objective(
        name="ping",
        target=0.99,
        good='code_racer_ws_ping_rtt_seconds_bucket{le="1.0"}',
        valid='code_racer_ws_pings_total{outcome=~"answered|timeout"}',
        alert="CodeRacerPingBudgetBurn",
        summary="Many pings are answered late or not at all.",
        events="pings are answered late or not at all",
        pages=(),
        good_series=(
            'code_racer_ws_ping_rtt_seconds_bucket{le="1.0"}',
            'code_racer_ws_pings_total{outcome="answered"}',
        ),
        bad_series=('code_racer_ws_pings_total{outcome="timeout"}',),
        alike=('code_racer_ws_pings_total{outcome="abandoned"}',),
    ),
    Objective(
        name="verdict",
        target=0.99,
        good='code_racer_verdict_seconds_bucket{outcome!~"time_limit|judge_error", le="5.0"}',
        valid='code_racer_verdict_seconds_count{outcome!="time_limit"}',
        alert="CodeRacerVerdictBudgetBurn",
        summary="Players wait long for their verdicts, or get none.",
        events="submissions wait long for their verdict or get none",
        pages=(Burn(50.0, "30m", "5m", events=20),),
        good_series=(
            'code_racer_verdict_seconds_bucket{outcome="accepted", le="5.0"}',
            'code_racer_verdict_seconds_count{outcome="accepted"}',
        ),
        bad_series=('code_racer_verdict_seconds_count{outcome="judge_error"}',),
        alike=('code_racer_verdict_seconds_count{outcome="time_limit"}',),
        cases=(
            Case(
                "fifteen submissions, all of them late",
                _series(('code_racer_verdict_seconds_bucket{outcome="accepted", le="5.0"}',), "0x40")
                | _series(('code_racer_verdict_seconds_count{outcome="accepted"}',), "0+5x3 15x30"),
                silent=(6, 12),
            ),
            Case(
                "wrong answers are the players' own",
                _series(
                    (
                        'code_racer_verdict_seconds_bucket{outcome="wrong_answer", le="5.0"}',
                        'code_racer_verdict_seconds_count{outcome="wrong_answer"}',
                    ),
                    "0+50x60",
                )
                | _series(('code_racer_verdict_seconds_bucket{outcome="accepted", le="5.0"}',), "0x60"),
                silent=(5, 30, 55),
            ),
        ),
    ),
)
