"""What a panel and a board are, and how Grafana's JSON is written from them.

Plain dictionaries: the handful of panel kinds in use is shorter this way than with a builder library, and every key
that is written is one that Grafana 10 and later reads (schema version 39).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from alerts.build import alerts
from alerts.links import SCOPE_VARIABLES, VARIABLES
from alerts.model import RUNBOOKS, Severity

Json = dict[str, Any]

SELECTOR: Final = 'cluster=~"$cluster", namespace=~"$namespace", job=~"$job", instance=~"$instance"'
SCHEMA_VERSION: Final = 39
WIDTH: Final = 24
TAG: Final = "code-racer"
_HEAT: Final = {
    "mode": "scheme", "scheme": "Blues", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": False,
}  # fmt: skip


MEANT: Final = frozenset({"outcome", "verdict", "severity", "level", "code"})
"""Labels whose values have a colour wherever they are shown."""
COLOURS: Final = {
    "green": ("accepted", "ok", "answered", "exported", "resumed"),
    "red": (
        "critical", "error", "judge_error", "internal", "internal_error", "unavailable", "overloaded", "failed",
        "timeout", "unreachable",
    ),
    "yellow": ("warning",),
}  # fmt: skip
"""What is well, what is our fault, what is a ticket. All else is nobody's fault of ours, and has no such colour."""
_NEUTRAL: Final = "blue"
_ALERTS: Final = tuple(alerts())


class Kind(StrEnum):
    """The kinds of panel in use, by Grafana's names."""

    STAT = "stat"
    LINES = "timeseries"
    HEATMAP = "heatmap"
    BARS = "bargauge"
    LOGS = "logs"
    TABLE = "table"


class Source(StrEnum):
    """The kinds of data source, by Grafana's names."""

    PROMETHEUS = "prometheus"
    LOKI = "loki"
    TEMPO = "tempo"

    @property
    def reference(self) -> Json:
        """The data source that the board's variable stands for."""
        return {"type": str(self), "uid": f"${{{self}_datasource}}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One query and the legend of its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    `warn` is the value from which it needs attention, or with `below` the one under which it does; `range` what it
    shows while players race and misbehave a little; `alerts` those whose cause it shows, with links to their runbooks.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    warn: float
    range: tuple[float, float]
    alerts: tuple[str, ...] = ()
    kind: Kind = Kind.LINES
    source: Source = Source.PROMETHEUS
    below: bool = False
    width: int = 8
    height: int = 6

    def needs_attention(self, value: float) -> bool:
        """Whether a value is on the wrong side of `warn`."""
        return value < self.warn if self.below else value >= self.warn


class RowKind(StrEnum):
    """What a row answers, in the order in which it is asked: from the symptom to the cause."""

    SYMPTOM = "what players meet"
    OUTLIERS = "whom it meets, and whom not"
    SATURATION = "what is used up, or waited for"
    CAUSE = "what broke, or was changed"


@dataclass(frozen=True, slots=True)
class Row:
    """Panels from left to right, as high as the first of them; all answer one question.

    Raises:
        ValueError: they are wider than a board.
    """

    kind: RowKind
    panels: tuple[Panel, ...]

    def __post_init__(self) -> None:
        """Refuse what would be two rows."""
        if sum(panel.width for panel in self.panels) > WIDTH:
            raise ValueError(f"a row of {', '.join(panel.title for panel in self.panels)} is wider than {WIDTH}")


def row(kind: RowKind, *panels: Panel) -> Row:
    """Make a row of these panels."""
    return Row(kind, panels)


@dataclass(frozen=True, slots=True)
class Board:
    """A board; its file is named after the `uid`. Rows follow one another as `RowKind` has them."""

    uid: str
    title: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The panels of all rows."""
        return tuple(panel for row in self.rows for panel in row.panels)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The kinds of data source it reads."""
        return tuple(source for source in Source if any(panel.source is source for panel in self.panels))


def selected(metric: str, matchers: str = "") -> str:
    """A metric of what the board's variables select."""
    return f"{metric}{{{SELECTOR}, {matchers}}}" if matchers else f"{metric}{{{SELECTOR}}}"


def rate(metric: str, by: str = "", matchers: str = "") -> str:
    """A counter's growth per second, summed."""
    return f"sum{f' by ({by})' if by else ''} (rate({selected(metric, matchers)}[$__rate_interval]))"


def quantile(part: float, metric: str, by: str = "", matchers: str = "") -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({part}, {rate(metric + '_bucket', f'le, {by}' if by else 'le', matchers)})"


def quantiles(metric: str, *parts: float, matchers: str = "") -> tuple[Query, ...]:
    """A line per quantile."""
    return tuple(Query(quantile(part, metric, matchers=matchers), f"p{100 * part:g}") for part in parts)


def buckets(metric: str, matchers: str = "") -> tuple[Query, ...]:
    """What a heatmap shows of a histogram."""
    return (Query(f"sum by (le) (increase({selected(metric + '_bucket', matchers)}[$__rate_interval]))", "{{le}}"),)


def to_json(board: Board) -> Json:
    """A board in Grafana's schema."""
    return {
        "uid": board.uid,
        "title": f"Code Racer / {board.title}",
        "tags": [TAG],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                *(_source_variable(source) for source in board.sources),
                *(_variable(name, ".*" if name in SCOPE_VARIABLES else ".+") for name in VARIABLES),
            ]
        },
        "annotations": {"list": _annotations()},
        "links": [_link_to_boards()],
        "panels": _laid_out(board.rows),
    }


