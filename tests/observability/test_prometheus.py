"""A real Prometheus scrapes a real server while players race and misbehave: every panel has its data."""

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
from websockets.exceptions import InvalidStatus

from alerts.build import alerts
from alerts.objectives import OBJECTIVES
from dashboards.build import BOARDS
from dashboards.model import Board, Kind, Panel, Query, Row, RowKind, Source
from tools.harness.canary import canary
from tools.harness.nats import Nats
from tools.harness.nats_exporter import exporter
from tools.harness.player import SOLUTION, WRONG, Player
from tools.harness.prometheus import filled, query
from tools.harness.prometheus import prometheus as real_prometheus
from tools.harness.server import ServerProcess, until
from tools.harness.workers import Supervised
from tools.pictures import draw
from tools.queries import blocks

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
TIMED = {
    "CodeRacerDeliveryBudgetBurn", "CodeRacerEventLogSlow", "CodeRacerEventLoopLag", "CodeRacerMessageBudgetBurn",
    "CodeRacerPingBudgetBurn",
}  # fmt: skip
"""What may be pending where the machine is busy with others."""
MISBEHAVED = {"CodeRacerClientsMisunderstood"}
"""What the load itself is right to make pending: most of its clients send nonsense."""
QUIET = {
    "Behind the first",
    "Burn rate over an hour",
    "Canary races that fail",
    "Commits from the future",
    "Conflicts",
    "Garbage collection",
    "Handed over",
    "Limits exceeded",
    "Lost since five minutes ago",
    "Memory since an hour ago",
    "More than twice what the others have",
    "Most overdue game",
    "New certificates and secrets refused",
    "Processor",
    "Put off, cut short",
    "Read again",
    "Replicas that others do not know",
    "Waiting for the judge",
    "Waiting to be read",
    "What is bad, by replica",
}
"""Panels that show nothing but zero while nothing is wrong; drills show most of them otherwise."""


HELLO = {"open_ms": 20, "join_ms": 40, "reconnects": 1, "failed_attempts": 2, "outage_ms": 900}


def misbehave_and_race(server: ServerProcess) -> None:
    """A race, a wrong answer, a refusal, an error, a lost connection."""
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, ann["token"]) as one, Player(server, game_id, bob["token"]) as two:
        two.until("player_joined", player_id=bob["player_id"])
        for player in (one, two):
            player.send("hello", HELLO)
            player.ws.send("nonsense")
            player.send("ready")
        one.until("game_started")
        two.send("submit_code", {"code": WRONG})
        two.until("submission_judged")
        with pytest.raises(InvalidStatus):
            Player(server, game_id, "nonsense")
        one.send("submit_code", {"code": SOLUTION})
        one.until("game_finished")
        answered = server.metric("ws_pings_total", outcome="answered")
        until(lambda: server.metric("ws_pings_total", outcome="answered") > answered)
        one.drop()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        Nats(folder / "nats", environment={"GOMEMLIMIT": "1GiB"}) as nats,
        ServerProcess(
            folder / "server",
            ping_interval_s=0.05,
            event_log_url=nats.url,
            nats_max_bytes=10_000_000,
            sweep_interval_s=0.5,
        ) as server,
        Supervised(folder / "other") as other,  # the canary's: what the first one counts is what this test does
        canary((other.http_url,), "--every-s", "1") as bird,
        exporter(nats.nodes[0], folder) as told,
        real_prometheus(
            folder,
            server,
            rules=list(ROOT.glob("alerts/rules/*.yaml")),
            canary=bird.host,
            nats=[told],
            supervisor=other.ops_url.removeprefix("http://"),
        ) as client,
    ):
        until(lambda: server.metric("event_log_connected"))
        for closes in (2, 4):  # a rate needs two scrapes with something between them
            misbehave_and_race(server)
            until(lambda: query(client, f"sum(code_racer_ws_closes_total) == {closes}"))  # noqa: B023 - asked at once
        with race_on(server):
            until(
                lambda: query(client, 'code_racer_games{state="running"} == 1 and on () code_racer_ws_connections == 2')
            )
            until(lambda: query(client, 'rate(code_racer_ws_resumes_total{outcome="resumed"}[20s]) > 0'))
            until(lambda: query(client, "code_racer_event_log_bytes > 0"))
            yield client


@contextmanager
def race_on(server: ServerProcess) -> Iterator[None]:
    """A race that goes on, and one of its players has come back."""
    ann, bob = server.guest("ann"), server.guest("bob")
    game_id = server.new_game(ann["token"])
    with Player(server, game_id, ann["token"], max_queue=None) as one:
        with Player(server, game_id, bob["token"], max_queue=None) as two:
            two.until("player_joined", player_id=bob["player_id"])
            one.send("ready")
            two.send("ready")
            two.until("game_started")
        one.until("player_disconnected")
        with Player(server, game_id, bob["token"], "?last_seq=1", max_queue=None):
            one.until("player_reconnected")
            yield


PANELS = [
    pytest.param(board, panel, id=f"{board.title}: {panel.title}")
    for board in BOARDS
    for panel in board.panels
    if panel.source is Source.PROMETHEUS
]


