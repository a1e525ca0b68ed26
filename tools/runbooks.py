"""The head of each runbook: its owner, the panels that show the cause, a first command that needs but kubectl."""

import re
from pathlib import Path
from typing import Final

import promql_parser

from alerts.build import GROUPS, alerts
from alerts.config import CONFIG
from alerts.links import of_the_last_hour
from alerts.model import Alert, Recording
from app.telemetry.catalogue import CANARY_METRICS, METRICS, SUPERVISOR_METRICS
from dashboards.build import BOARDS
from dashboards.game_day import GAME_DAY
from tools.queries import ROOT, selectors

_HEAD: Final = re.compile(r"<!-- generated: head -->\n.*?<!-- end of generated -->\n\n", re.DOTALL)
_RECORDINGS: Final = [rule for group in GROUPS for rule in group.rules if isinstance(rule, Recording)]
_OURS: Final = frozenset(metric.name for metric in (*METRICS, *SUPERVISOR_METRICS))
_CANARYS: Final = frozenset(metric.name for metric in CANARY_METRICS)
_PODS: Final = "kubectl get pods -l app.kubernetes.io/name={name} -o {output}"
_ASKED: Final = (
    'for pod in $({pods}); do echo "$pod"; kubectl exec "$pod" -- python -c'
    " 'import urllib.request as web; print(web.urlopen(\"http://127.0.0.1:{port}/metrics\").read().decode())'"
    " | sed -nE '/^({families})/p'; done"
)


def families(expr: str) -> list[str]:
    """List the metric families that an expression reads, through what rules record."""
    found: dict[str, None] = {}
    for one in selectors(promql_parser.parse(" ".join(expr.split()))):
        recorded = [rule.expr for rule in _RECORDINGS if rule.name == one.name]
        for record in recorded:
            found |= dict.fromkeys(families(record))
        if not recorded:
            found[re.sub(r"_(bucket|count|sum)$", "", one.name)] = None
    return [name for name in found if name in _OURS | _CANARYS]


def first_command(alert: Alert) -> str:
    """Write the command that shows an alert's own series as each process has them; where there are none, the pods."""
    if str(CONFIG["jobs"]["nats"]) in alert.expr:
        return _PODS.format(name="nats", output="wide")
    read = families(alert.expr)
    name, port = ("code-racer-canary", 9091) if alert.is_canarys else ("code-racer", 9090)
    if not read:
        return _PODS.format(name=name, output="wide")
    return _ASKED.format(pods=_PODS.format(name=name, output="name"), port=port, families="|".join(read))


def head(alert: Alert) -> str:
    """Write the head of an alert's runbook."""
    shown = {
        board: [f"“{panel.title}”" for panel in board.panels if alert.name in panel.alerts]
        for board in BOARDS
        if board is not GAME_DAY
    }
    boards = "; ".join(
        f"[{one.title}]({of_the_last_hour(one.uid)}), {', '.join(names)}" for one, names in shown.items() if names
    )
    return (
        "<!-- generated: head -->\n"
        f"Owner: {CONFIG['runbooks']['owner']}. Board: {boards}.\n\n"
        f"First, with nothing but kubectl:\n```sh\n{first_command(alert)}\n```\n"
        "<!-- end of generated -->\n\n"
    )


def generated() -> dict[Path, str]:
    """Return every runbook with its head.

    Raises:
        ValueError: an alert has no runbook, or one that does not begin with its name.
    """
    return {ROOT / f"alerts/runbooks/{one.name}.md": _with_head(one) for one in alerts()}


def _with_head(alert: Alert) -> str:
    path = ROOT / f"alerts/runbooks/{alert.name}.md"
    title = f"# {alert.name}\n\n"
    text = path.read_text("utf-8") if path.exists() else ""
    if not text.startswith(title):
        raise ValueError(f"{path.relative_to(ROOT)}: write it; it begins with “# {alert.name}” and an empty line")
    return title + head(alert) + _HEAD.sub("", text.removeprefix(title))
