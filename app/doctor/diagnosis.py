"""The doctor's rules: findings from facts, pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from app.doctor.facts import Cause, Facts, Failure, Finding, Likelihood, PublicUrl, Replica, Trouble

CLOCK_S: Final = 1.0
"""A clock that differs by more from that of the event log is off."""
CLOCK_HERE_S: Final = 3.0
"""The same against the clock here, which is compared by whole seconds and across a network."""
NEARLY_FULL: Final = 0.85
DISK_FREE: Final = 0.05
CERTIFICATE_DAYS: Final = 14.0
FEWEST_CUTS: Final = 10
CUT_AT_ONE_AGE: Final = 0.75
"""This part of connections lasts about equally long where somebody cuts them at an age."""
SWITCHING, UPGRADE_REQUIRED = 101, 426
_OF_FAILURES: Final = {
    Failure.NAME: (Cause.NAME, "CodeRacerDown"),
    Failure.CERTIFICATE: (Cause.CERTIFICATE, "CodeRacerCertificateExpiring"),
    Failure.DESCRIPTORS: (Cause.DESCRIPTORS, "CodeRacerFdsNearLimit"),
}
"""What it means where the way in which asking failed says more than that it did, and the runbook."""


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Return what is wrong, most likely first; nothing where nothing is known to be."""
    found = [finding for rule in _RULES for finding in rule(facts)]
    order = list(Cause)
    return tuple(sorted(found, key=lambda one: (-one.likelihood, order.index(one.cause))))


def _reach(facts: Facts) -> Iterator[Finding]:
    who = [(one.name, one.trouble, "CodeRacerDown") for one in facts.replicas]
    who += [(one.url, one.trouble, "CodeRacerCanaryFailing") for one in facts.public_urls]
    if facts.prometheus is not None:
        who.append((facts.prometheus.url, facts.prometheus.trouble, "CodeRacerWatchdog"))
    for name, trouble, runbook in who:
        if trouble is not None:
            yield _unreached(name, trouble, runbook)


def _unreached(name: str, trouble: Trouble, runbook: str) -> Finding:
    cause, runbook = _OF_FAILURES.get(trouble.failure, (Cause.DOWN, runbook))
    return Finding(cause, Likelihood.CERTAIN, name, (f"asked from here: {trouble.detail}",), runbook)


def _upgrade(facts: Facts) -> Iterator[Finding]:
    for entry in facts.public_urls:
        if entry.trouble is None and entry.status != SWITCHING:
            yield _no_upgrade(entry)
        if entry.certificate_days is not None and entry.certificate_days < CERTIFICATE_DAYS:
            evidence = f"its certificate ends in {entry.certificate_days:.1f} days"
            yield Finding(Cause.CERTIFICATE, Likelihood.CERTAIN, entry.url, (evidence,), "CodeRacerCertificateExpiring")


def _no_upgrade(entry: PublicUrl) -> Finding:
    evidence: tuple[str, ...] = (f"an upgrade to WebSocket was answered with {entry.status}, not {SWITCHING}",)
    if entry.status == UPGRADE_REQUIRED:
        evidence += ("the service was asked without Upgrade: the proxy before it does not pass that on",)
        return Finding(Cause.UPGRADE, Likelihood.CERTAIN, entry.url, evidence, "CodeRacerCanaryFailing")
    return Finding(Cause.UPGRADE, Likelihood.POSSIBLE, entry.url, evidence, "CodeRacerCanaryFailing")