def _numbers(series: list[Any]) -> list[Any]:
    """Those that are a number: NaN is an empty quantile, or a ratio before the rules have recorded anything."""
    return [item for item in series if not math.isnan(float(item["value"][1]))]


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_every_panel_shows_its_data_within_its_range(prometheus: httpx.Client, board: Board, panel: Panel) -> None:
    largest = []
    for one in panel.queries:
        series = until(lambda: _numbers(query(prometheus, filled(one.expr))))  # noqa: B023 - asked at once
        numbers = [float(item["value"][1]) for item in series]
        largest.append(max(numbers))
        low, high = panel.range
        assert all(low <= value <= high for value in numbers), (panel.title, numbers)
        for label in _legend_labels(one.legend):
            assert all(item["metric"].get(label) for item in series)
    assert any(largest) or panel.range == (0, 0) or panel.title in QUIET, f"{board.uid}: players race, it shows nothing"


def _legend_labels(legend: str) -> list[str]:
    return [part.split("}}")[0] for part in legend.split("{{")[1:]]


def test_the_alert_rules_are_loaded_and_silent_while_all_is_well(prometheus: httpx.Client) -> None:
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in rules if rule["type"] == "alerting"} == {alert.name for alert in alerts()}
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert {rule["name"] for rule in rules if rule.get("state", "inactive") != "inactive"} - TIMED - MISBEHAVED == {
        "CodeRacerWatchdog"
    }


def test_the_error_ratios_are_recorded_once_there_is_something_to_record(prometheus: httpx.Client) -> None:
    for objective in OBJECTIVES:
        until(lambda: query(prometheus, objective.errors("5m")))  # noqa: B023 - asked at once
        (answer,) = query(prometheus, objective.errors("5m"))
        assert 0 <= float(answer["value"][1]) <= 1


RUNBOOKS = [
    pytest.param(expr, id=f"{path.stem} {number}")
    for path in sorted(ROOT.glob("alerts/runbooks/*.md"))
    for number, expr in enumerate(blocks(path, "promql"))
]
FILTERS = re.compile(r"[=<>]=|[<>]|ALERTS|offset")


@pytest.mark.parametrize("expr", RUNBOOKS)
def test_a_query_of_a_runbook_has_an_answer(prometheus: httpx.Client, expr: str) -> None:
    answer = query(prometheus, expr)
    assert answer or FILTERS.search(expr), "only what asks for trouble has none while all is well"


def test_the_boards_can_be_drawn(prometheus: httpx.Client, tmp_path: Path) -> None:
    end = time.time()
    for board in BOARDS:
        draw(prometheus, board, end - 20, end, tmp_path / f"{board.uid}.png")
        assert (tmp_path / f"{board.uid}.png").read_bytes().startswith(b"\x89PNG")
    drawn = {path.stem for path in (ROOT / "docs/pictures").glob("*.png")}
    assert drawn == {board.uid for board in BOARDS} | {"console", "race"}, "and two pages, which are no boards"


@pytest.mark.parametrize("kind", [Kind.LINES, Kind.STAT, Kind.BARS])
@pytest.mark.parametrize("number", ["1", "-1", "0"])
def test_a_rate_per_nothing_does_not_keep_a_board_from_being_drawn(
    prometheus: httpx.Client, tmp_path: Path, kind: Kind, number: str
) -> None:
    """Infinite, or no number."""
    asked = (Query("vector(1)"), Query(f"vector({number}) / 0"))
    panel = Panel("Per nothing", "A rate per nothing.", "bytes", asked, 1.0, (0, 1), kind=kind)
    end = time.time()
    draw(prometheus, Board("nothing", "Nothing", (Row(RowKind.CAUSE, (panel,)),)), end - 20, end, tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


QUESTIONS = re.findall(
    r"\*\*(\d+\. .*?)\*\*\n\n```promql\n(.*?)\n```", (ROOT / "docs/questions.md").read_text(), re.DOTALL
)


def test_there_are_ten_questions() -> None:
    assert len(QUESTIONS) == 10
    assert [question.split(".")[0] for question, _ in QUESTIONS] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize(("question", "expr"), QUESTIONS, ids=[question for question, _ in QUESTIONS])
def test_a_question_is_answered(prometheus: httpx.Client, question: str, expr: str) -> None:
    promql_parser.parse(expr)
    answer = query(prometheus, expr)
    assert answer, question
    values = {frozenset(one["metric"].items()): float(one["value"][1]) for one in answer}
    assert all(value == value for value in values.values()), "no answer is NaN"  # noqa: PLR0124 - NaN is not itself


@pytest.mark.parametrize(
    ("number", "labels", "least"),
    [
        (2, {"initiator": "network", "reason": "connection_lost"}, 1),
        (4, {"outcome": "unauthorized"}, 0.001),
        (7, {}, 0.9),
        (9, {"scope": "messages", "mode": "enforced"}, 0),
        (10, {"step": "joined"}, 2),
        (10, {"step": "finished"}, 2),
    ],
)
def test_the_answer_is_what_happened(
    prometheus: httpx.Client, number: int, labels: dict[str, str], least: float
) -> None:
    (value,) = (
        float(one["value"][1]) for one in query(prometheus, QUESTIONS[number - 1][1]) if one["metric"] == labels
    )
    assert value >= least
