"""The boards as Grafana and its linter see them.

The linter (grafana/dashboard-linter) is a Go program that is not to be had here; its rules are tested one by one, by
their names. What a rule is not kept for stands in ``dashboards/.lint``, in the linter's own format.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.build import alerts
from alerts.model import Severity
from app.game import Verdict
from app.vocabulary import ErrorCode, HandshakeOutcome, MessageOutcome, ResumeOutcome
from dashboards.build import BOARDS
from dashboards.model import Board, RowKind
from tools.queries import known_series, mistakes

ROOT = Path(__file__).parents[2]
FILES = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "dashboards").glob("*.json"))}
EXCLUDED = yaml.safe_load((ROOT / "dashboards/.lint").read_text())["exclusions"]
ROWS_OF_A_SCREEN = 26
"""1080 pixels less Grafana's head, 38 pixels a row."""
PANELS = [
    pytest.param(board, panel, id=f"{uid}: {panel['title']}")
    for uid, board in FILES.items()
    for panel in board["panels"]
]
BOARD = pytest.mark.parametrize("board", FILES.values(), ids=FILES.keys())
PANEL = pytest.mark.parametrize(("board", "panel"), PANELS)
RANGES = re.compile(r"\[([^\]:]+)\]")


def exempt(rule: str, board: dict[str, Any], panel: dict[str, Any]) -> bool:
    return any(
        entry["dashboard"] == board["title"] and entry["panel"] == panel["title"] and entry["reason"]
        for entry in EXCLUDED.get(rule, {"entries": []})["entries"]
    )


def targets(panel: dict[str, Any], kind: str) -> list[str]:
    return [target["expr"] for target in panel["targets"] if target["datasource"]["type"] == kind]


def test_every_board_is_committed() -> None:
    assert FILES.keys() == {board.uid for board in BOARDS}


@BOARD
def test_template_datasource_rule(board: dict[str, Any]) -> None:
    sources = [one for one in board["templating"]["list"] if one["type"] == "datasource"]
    assert sources[0]["query"] == "prometheus"
    for one in sources:
        assert (one["name"], one["label"]) == (f"{one['query']}_datasource", f"{one['query'].title()} data source")


@BOARD
@pytest.mark.parametrize("name", ["cluster", "namespace", "job", "instance"])
def test_template_job_and_instance_rules(board: dict[str, Any], name: str) -> None:
    (one,) = [one for one in board["templating"]["list"] if one["name"] == name]
    assert (one["type"], one["label"], one["multi"]) == ("query", name.title(), True)
    assert one["datasource"]["uid"] == "${prometheus_datasource}"
    assert one["allValue"] == (".*" if name in {"cluster", "namespace"} else ".+")
    assert one["refresh"] == 2, "template-on-time-change-reload-rule"
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", one["query"]["query"]).groups()  # type: ignore[union-attr] # the assertion
    assert label in known_series()[metric].labels, "template-label-promql-rule"


@PANEL
def test_panel_rules(board: dict[str, Any], panel: dict[str, Any]) -> None:
    assert panel["title"], "panel-title-description-rule"
    assert panel["description"].endswith("."), "panel-title-description-rule"
    assert panel["targets"], "panel-no-targets-rule"
    assert panel["fieldConfig"]["defaults"]["unit"], "panel-units-rule"
    variables = {f"${{{one['name']}}}" for one in board["templating"]["list"] if one["type"] == "datasource"}
    for thing in (panel, *panel["targets"]):
        assert thing["datasource"]["uid"] in variables, "panel-datasource-rule"


@PANEL
def test_target_promql_rules(board: dict[str, Any], panel: dict[str, Any]) -> None:
    known = known_series()
    for expr in targets(panel, "prometheus"):
        assert not mistakes(expr, known), "target-promql-rule"
        for label in ("job", "instance"):
            if not exempt(f"target-{label}-rule", board, panel):
                selectors = re.findall(r"(?<!on )\b(?:code_racer|process_|up|job:)[\w:]*(\{[^}]*\})?", expr)
                assert selectors
                assert all(f'{label}=~"${label}"' in one for one in selectors), f"target-{label}-rule"
        for length in RANGES.findall(expr):
            if not exempt("target-rate-interval-rule", board, panel):
                assert length == "$__rate_interval", "target-rate-interval-rule"
        for counter in re.finditer(r"(\w+)\(\w+_total\b", expr):
            assert counter[1] in {"rate", "increase", "irate"}, "target-counter-agg-rule"


@PANEL
def test_target_logql_rules(board: dict[str, Any], panel: dict[str, Any]) -> None:
    assert board
    for expr in targets(panel, "loki"):
        assert expr.count("{") == expr.count("}"), "target-logql-rule"
        assert 'service_name="code-racer"' in expr, "target-logql-rule"
        assert set(RANGES.findall(expr)) <= {"$__auto"}, "target-logql-auto-rule"


@BOARD
def test_a_board_fits_a_screen_and_its_panels_do_not_overlap(board: dict[str, Any]) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        taken = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        cells |= taken
        assert at["x"] + at["w"] <= 24
        assert at["y"] + at["h"] <= ROWS_OF_A_SCREEN
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("board", BOARDS, ids=lambda one: one.uid)
def test_rows_lead_from_the_symptom_to_the_cause(board: Board) -> None:
    order = list(RowKind)
    kinds = [order.index(one.kind) for one in board.rows]
    assert kinds == sorted(kinds), [one.kind.name for one in board.rows]
    tops = [one["gridPos"]["y"] for one in FILES[board.uid]["panels"]]
    assert tops == sorted(tops)
    assert len(set(tops)) == len(board.rows), "a row is one line of the board"