def _secret(facts: Facts) -> Iterator[Finding]:
    names = {row["name"] for one in facts.asked for row, _ in one.samples.get("code_racer_secret_info", ())}
    for name in sorted(names):
        prints = {one.name: one.label("secret_info", "fingerprint", name=name) for one in facts.asked}
        right, likelihood = _right_one(prints, facts.fingerprints.get(name, "none"), _refused_by(facts, prints))
        if not right:
            evidence = tuple(f"the fingerprint of {name} on {one} is {value}" for one, value in prints.items())
            yield Finding(Cause.SECRET, likelihood, " or ".join(prints), evidence, "CodeRacerAuthFailureSurge")
            continue
        others = sum(value == right for value in prints.values())
        of_whom = f"on {others} others" if others else "in the settings here"
        for one in facts.asked:
            if prints[one.name] != right:
                evidence = (f"the fingerprint of {name} is {prints[one.name]}, and {right} {of_whom}", _refusals(one))
                yield Finding(Cause.SECRET, likelihood, one.name, evidence, "CodeRacerAuthFailureSurge")


def _right_one(prints: dict[str, str], here: str, refused: dict[str, float]) -> tuple[str, Likelihood]:
    """Return the fingerprint that is taken for right, by replica, and how sure that is; none where nothing tells."""
    counts = Counter(prints.values())
    if here in counts:
        is_of_most = 2 * counts[here] > len(prints)
        return here, Likelihood.CERTAIN if is_of_most else Likelihood.LIKELY
    if len(counts) <= 1:
        return (here if here != "none" else next(iter(counts), "none")), Likelihood.POSSIBLE
    (most, of_most), (_, of_next) = counts.most_common(2)
    if of_most > of_next:
        return most, Likelihood.CERTAIN
    least = min(counts, key=lambda one: refused[one])
    is_distinct = sum(refused[one] == refused[least] for one in counts) == 1
    return (least, Likelihood.LIKELY) if is_distinct else ("", Likelihood.POSSIBLE)


def _refused_by(facts: Facts, prints: dict[str, str]) -> dict[str, float]:
    """Count the handshakes that were refused as unauthorized, by fingerprint."""
    refused: dict[str, float] = dict.fromkeys(prints.values(), 0.0)
    for one in facts.asked:
        refused[prints[one.name]] += _refused(one)
    return refused


def _refused(one: Replica) -> float:
    return one.grown("ws_handshakes_total", outcome="unauthorized")


def _refusals(one: Replica) -> str:
    refused, attempts = _refused(one), one.grown("ws_handshakes_total")
    return f"it refused {refused:.0f} of {attempts:.0f} handshakes as unauthorized, {one.since}"


def _event_log(facts: Facts) -> Iterator[Finding]:
    cut = [one for one in facts.asked if one.has("event_log_connected") and not one.total("event_log_connected")]
    bad = [one for one in facts.log_servers if one.trouble is not None]
    for server in bad:
        assert server.trouble is not None  # noqa: S101 - for mypy: it was filtered so
        yield _unreached(server.url, server.trouble, "CodeRacerEventLogDown")
    if cut and len(cut) == len(facts.asked) and (bad or len(cut) > 1):
        evidence: tuple[str, ...] = (f"none of {len(cut)} replicas can append to it",)
        yield Finding(Cause.EVENT_LOG, Likelihood.CERTAIN, "the event log", evidence, "CodeRacerEventLogDown")
    else:
        reached = len(facts.log_servers) - len(bad)
        for one in cut:
            evidence = ("its event log takes no appends (code_racer_event_log_connected is 0)",)
            if reached:
                evidence += (f"{reached} of the event log's servers take connections from here",)
            if others := len(facts.asked) - len(cut):
                evidence += (f"{others} other replicas append",)
            yield Finding(Cause.PARTITION, Likelihood.LIKELY, one.name, evidence, "CodeRacerEventLogDown")
    together = [one for one in facts.asked if one not in cut and one.has("replicas")]
    for one in together:
        if one.total("replicas") < len(together):
            evidence = (f"it knows of {one.total('replicas'):.0f} replicas; {len(together)} append to an event log",)
            yield Finding(Cause.PARTITION, Likelihood.LIKELY, one.name, evidence, "CodeRacerReplicasSplit")


