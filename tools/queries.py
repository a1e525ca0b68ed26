"""Every query that is shipped names what exists: series, labels, label values, log events and their fields.

Looked at are the rules, the boards, the runbooks, every ``promql`` or ``sh`` block of the documents and what stands as
code in their sentences. Run by ``make check``.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser
import yaml

from alerts.build import GROUPS
from alerts.model import Alert, Recording
from app.telemetry.catalogue import (
    CANARY_METRICS,
    COMMON_FIELDS,
    EVENTS,
    METRICS,
    SPANS,
    SUPERVISOR_METRICS,
    TRACE_FIELDS,
    Kind,
    Metric,
)
from tools.nats_series import RECORDED as NATS_RECORDED
from tools.nats_series import labels_by_name

ROOT: Final = Path(__file__).parent.parent
TARGET_LABELS: Final = frozenset({"cluster", "namespace", "job", "instance"})
"""What a scrape adds to every series."""
_FOREIGN: Final = {
    "up": TARGET_LABELS,
    "scrape_duration_seconds": TARGET_LABELS,
    "ALERTS": TARGET_LABELS | {"alertname", "alertstate", "severity"},
}
_VARIABLES: Final = {
    "$__rate_interval": "5m",
    "$__range": "1h",
    **dict.fromkeys(("$cluster", "$namespace", "$job", "$instance"), ".*"),
}
_BLOCK: Final = re.compile(r"^[ ]*```(promql|sh)\n(.*?)^[ ]*```$", re.DOTALL | re.MULTILINE)
_LOG_EVENT: Final = re.compile(r"""\.event == "([^"]+)"|\| event=~?"([^"]+)\"""")
_LOG_FIELD: Final = re.compile(r"(?<![\w\"\])])\.([a-z_0-9]+)")
_FENCED: Final = re.compile(r"^[ ]*```.*?^[ ]*```$", re.DOTALL | re.MULTILINE)
_INLINE: Final = re.compile(r"`([^`\n]+)`")
_SERIES: Final = re.compile(r"(?<![\w:])((?:[a-z]+:)?code_racer_(?!client\b)[a-z0-9_:]*)(?:\{([^}]*)\})?")
"""`code_racer_client` is no series: a package."""
_LABEL: Final = re.compile(r'(\w+)(?:=~?"([^"]*)")?(?:,|$)')
_DOTTED: Final = re.compile(r"[a-z_]+\.(?!py$|yaml$|md$|toml$)[a-z_]+")
_ALERT: Final = re.compile(r"\bCodeRacer[A-Z]\w+")
_EXAMPLES: Final = frozenset({"CodeRacerName"})
"""What stands for the name of an alert."""
_ATTRIBUTES: Final = frozenset().union(*(span.attributes for span in SPANS.values()))
_PLAIN: Final = re.compile(r"[\w.|+-]*")


@dataclass(frozen=True, slots=True)
class Series:
    """A kind of series: the values each label can have; None where they are not known beforehand."""

    labels: dict[str, frozenset[str] | None]


@dataclass(frozen=True, slots=True)
class Query:
    """A query and where it stands."""

    where: str
    text: str


def known_series() -> dict[str, Series]:
    """All series there can be, by name."""
    known = {name: Series(dict.fromkeys(labels)) for name, labels in _FOREIGN.items()}
    for metric in (*METRICS, *CANARY_METRICS, *SUPERVISOR_METRICS):
        known |= _of_metric(metric)
    told = labels_by_name(NATS_RECORDED.read_text("utf-8"))
    known |= {name: Series(dict.fromkeys(labels | TARGET_LABELS)) for name, labels in told.items()}
    return known | _recorded()


def _recorded() -> dict[str, Series]:
    """What rules record: the labels that their level keeps, and those that they add."""
    found: dict[str, Series] = {}
    for rule in (one for group in GROUPS for one in group.rules if isinstance(one, Recording)):
        kept = TARGET_LABELS if rule.name.startswith("instance:") else TARGET_LABELS - {"instance"}
        labels = found.setdefault(rule.name, Series(dict.fromkeys(kept))).labels
        for label, value in rule.labels.items():
            labels[label] = (labels.get(label) or frozenset()) | {value}
    return found


def _of_metric(metric: Metric) -> dict[str, Series]:
    labels: dict[str, frozenset[str] | None] = dict.fromkeys(TARGET_LABELS)
    for position, label in enumerate(metric.labels):
        is_free = not metric.values(label) or (metric.is_open and position == 0)
        labels[label] = None if is_free else frozenset(metric.values(label))
    if metric.kind is not Kind.HISTOGRAM:
        return {metric.name: Series(labels)}
    edges = frozenset(str(float(edge)) for edge in metric.buckets) | {"+Inf"}
    return {
        f"{metric.name}_bucket": Series({**labels, "le": edges}),
        f"{metric.name}_count": Series(labels),
        f"{metric.name}_sum": Series(labels),
    }


def mistakes(text: str, known: dict[str, Series]) -> list[str]:
    """What a PromQL expression names that does not exist; Grafana's variables may stand in it."""
    for variable, value in _VARIABLES.items():
        text = text.replace(variable, value)
    try:
        expression = promql_parser.parse(" ".join(text.split()))
    except ValueError as error:
        return [f"does not parse: {error}"]
    found = [mistake for selector in selectors(expression) for mistake in _of_selector(selector, known)]
    return found + _of_groupings(expression, known)


def selectors(node: Any) -> Iterator[Any]:  # noqa: ANN401 - the parser's nodes have no types
    """Find the vector selectors of a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for child in _children(node):
        yield from selectors(child)


def _children(node: Any) -> Iterator[Any]:  # noqa: ANN401 - see `_selectors`
    for name in ("lhs", "rhs", "expr", "vector_selector", "param"):
        child = getattr(node, name, None)
        if child is not None:
            yield child
    yield from getattr(node, "args", None) or ()


def _of_selector(selector: Any, known: dict[str, Series]) -> Iterator[str]:  # noqa: ANN401 - see `_selectors`
    series = known.get(selector.name)
    if series is None:
        yield f"there is no series {selector.name}"
        return
    for matcher in selector.matchers.matchers:
        if matcher.name not in series.labels:
            yield f"{selector.name} has no label {matcher.name}"
            continue
        values = series.labels[matcher.name]
        if values is not None:
            yield from _of_value(f"{selector.name}{{{matcher.name}}}", str(matcher.op), matcher.value, values)


def _of_value(where: str, operator: str, value: str, values: frozenset[str]) -> Iterator[str]:
    is_regex = operator.endswith(("Re", "NotRe"))
    parts = value.split("|") if is_regex and _PLAIN.fullmatch(value) else [value]
    for part in parts:
        if not any(re.fullmatch(part, one) if is_regex else part == one for one in values):
            yield f"{where} is never {part!r}"


def _of_groupings(node: Any, known: dict[str, Series]) -> list[str]:  # noqa: ANN401 - see `_selectors`
    """Labels in `by` that no series inside has; `without` may name what is not there."""
    found = []
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        inside = [known[one.name].labels for one in selectors(node.expr) if one.name in known]
        there = frozenset().union(*inside) if inside else frozenset()
        if str(node.modifier.type).endswith("By"):
            found += [f"sum by ({label}): no series has it" for label in node.modifier.labels if label not in there]
    for child in _children(node):
        found += _of_groupings(child, known)
    return found


def log_mistakes(text: str) -> list[str]:
    """What a search of the logs names that no log line has."""
    events = {event.name for event in EVENTS}
    fields = frozenset(COMMON_FIELDS) | TRACE_FIELDS | frozenset().union(*(event.fields for event in EVENTS))
    named = {one or other for one, other in _LOG_EVENT.findall(text)}
    found = [f"there is no log event {name}" for name in sorted(named) if not _some_event(name, events)]
    program = "".join(re.findall(r"jq [^']*'([^']*)'", text))
    bare = re.sub(r'"[^"]*"', '""', program)
    shown = [name.strip() for part in re.findall(r"{([^}]*)}", bare) for name in part.split(",") if ":" not in name]
    used = [*_LOG_FIELD.findall(bare), *shown]
    return found + [f"no log line has {name}" for name in used if name not in fields]


def _some_event(pattern: str, events: set[str]) -> bool:
    return any(re.fullmatch(pattern, event) for event in events)


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a Markdown file in a language."""
    return [text.strip() for kind, text in _BLOCK.findall(path.read_text("utf-8")) if kind == language]


def documents() -> list[Path]:
    """The Markdown files that people paste from."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("alerts/**/*.md")])


def promql() -> Iterator[Query]:
    """Every PromQL query that is shipped."""
    for path in sorted(ROOT.glob("alerts/rules/*.yaml")):
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                yield Query(f"{path.relative_to(ROOT)}: {rule.get('alert', rule.get('record'))}", rule["expr"])
    for path in documents():
        for text in blocks(path, "promql"):
            yield Query(str(path.relative_to(ROOT)), text)
    for path in sorted(ROOT.glob("dashboards/*.json")):
        yield from _of_board(path)


def _of_board(path: Path) -> Iterator[Query]:
    board = json.loads(path.read_text("utf-8"))
    for note in board["annotations"]["list"]:
        if "expr" in note:
            yield Query(f"{path.name}: annotation {note['name']}", note["expr"])
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            if target["datasource"]["type"] == "prometheus":
                yield Query(f"{path.name}: {panel['title']}", target["expr"])


def log_searches() -> Iterator[Query]:
    """Every search of the logs that is shipped."""
    for path in documents():
        for text in blocks(path, "sh"):
            if "jq " in text:
                yield Query(str(path.relative_to(ROOT)), text)
    for path in sorted(ROOT.glob("dashboards/*.json")):
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                if target["datasource"]["type"] == "loki":
                    yield Query(f"{path.name}: {panel['title']}", target["expr"])


def inline_mistakes(text: str, known: dict[str, Series]) -> list[str]:
    """Find what sentences name that does not exist: series, their labels and values, log events, spans, alerts."""
    spans = _INLINE.findall(_FENCED.sub("", text))
    found = [mistake for span in spans for mistake in _of_span(span, known)]
    events = {event.name for event in EVENTS} | {span.name for span in SPANS.values()}
    kinds = {name.split(".", 1)[0] for name in events}
    named = [span for span in spans if _DOTTED.fullmatch(span) and span.split(".", 1)[0] in kinds]
    found += [f"there is no log event or span {one}" for one in named if one not in events | _ATTRIBUTES]
    alerts = {rule.name for group in GROUPS for rule in group.rules if isinstance(rule, Alert)}
    return found + [f"there is no alert {one}" for one in _ALERT.findall(text) if one not in alerts | _EXAMPLES]


def _of_span(span: str, known: dict[str, Series]) -> Iterator[str]:
    """A family, or a series of it; labels without a value may stand in braces, and values of one apart by `|`."""
    for name, braces in _SERIES.findall(span):
        series = known.get(name) or known.get(f"{name}_bucket")
        if series is not None:
            yield from _of_braces(name, braces, series)
        elif not (name.endswith("_") and any(one.startswith(name) for one in known)):
            yield f"there is no series {name}"


def _of_braces(name: str, braces: str, series: Series) -> Iterator[str]:
    for label, value in _LABEL.findall(braces):
        if label not in series.labels:
            yield f"{name} has no label {label}"
        elif value and (values := series.labels[label]) is not None:
            yield from _of_value(f"{name}{{{label}}}", "Re", value, values)


def main() -> int:
    """Say what is wrong where; the exit code is 1 when something is."""
    known = known_series()
    wrong = [f"{query.where}: {mistake}" for query in promql() for mistake in mistakes(query.text, known)]
    for path in documents():
        if path.name != "CHANGELOG.md":  # it tells what was
            where = path.relative_to(ROOT)
            wrong += [f"{where}: {mistake}" for mistake in inline_mistakes(path.read_text("utf-8"), known)]
    wrong += [f"{query.where}: {mistake}" for query in log_searches() for mistake in log_mistakes(query.text)]
    for line in wrong:
        print(line, file=sys.stderr)  # noqa: T201 - a command's answer
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
