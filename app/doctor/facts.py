"""What the doctor found out: facts, and findings that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final


class Cause(StrEnum):
    """What can be wrong with a service."""

    NAME = "name_unresolvable"
    CERTIFICATE = "certificate"
    UPGRADE = "proxy_does_not_upgrade"
    DOWN = "unreachable"
    SECRET = "wrong_secret"  # noqa: S105 - a cause, not a secret
    EVENT_LOG = "event_log"
    PARTITION = "replica_partitioned"
    DISK = "disk"
    CLOCK = "clock"
    DESCRIPTORS = "descriptors"
    JUDGE = "judge"
    CUTS = "proxy_cuts"
    VERSION = "version_skew"


class Likelihood(IntEnum):
    """How sure a finding is."""

    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3


class Failure(StrEnum):
    """Why somebody could not be asked."""

    NAME = "name"
    CERTIFICATE = "certificate"
    DESCRIPTORS = "descriptors"
    UNREACHABLE = "unreachable"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why asking failed, for rules and in words."""

    failure: Failure
    detail: str


LATELY: Final = "15m"
"""The time over which counters are compared, if Prometheus was asked: what was repaired yesterday is no news."""

Rows = tuple[tuple[Mapping[str, str], float], ...]
Samples = Mapping[str, Rows]
"""Samples by name: labels and value of each."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica, by its ops port; `clock_ahead_s` is of its clock, against the one here, to about a second.

    `lately` is by how much its counters grew within `LATELY`, where Prometheus was asked and has them.
    """

    name: str
    trouble: Trouble | None = None
    samples: Samples = field(default_factory=dict)
    clock_ahead_s: float = 0.0
    lately: Samples = field(default_factory=dict)

    def total(self, family: str, **labels: str) -> float:
        """Return the sum of a family's samples that have these labels; 0 if there is none."""
        return sum(value for _, value in _with(self.samples, family, labels))

    def grown(self, counter: str, **labels: str) -> float:
        """Return by how much a counter grew lately, if that is known; else since the start."""
        return sum(value for _, value in self.rows(counter, **labels))

    def rows(self, counter: str, **labels: str) -> Rows:
        """Return the same, one for each series with these labels."""
        return _with(self.lately if f"code_racer_{counter}" in self.lately else self.samples, counter, labels)

    @property
    def since(self) -> str:
        """Say over which time counters are told."""
        return f"within {LATELY}" if self.lately else "since its start"

    def has(self, family: str) -> bool:
        """Tell whether it exposes the family."""
        return f"code_racer_{family}" in self.samples

    def label(self, family: str, label: str, **labels: str) -> str:
        """Return what an info metric says; empty if it is not there."""
        return next((found.get(label, "") for found, _ in _with(self.samples, family, labels)), "")


def _with(samples: Samples, family: str, labels: Mapping[str, str]) -> Rows:
    wanted = labels.items()
    return tuple(row for row in samples.get(f"code_racer_{family}", ()) if wanted <= row[0].items())


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """The way that players come: the answer to an upgrade (0: none), and days until the certificate ends."""

    url: str
    trouble: Trouble | None = None
    status: int = 0
    certificate_days: float | None = None


@dataclass(frozen=True, slots=True)
class AskedServer:
    """A server of the event log or Prometheus, and why it could not be asked if it could not."""

    url: str
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was found out. `firing` are alerts with what they are about; `fingerprints` those of the secrets here.

    `disk_free` is the part that is free where the event log of the settings is; None: it is not on this machine.
    """

    replicas: tuple[Replica, ...] = ()
    public_urls: tuple[PublicUrl, ...] = ()
    log_servers: tuple[AskedServer, ...] = ()
    prometheus: AskedServer | None = None
    firing: tuple[tuple[str, str], ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    disk_free: float | None = None

    @property
    def asked(self) -> tuple[Replica, ...]:
        """The replicas that answered."""
        return tuple(one for one in self.replicas if one.trouble is None)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, who has it, what shows it, and the runbook (the alert's name) that says what to do."""

    cause: Cause
    likelihood: Likelihood
    culprit: str
    evidence: tuple[str, ...]
    runbook: str
