"""All rules and alerts, and the files they are written to."""

from pathlib import Path
from typing import Final

from alerts.availability import AVAILABILITY, TARGETS_SEEN
from alerts.canary import CANARY
from alerts.clients import CLIENTS
from alerts.connections import CONNECTIONS
from alerts.games import GAMES
from alerts.machine import MACHINE
from alerts.model import Alert, Boards, Group, prometheus_rule, rules, tests, to_yaml
from alerts.nats import NATS
from alerts.objectives import OBJECTIVES
from alerts.outliers import OUTLIERS
from alerts.replicas import REPLICAS
from alerts.runtime import RUNTIME
from alerts.slo import openslo, sloth
from alerts.workers import WORKERS

GROUPS: Final = (
    *(group for objective in OBJECTIVES for group in (objective.steps(), objective.recordings())),
    Group("code-racer-objectives", tuple(alert for objective in OBJECTIVES for alert in objective.alerts())),
    TARGETS_SEEN,
    AVAILABILITY,
    CONNECTIONS,
    CLIENTS,
    GAMES,
    RUNTIME,
    MACHINE,
    REPLICAS,
    OUTLIERS,
    WORKERS,
    CANARY,
    NATS,
)


def alerts() -> list[Alert]:
    """List all alerts."""
    return [rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert)]


def generated(root: Path, boards: Boards) -> dict[Path, str]:
    """Return every file that is written from the rules, which lead to these boards, and what it must hold."""
    return {
        root / "alerts/rules/code-racer.yaml": to_yaml(rules(GROUPS, boards)),
        root / "alerts/tests/code-racer.test.yaml": to_yaml(tests(GROUPS, ["../rules/code-racer.yaml"], boards)),
        root / "deploy/kubernetes/monitoring/prometheus-rule.yaml": to_yaml(prometheus_rule(GROUPS, boards)),
        root / "deploy/slo/openslo.yaml": openslo(),
        root / "deploy/slo/sloth.yaml": sloth(),
    }
