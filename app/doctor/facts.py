"""What the doctor found out: facts, and findings that follow from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


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
    UNREACHABLE = "unreachable"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why asking failed, for rules and in words."""

    failure: Failure
    detail: str


Samples = Mapping[str, tuple[tuple[Mapping[str, str], float], ...]]
"""Samples by name: labels and value of each."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica, by its ops port; `clock_ahead_s` is of its clock, against the one here, to about a second."""

    name: str
    trouble: Trouble | None = None
    samples: Samples = field(default_factory=dict)
    clock_ahead_s: float = 0.0

    def total(self, family: str, **labels: str) -> float:
        """Return the sum of a family's samples that have these labels; 0 if there is none."""
        wanted = labels.items()
        return sum(value for found, value in self.samples.get(f"code_racer_{family}", ()) if wanted <= found.items())

    def has(self, family: str) -> bool:
        """Tell whether it exposes the family."""
        return f"code_racer_{family}" in self.samples

    def label(self, family: str, label: str, **labels: str) -> str:
        """Return what an info metric says; empty if it is not there."""
        wanted = labels.items()
        rows = self.samples.get(f"code_racer_{family}", ())
        return next((found.get(label, "") for found, _ in rows if wanted <= found.items()), "")


@dataclass(frozen=True, slots=True)
class Door:
    """The way that players come: the answer to an upgrade (0: none), and days until the certificate ends."""

    url: str
    trouble: Trouble | None = None
    status: int = 0
    certificate_days: float | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A server of the event log or Prometheus, and why it could not be asked if it could not."""

    url: str
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was found out. `firing` are alerts with what they are about; `fingerprints` those of the secrets here.

    `disk_free` is the part that is free where the event log of the settings is; None: it is not on this machine.
    """

    replicas: tuple[Replica, ...] = ()
    doors: tuple[Door, ...] = ()
    log_servers: tuple[Server, ...] = ()
    prometheus: Server | None = None
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