@BOARD
def test_boards_lead_to_each_other_with_time_and_variables(board: dict[str, Any]) -> None:
    (link,) = board["links"]
    assert (link["type"], link["keepTime"], link["includeVars"]) == ("dashboards", True, True)
    assert set(link["tags"]) <= set(board["tags"])
    assert [note["name"] for note in board["annotations"]["list"]] == ["Drains", "Starts", "Operators"]
    for note in board["annotations"]["list"]:
        assert all(f'{label}=~"${label}"' in note["expr"] for label in ("cluster", "namespace", "job", "instance"))


def test_each_alert_has_a_panel_that_shows_it_and_leads_to_its_runbook() -> None:
    linked = {
        link["url"].rsplit("/", 1)[1].removesuffix(".md")
        for board in FILES.values()
        for panel in board["panels"]
        for link in panel["links"]
    }
    assert linked == {alert.name for alert in alerts()}


@PANEL
def test_thresholds_say_what_the_panel_says(board: dict[str, Any], panel: dict[str, Any]) -> None:
    first, second = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    names = {link["url"].rsplit("/", 1)[1].removesuffix(".md") for link in panel["links"]}
    pages = any(one.name in names and one.severity is Severity.CRITICAL for one in alerts())
    assert {first["color"], second["color"]} == {"green", "red" if pages else "yellow"}, (
        "a page is red, a ticket yellow"
    )
    assert first["value"] is None
    assert isinstance(second["value"], int | float), board["title"]


@PANEL
def test_where_an_alert_begins_is_drawn(board: dict[str, Any], panel: dict[str, Any]) -> None:
    assert board
    if panel["type"] == "timeseries":
        drawn = panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"]
        assert drawn == ("dashed" if panel["links"] else "off"), "draw the threshold of a panel with an alert"


WORDS = {
    "outcome": {*HandshakeOutcome, *MessageOutcome, *ResumeOutcome},
    "verdict": set(Verdict),
    "code": set(ErrorCode),
    "level": {"debug", "info", "warning", "error", "critical"},
    "severity": set(Severity),
}
GOOD, OURS = {"accepted", "ok", "resumed"}, {"unavailable", "internal_error", "overloaded", "internal", "judge_error"}


def colour_of(panel: dict[str, Any], shown: str) -> str:
    """As Grafana takes it: the last override that matches a series' name."""
    found = ""
    for one in panel["fieldConfig"]["overrides"]:
        if one["matcher"]["id"] == "byRegexp" and re.search(one["matcher"]["options"].strip("/"), shown):
            found = one["properties"][0]["value"]["fixedColor"]
    return found


@pytest.mark.parametrize("label", WORDS)
def test_colours_mean_the_same_on_all_boards(label: str) -> None:
    """Well is green, our fault red, a ticket yellow; what is the players' (a wrong answer, a full game) is neutral."""
    panels = [panel for board in FILES.values() for panel in board["panels"]]
    legends = [
        (panel, target["legendFormat"])
        for panel in panels
        for target in panel["targets"]
        if f"{{{{{label}}}}}" in target.get("legendFormat", "")
    ]
    assert legends or label in {"level", "severity"}
    for panel, legend in legends:
        for word in WORDS[label]:
            shown = re.sub(r"{{(\w+)}}", "x", legend.replace(f"{{{{{label}}}}}", str(word)))
            expected = "green" if word in GOOD else "red" if word in OURS | {"critical", "error"} else "blue"
            if shown.endswith(str(word)):
                assert colour_of(panel, shown) == ("yellow" if word == "warning" else expected), (panel["title"], word)


def test_what_everything_scraped_has_is_asked_of_our_jobs_alone() -> None:
    asked = [
        (panel["title"], expr)
        for board in FILES.values()
        for panel in board["panels"]
        for expr in (target.get("expr", "") for target in panel.get("targets", ()))
        if re.search(r"\bup\{", expr)
    ]
    assert {title for title, _ in asked} >= {"Scraped", "Supervisors scraped"}
    assert all(re.search(r'job=~?"code-racer', expr) for _, expr in asked), asked


def test_the_funnel_is_in_its_order() -> None:
    (funnel,) = [one for one in FILES["code-racer-games"]["panels"] if one["title"] == "Funnel"]
    assert [target["legendFormat"] for target in funnel["targets"]] == ["joined", "ready", "started", "finished"]


def test_the_board_of_a_game_day_has_what_other_boards_have_and_no_panel_of_its_own() -> None:
    board = FILES["code-racer-game-day"]
    others = {panel["title"]: panel for uid, one in FILES.items() if one is not board for panel in one["panels"]}
    assert len(board["panels"]) == 16
    for panel in board["panels"]:
        assert panel["targets"] == others[panel["title"]]["targets"]
        assert panel["links"] == others[panel["title"]]["links"], "the way to the runbooks"


def test_the_first_board_lists_what_fires_and_leads_to_its_runbook() -> None:
    (table,) = [one for one in FILES["code-racer-overview"]["panels"] if one["title"] == "What fires"]
    (override,) = [one for one in table["fieldConfig"]["overrides"] if one["matcher"]["id"] == "byName"]
    assert override["matcher"]["options"] == "alertname"
    (link,) = override["properties"][0]["value"]
    assert link["url"].endswith("/alerts/runbooks/${__value.text}.md")


def test_what_the_linter_is_told_to_leave_out_is_there_and_has_a_reason() -> None:
    titles = {(board["title"], panel["title"]) for board in FILES.values() for panel in board["panels"]}
    for rule, excluded in EXCLUDED.items():
        assert excluded["reason"], rule
        for entry in excluded["entries"]:
            assert (entry["dashboard"], entry["panel"]) in titles
