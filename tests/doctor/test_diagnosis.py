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


def closed(**by_bound: float) -> Replica:
    """A replica whose connections, all lost, lasted so long: totals by upper bound, as Prometheus has them."""
    rows = tuple(({"le": bound.removeprefix("le_").replace("_", ".")}, total) for bound, total in by_bound.items())
    lost = max(by_bound.values())
    return Replica(
        "a",
        samples={
            "code_racer_ws_connection_duration_seconds_bucket": rows,
            "code_racer_ws_closes_total": (({"reason": "connection_lost"}, lost),),
        },
    )


@pytest.mark.parametrize(
    ("one", "age"),
    [
        (closed(le_15=0, le_60=0, le_300=20, le_Inf=20), "between 15 and 300 s"),
        (closed(le_15=0, le_60=10, le_300=20, le_Inf=20), "between 15 and 300 s"),  # cut at 60 s, a bound
        (closed(le_15=5, le_60=12, le_300=19, le_Inf=24), ""),
        (closed(le_15=0, le_60=4, le_300=8, le_Inf=8), ""),  # too few to tell
    ],
)
def test_cuts_at_one_age_are_told_also_where_it_is_the_bound_of_a_bucket(one: Replica, age: str) -> None:
    cuts = [finding for finding in diagnose(Facts((one,))) if finding.cause is Cause.CUTS]
    assert bool(cuts) == bool(age)
    assert all(age in finding.evidence[1] for finding in cuts)


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