def _disk(facts: Facts) -> Iterator[Finding]:
    if facts.disk_free is not None and facts.disk_free < DISK_FREE:
        evidence: tuple[str, ...] = (f"{facts.disk_free:.1%} of the disk of the event log is free",)
        yield Finding(Cause.DISK, Likelihood.CERTAIN, "this machine", evidence, "CodeRacerDiskFilling")
    for one in facts.asked:
        left, size = one.total("event_log_disk_free_bytes"), one.total("event_log_disk_bytes")
        if left < size * DISK_FREE:
            evidence = (f"{left / size:.1%} of the disk of its event log is free: {left:.0f} of {size:.0f} bytes",)
            yield Finding(Cause.DISK, Likelihood.CERTAIN, one.name, evidence, "CodeRacerDiskFilling")
    full = [one for one in facts.asked if one.grown("event_log_troubles_total", trouble="full")]
    limits = [(one.total("event_log_bytes"), one.total("event_log_limit_bytes")) for one in facts.asked]
    used = max((taken / limit for taken, limit in limits if limit), default=0.0)
    evidence = tuple(
        f"it refused {one.grown('event_log_troubles_total', trouble='full'):.0f} times as full, as {one.name} tells it,"
        f" {one.since}"
        for one in full
    )
    if used > NEARLY_FULL:
        evidence += (f"it takes {used:.0%} of what it may",)
    if evidence:
        runbook = "CodeRacerEventLogFull" if full else "CodeRacerEventLogNearFull"
        yield Finding(Cause.DISK, Likelihood.CERTAIN if full else Likelihood.LIKELY, "the event log", evidence, runbook)


def _clock(facts: Facts) -> Iterator[Finding]:
    offsets = {one.name: one.total("event_log_clock_offset_seconds") for one in facts.asked}
    here = {one.name: one.clock_ahead_s for one in facts.asked}
    off = {name for name, offset in offsets.items() if abs(offset) > CLOCK_S}
    wrong = {name for name, ahead in here.items() if abs(ahead) > CLOCK_HERE_S}
    if len(off) > 1 and off == set(offsets):
        evidence: tuple[str, ...] = tuple(f"it is {offset:+.1f} s ahead of {name}" for name, offset in offsets.items())
        yield Finding(Cause.CLOCK, Likelihood.LIKELY, "the event log's machine", evidence, "CodeRacerClockSkew")
        off = set()
    if len(wrong) > 1 and wrong == set(here) and not off:
        evidence = tuple(f"{name} is {ahead:+.0f} s ahead of it" for name, ahead in here.items())
        yield Finding(Cause.CLOCK, Likelihood.POSSIBLE, "this machine", evidence, "CodeRacerClockSkew")
        wrong = set()
    for name in sorted(off | wrong):
        said: tuple[str, ...] = ()
        if name in off:
            said += (f"the event log's clock is {offsets[name]:+.1f} s ahead of it",)
        if name in wrong:
            said += (f"its clock is {here[name]:+.0f} s ahead of the one here",)
        likelihood = Likelihood.CERTAIN if name in off and name in wrong else Likelihood.LIKELY
        yield Finding(Cause.CLOCK, likelihood, name, said, "CodeRacerClockSkew")


def _descriptors(facts: Facts) -> Iterator[Finding]:
    for one in facts.asked:
        taken, most = one.total("open_fds"), one.total("max_fds")
        turned_away = one.grown("http_rejected_total", reason="no_descriptors")
        is_near = 0 < most * NEARLY_FULL < taken
        if is_near or turned_away:
            evidence: tuple[str, ...] = (f"{taken:.0f} of {most:.0f} file descriptors are open",)
            if turned_away:
                evidence += (f"{turned_away:.0f} times there was none left to serve with, {one.since}",)
            likelihood = Likelihood.CERTAIN if is_near else Likelihood.POSSIBLE
            yield Finding(Cause.DESCRIPTORS, likelihood, one.name, evidence, "CodeRacerFdsNearLimit")


