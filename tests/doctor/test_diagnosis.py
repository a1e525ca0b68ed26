"""The doctor's rules on facts that no test can wait for: majorities, ties, ages of an hour."""

import inspect
import re
from typing import Any

import pytest

from app.doctor import diagnosis
from app.doctor.diagnosis import diagnose
from app.doctor.facts import Cause, Facts, Finding, Likelihood, Replica
from tools.harness.server import ROOT


def replica(name: str, fingerprint: str = "aa", refused: float = 0.0) -> Replica:
    samples: dict[str, Any] = {
        "code_racer_secret_info": (({"name": "JWT_SECRET", "fingerprint": fingerprint}, 1.0),),
        "code_racer_ws_handshakes_total": (({"outcome": "unauthorized"}, refused), ({"outcome": "accepted"}, 50.0)),
    }
    return Replica(name, samples=samples)


def secrets(*replicas: Replica, here: str = "none") -> list[Finding]:
    return [one for one in diagnose(Facts(replicas, fingerprints={"JWT_SECRET": here})) if one.cause is Cause.SECRET]


def told(findings: list[Finding]) -> list[tuple[str, Likelihood]]:
    return [(one.culprit, one.likelihood) for one in findings]


def test_one_secret_for_all_is_no_finding() -> None:
    assert secrets(replica("a"), replica("b"), here="aa") == []
    assert secrets(replica("a"), replica("b")) == []


def test_the_secret_of_most_is_right() -> None:
    assert told(secrets(replica("a"), replica("b", "bb"), replica("c"))) == [("b", Likelihood.CERTAIN)]


def test_of_two_the_one_that_refuses_more_is_likely_wrong() -> None:
    assert told(secrets(replica("a", "aa", 20), replica("b", "bb", 1))) == [("a", Likelihood.LIKELY)]


def test_of_two_that_refuse_as_many_both_are_named() -> None:
    (finding,) = secrets(replica("a"), replica("b", "bb"))
    assert (finding.culprit, finding.likelihood) == ("a or b", Likelihood.POSSIBLE)
    assert finding.evidence == (
        "the fingerprint of JWT_SECRET on a is aa",
        "the fingerprint of JWT_SECRET on b is bb",
    )


def test_the_settings_here_decide_but_are_not_certain_against_most() -> None:
    assert told(secrets(replica("a"), replica("b", "bb"), here="bb")) == [("a", Likelihood.LIKELY)]
    most = (replica("a"), replica("b"), replica("c", "cc"))
    assert told(secrets(*most, here="aa")) == [("c", Likelihood.CERTAIN)]
    assert told(secrets(*most, here="cc")) == [("a", Likelihood.LIKELY), ("b", Likelihood.LIKELY)]
    assert told(secrets(replica("a"), here="cc")) == [("a", Likelihood.POSSIBLE)]


def closed(family: str, by_bound: dict[str, float], lost: float, ended: float = 0.0) -> Replica:
    """A replica of whose connections so many were lost, and others ended well: ages up to each bound."""
    rows = tuple(({"le": bound}, total) for bound, total in by_bound.items())
    closes = ({"reason": "connection_lost"}, lost), ({"reason": "normal"}, ended)
    return Replica("a", samples={f"code_racer_{family}_bucket": rows, "code_racer_ws_closes_total": closes})


def lasted(*totals: float) -> Replica:
    """One whose connections were all lost, and lasted so long."""
    by_bound = dict(zip(("15.0", "60.0", "300.0", "+Inf"), totals, strict=True))
    return closed("ws_connection_duration_seconds", by_bound, lost=totals[-1])


def lost_old(*totals: float) -> Replica:
    """One that loses some old connections among many short ones."""
    by_bound = dict(zip(("240.0", "490.0", "560.0", "650.0", "745.0", "+Inf"), totals, strict=True))
    return closed("ws_lost_age_seconds", by_bound, lost=totals[-1], ended=1_000)


@pytest.mark.parametrize(
    ("one", "age", "likelihood"),
    [
        (lasted(0, 0, 20, 20), "100% of all lasted between 15 and 300 s", Likelihood.LIKELY),
        (lasted(0, 10, 20, 20), "100% of all lasted between 15 and 300 s", Likelihood.LIKELY),  # at 60 s
        (lasted(5, 12, 19, 24), "", None),
        (lasted(0, 4, 8, 8), "", None),  # too few to tell
        (
            lost_old(50, 52, 53, 68, 70, 70),
            "85% of those lost that were older than 240 s lasted between 560 and 745 s",
            Likelihood.POSSIBLE,
        ),
        (lost_old(50, 60, 63, 65, 67, 70), "", None),  # networks
        (lost_old(50, 50, 50, 58, 58, 58), "", None),  # too few that were old
    ],
)
def test_cuts_at_one_age_are_told_also_among_short_races(one: Replica, age: str, likelihood: Likelihood | None) -> None:
    cuts = [finding for finding in diagnose(Facts((one,))) if finding.cause is Cause.CUTS]
    assert [finding.likelihood for finding in cuts] == ([likelihood] if likelihood else [])
    assert all(finding.evidence[1].startswith(age) for finding in cuts)


def test_a_disk_that_is_nearly_full_is_told_with_what_is_left() -> None:
    (finding,) = diagnose(Facts(disk_free=0.03))
    assert (finding.cause, finding.evidence) == (Cause.DISK, ("3.0% of the disk of the event log is free",))
    assert diagnose(Facts(disk_free=0.5)) == ()


def test_counters_are_those_of_lately_where_they_are_known() -> None:
    died: Any = {"code_racer_judge_stops_total": (({"cause": "died"}, 4.0),)}
    none: Any = {"code_racer_judge_stops_total": (({"cause": "died"}, 0.0),)}
    (finding,) = diagnose(Facts((Replica("a", samples=died),)))
    assert finding.evidence[1] == "4 times a worker died or was garbled, since its start"
    assert diagnose(Facts((Replica("a", samples=died, lately=none),))) == ()
    (finding,) = diagnose(Facts((Replica("a", samples=none, lately=died),)))
    assert finding.evidence[1] == "4 times a worker died or was garbled, within 15m"


def test_every_finding_s_runbook_is_there() -> None:
    named = re.findall(r'"(CodeRacer\w+)"', inspect.getsource(diagnosis))
    assert {name for name in named if not (ROOT / f"alerts/runbooks/{name}.md").exists()} == set()
    assert len(named) > len(Cause)
