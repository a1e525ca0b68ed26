"""The dashboards as code: plain dictionaries in Grafana's schema.

Each board is a list of panels; a panel is a title, a unit, a description, thresholds and its queries. With
one kind of panel in use, a dictionary is shorter and checks better than a builder library.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

SELECTOR: Final = 'namespace=~"$namespace", job=~"$job", instance=~"$instance"'
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION: Final = 39
WIDTH: Final = 24


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and the legend of its series."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `warn` is where its value starts to need attention, `range` what a healthy one shows."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    warn: float
    range: tuple[float, float]
    width: int = 8
    kind: str = "timeseries"


def _rate(metric: str, by: str = "", extra: str = "") -> str:
    matcher = f"{SELECTOR}, {extra}" if extra else SELECTOR
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{matcher}}}[$__rate_interval]))"


def _quantile(quantile: float, metric: str, extra: str = "") -> str:
    return f"histogram_quantile({quantile}, {_rate(metric + '_bucket', 'le', extra)})"


OVERVIEW: Final = (
    Panel(
        "Replicas ready",
        "Replicas that take new connections. Fewer than deployed: see CodeRacerDown.",
        "none",
        (Query(f"sum(code_racer_ready{{{SELECTOR}}})", "ready"),),
        1,
        (1, 1),
        4,
        "stat",
    ),
    Panel(
        "Connections",
        "Open WebSocket connections. A cliff means that something cut them: look at the closes.",
        "none",
        (Query(f"sum(code_racer_ws_connections{{{SELECTOR}}})", "connections"),),
        8000,
        (0, 8000),
        4,
        "stat",
    ),
    Panel(
        "Games by state",
        "Games on these replicas. Many waiting and none running: players do not find each other.",
        "none",
        (Query(f"sum by (state) (code_racer_games{{{SELECTOR}}})", "{{state}}"),),
        2000,
        (0, 2000),
    ),
    Panel(
        "Submissions by verdict",
        "Judged submissions per second. judge_error is ours, the others are the players'.",
        "ops",
        (Query(_rate("code_racer_submissions_total", "verdict"), "{{verdict}}"),),
        50,
        (0, 50),
    ),
    Panel(
        "Handshakes by outcome",
        "Attempts to connect per second. unavailable, draining and internal_error are ours.",
        "ops",
        (Query(_rate("code_racer_ws_handshakes_total", "outcome"), "{{outcome}}"),),
        100,
        (0, 1000),
    ),
    Panel(
        "Closes by reason",
        "Ended connections per second, by the rows of the close table and who ended them.",
        "ops",
        (Query(_rate("code_racer_ws_closes_total", "reason, initiator"), "{{reason}} by {{initiator}}"),),
        50,
        (0, 1000),
    ),
    Panel(
        "Messages",
        "Messages per second in and out; one broadcast to 50 members is 50 out.",
        "ops",
        (Query(_rate("code_racer_ws_messages_total", "direction"), "{{direction}}"),),
        20000,
        (0, 100000),
    ),
    Panel(
        "Message handling",
        "From a message's arrival to its answer; the objective is 50 ms for 99.9 %.",
        "s",
        (
            Query(_quantile(0.5, "code_racer_ws_message_duration_seconds"), "p50"),
            Query(_quantile(0.99, "code_racer_ws_message_duration_seconds"), "p99"),
        ),
        0.05,
        (0, 10),
    ),
    Panel(
        "Errors by code",
        "error messages sent to clients per second. unavailable and internal are ours.",
        "ops",
        (Query(_rate("code_racer_ws_errors_total", "code"), "{{code}}"),),
        1,
        (0, 1000),
    ),
    Panel(
        "Ping round trip",
        "Round trip of protocol pings: the players' networks, and this process's event loop.",
        "s",
        (
            Query(_quantile(0.5, "code_racer_ws_ping_rtt_seconds"), "p50"),
            Query(_quantile(0.95, "code_racer_ws_ping_rtt_seconds"), "p95"),
        ),
        1,
        (0, 10),
    ),
    Panel(
        "Event log append",
        "What the event log takes to accept a commit; players wait for it.",
        "s",
        (
            Query(_quantile(0.5, "code_racer_event_log_append_seconds"), "p50"),
            Query(_quantile(0.99, "code_racer_event_log_append_seconds"), "p99"),
        ),
        0.05,
        (0, 10),
    ),
    Panel(
        "Judging",
        "What the judge takes for a submission, and how many wait for it.",
        "s",
        (Query(_quantile(0.95, "code_racer_judge_duration_seconds"), "p95"),),
        2,
        (0, 10),
    ),
)


def _variable(name: str, label: str) -> Json:
    return {
        "name": name,
        "label": label.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": f"label_values(code_racer_build_info, {label})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(number: int, panel: Panel, x: int, y: int) -> Json:
    steps = [{"color": "green", "value": None}, {"color": "orange", "value": panel.warn}]
    if panel.title == "Replicas ready":
        steps = [{"color": "orange", "value": None}, {"color": "green", "value": panel.warn}]
    options: Json = {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list"}}
    if panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": 7},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": options,
        "targets": [
            {"refId": chr(65 + index), "datasource": SOURCE, "expr": query.expr, "legendFormat": query.legend}
            for index, query in enumerate(panel.queries)
        ],
    }


def _layout(panels: tuple[Panel, ...]) -> list[Json]:
    placed, x, y = [], 0, 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > WIDTH:
            x, y = 0, y + 7
        placed.append(_panel(number, panel, x, y))
        x += panel.width
    return placed


def board(uid: str, title: str, panels: tuple[Panel, ...]) -> Json:
    """One dashboard in Grafana's schema."""
    return {
        "uid": uid,
        "title": title,
        "tags": ["code-racer"],
        "editable": False,
        "schemaVersion": SCHEMA_VERSION,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("namespace", "namespace"),
                _variable("job", "job"),
                _variable("instance", "instance"),
            ]
        },
        "annotations": {
            "list": [
                {
                    "name": "Draining",
                    "datasource": SOURCE,
                    "enable": True,
                    "iconColor": "blue",
                    "expr": f"code_racer_draining{{{SELECTOR}}} == 1",
                    "titleFormat": "{{instance}} drains",
                }
            ]
        },
        "links": [],
        "panels": _layout(panels),
    }


BOARDS: Final = {"code-racer-overview": ("Code Racer / Overview", OVERVIEW)}


def boards() -> dict[str, str]:
    """File name to committed text of every board; the file is named after the uid."""
    return {
        f"{uid}.json": json.dumps(board(uid, title, panels), indent=2, ensure_ascii=False) + "\n"
        for uid, (title, panels) in BOARDS.items()
    }