def _judge(facts: Facts) -> Iterator[Finding]:
    for one in facts.asked:
        died = sum(one.grown("judge_stops_total", cause=cause) for cause in ("died", "garbled"))
        failed = one.grown("submissions_total", verdict="judge_error")
        put_off = one.grown("judge_queue_full_total")
        if failed or died:
            evidence: tuple[str, ...] = (
                f"{failed:.0f} of {one.grown('submissions_total'):.0f} submissions could not be judged",
                f"{died:.0f} times a worker died or was garbled, {one.since}",
            )
            yield Finding(Cause.JUDGE, Likelihood.LIKELY, one.name, evidence, "CodeRacerJudgeFailing")
        elif put_off:
            evidence = (f"{put_off:.0f} submissions were put off, as the queue was full, {one.since}",)
            yield Finding(Cause.JUDGE, Likelihood.POSSIBLE, one.name, evidence, "CodeRacerJudgeBacklogged")


def _cuts(facts: Facts) -> Iterator[Finding]:
    """Find an age that connections are cut at: in all that ended where most were lost, else in those that were old.

    Short races hide a cut at ten minutes in the former, so the latter counts whatever else ended; it is no more than
    possible, as players who all came at once, after a restart, are for some minutes of one age too.
    """
    for one in facts.asked:
        lost, ended = one.grown("ws_closes_total", reason="connection_lost"), one.grown("ws_closes_total")
        lasted = [(0.0, 0.0), *_by_bound(one, "ws_connection_duration_seconds_bucket")]
        old = _by_bound(one, "ws_lost_age_seconds_bucket")
        if 2 * lost > ended and (found := _commonest_age(lasted)):
            whose, likelihood = "of all", Likelihood.LIKELY
        elif found := _commonest_age(old):
            whose, likelihood = f"of those lost that were older than {old[0][0]:g} s", Likelihood.POSSIBLE
        else:
            continue
        lasting = f"lasted between {found.low_s:g} and {found.high_s:g} s"
        evidence = (
            f"{lost:.0f} of {ended:.0f} connections ended without a close frame, {one.since}",
            f"{found.part:.0%} {whose} {lasting}: somebody cuts them at that age, or silence",
        )
        yield Finding(Cause.CUTS, likelihood, f"the proxy before {one.name}", evidence, "CodeRacerAbnormalCloses")


class _Age(NamedTuple):
    """Two neighbouring buckets of ages, by their bounds, and what part of all they hold."""

    low_s: float
    high_s: float
    part: float


def _by_bound(one: Replica, histogram: str) -> list[tuple[float, float]]:
    """List the upper bounds of a histogram's buckets, each with the total up to it."""
    return sorted((float(labels["le"]), value) for labels, value in one.rows(histogram))


def _commonest_age(totals: Sequence[tuple[float, float]]) -> _Age | None:
    """Find the age that most have, of enough; what is up to the first bound is left out.

    Two buckets, as an age at which connections are cut may be the bound of one: 60 s is nginx's own, and one of ours.
    """
    count = totals[-1][1] - totals[0][1] if totals else 0.0
    if count < FEWEST_CUTS:
        return None
    low, high = max(zip(totals, totals[2:], strict=False), key=lambda span: span[1][1] - span[0][1])
    part = (high[1] - low[1]) / count
    return _Age(low[0], high[0], part) if part >= CUT_AT_ONE_AGE else None


def _version(facts: Facts) -> Iterator[Finding]:
    running = {
        one.name: (one.label("build_info", "version"), one.label("build_info", "revision")) for one in facts.asked
    }
    if len(set(running.values())) > 1:
        evidence: tuple[str, ...] = tuple(
            f"{name} runs {version} of {revision}" for name, (version, revision) in running.items()
        )
        _, fewest = min((count, build) for build, count in Counter(running.values()).items())
        culprit = ", ".join(name for name, build in running.items() if build == fewest)
        evidence += ("that is right only while a deploy is under way",)
        yield Finding(Cause.VERSION, Likelihood.LIKELY, culprit, evidence, "CodeRacerVersionSkew")


_RULES: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    _reach, _upgrade, _secret, _event_log, _disk, _clock, _descriptors, _judge, _cuts, _version,
)  # fmt: skip