def _source_variable(source: Source) -> Json:
    return {
        "name": f"{source}_datasource",
        "label": f"{str(source).capitalize()} data source",
        "type": "datasource",
        "query": str(source),
    }


def _variable(name: str, all_value: str) -> Json:
    """A cluster may have a Prometheus of its own, without the label; and without Kubernetes there is no namespace."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": Source.PROMETHEUS.reference,
        "query": {"query": f"label_values(code_racer_build_info, {name})", "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": all_value,
        "current": {"text": "All", "value": "$__all"},
    }


def _annotations() -> list[Json]:
    """Drains, and starts at the moment they happened: deploys are both, crashes the second alone; operators' acts."""
    done = selected("code_racer_operator_actions_total", 'outcome="done"')
    return [
        {
            "name": "Drains",
            "datasource": Source.PROMETHEUS.reference,
            "enable": True,
            "iconColor": "blue",
            "expr": f"{selected('code_racer_draining')} == 1",
            "titleFormat": "{{instance}} drains",
        },
        {
            "name": "Starts",
            "datasource": Source.PROMETHEUS.reference,
            "enable": True,
            "iconColor": "purple",
            "expr": f"{selected('code_racer_start_time_seconds')} * 1000",
            "useValueForTime": True,
            "titleFormat": "{{instance}} started",
        },
        {
            "name": "Operators",
            "datasource": Source.PROMETHEUS.reference,
            "enable": True,
            "iconColor": "orange",
            "expr": f"sum by (instance, action) (increase({done}[1m])) > 0",
            "titleFormat": "{{instance}}: an operator's {{action}}",
        },
    ]


def _link_to_boards() -> Json:
    link = {"title": "Code Racer", "type": "dashboards", "tags": [TAG], "icon": "external link", "tooltip": ""}
    return link | {"url": "", "asDropdown": False, "keepTime": True, "includeVars": True, "targetBlank": False}


def _link_to_runbook(alert: str) -> Json:
    link = {
        "title": f"Runbook: {alert}",
        "type": "link",
        "tags": [],
        "icon": "doc",
        "tooltip": "What it means, what to do",
    }
    return link | {
        "url": f"{RUNBOOKS}/{alert}.md",
        "asDropdown": False,
        "keepTime": False,
        "includeVars": False,
        "targetBlank": True,
    }


def _laid_out(rows: tuple[Row, ...]) -> list[Json]:
    placed: list[Json] = []
    y = 0
    for row in rows:
        x, height = 0, row.panels[0].height
        for panel in row.panels:
            at = {"x": x, "y": y, "w": panel.width, "h": height}
            placed.append(_panel(panel, len(placed) + 1) | {"gridPos": at})
            x += panel.width
        y += height
    return placed


def _panel(panel: Panel, number: int) -> Json:
    return {
        "id": number,
        "type": str(panel.kind),
        "title": panel.title,
        "description": panel.description,
        "datasource": panel.source.reference,
        "links": [_link_to_runbook(one) for one in panel.alerts],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [*_meanings(panel), *_links_of_alerts(panel)]},
        "options": _options(panel.kind),
        "targets": [_target(panel, query, chr(65 + index)) for index, query in enumerate(panel.queries)],
    }


def attention(panel: Panel) -> str:
    """Return the colour beyond `warn`: red where somebody is woken then, yellow where it is a ticket or less."""
    pages = any(one.name in panel.alerts and one.severity is Severity.CRITICAL for one in _ALERTS)
    return "red" if pages else "yellow"


def _meanings(panel: Panel) -> list[Json]:
    """Colour series by what their labels say: where one has a meaning, those that say nothing bad are neutral."""
    if panel.source is Source.TEMPO or not any(
        f"{{{{{one}}}}}" in query.legend for query in panel.queries for one in MEANT
    ):
        return []
    return [
        _coloured("/./", _NEUTRAL),
        *(_coloured(f"/(^|\\s)({'|'.join(words)})$/", colour) for colour, words in COLOURS.items()),
    ]


def _coloured(names: str, colour: str) -> Json:
    """Neutral ones stay apart by their shade."""
    mode = "shades" if colour == _NEUTRAL else "fixed"
    value = {"mode": mode, "fixedColor": colour}
    return {"matcher": {"id": "byRegexp", "options": names}, "properties": [{"id": "color", "value": value}]}


def _links_of_alerts(panel: Panel) -> list[Json]:
    """Lead from each alert of a list to its runbook."""
    if panel.kind is not Kind.TABLE or panel.source is not Source.PROMETHEUS:
        return []
    link = {"title": "Runbook", "url": f"{RUNBOOKS}/${{__value.text}}.md", "targetBlank": True}
    matcher = {"id": "byName", "options": "alertname"}
    return [{"matcher": matcher, "properties": [{"id": "links", "value": [link]}]}]


def _defaults(panel: Panel) -> Json:
    wrong = attention(panel)
    first, second = (wrong, "green") if panel.below else ("green", wrong)
    defaults: Json = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if panel.kind in {Kind.STAT, Kind.BARS} else "palette-classic"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": first, "value": None}, {"color": second, "value": panel.warn}],
        },
    }
    if panel.kind is Kind.LINES:
        defaults["min"] = 0
        defaults["custom"] = {
            "fillOpacity": 5,
            "showPoints": "never",
            "thresholdsStyle": {"mode": "dashed" if panel.alerts else "off"},
        }
    return defaults


def _options(kind: Kind) -> Json:
    last: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    options: dict[Kind, Json] = {
        Kind.STAT: {"reduceOptions": last, "colorMode": "value", "graphMode": "area"},
        Kind.BARS: {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic"},
        Kind.HEATMAP: {"calculate": False, "yAxis": {"unit": "s"}, "color": _HEAT},
        Kind.LOGS: {"showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending"},
        Kind.TABLE: {"showHeader": True},
        Kind.LINES: {
            "tooltip": {"mode": "multi", "sort": "desc"},
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        },
    }
    return options[kind]


def _target(panel: Panel, query: Query, name: str) -> Json:
    target: Json = {"refId": name, "datasource": panel.source.reference}
    if panel.source is Source.TEMPO:
        return target | {"query": query.expr, "queryType": "traceql", "limit": 20, "tableType": "spans"}
    target |= {"expr": query.expr, "legendFormat": query.legend}
    if panel.kind is Kind.HEATMAP:
        return target | {"format": "heatmap"}
    if panel.kind is Kind.TABLE:
        return target | {"format": "table", "instant": True}
    if "histogram_quantile" in query.expr:
        return target | {"exemplar": True}
    if panel.kind in {Kind.STAT, Kind.BARS} and panel.source is Source.PROMETHEUS:
        return target | {"instant": True} if panel.kind is Kind.BARS else target
    return target
