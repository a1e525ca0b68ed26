"""Catalogue, exposition, docs and rules say the same, both ways."""

import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from alerts.build import GROUPS
from alerts.model import Recording
from app.game import Verdict
from app.judge import load_problems
from app.telemetry.catalogue import (
    CANARY_METRICS,
    COMMON_FIELDS,
    EVENTS,
    METRICS,
    SUPERVISOR_METRICS,
    Events,
    Kind,
    Metric,
    Metrics,
)
from app.telemetry.metrics import MetricStore
from app.telemetry.observer import Observer
from app.telemetry.recorder import Recorder
from app.web.handshake.releases import known_releases
from tools.harness import fetch
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ServerProcess

ROOT = Path(__file__).parents[2]
OWN_SUFFIXES = ("_bucket", "_count", "_sum", "_total")


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        text = fetch.get(f"{server.http_url}/metrics")
        other = fetch.get(
            f"{server.http_url}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}
        )
        assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        kind, *parameters = other.headers["content-type"].split("; ")
        assert kind == "application/openmetrics-text"
        assert parameters.count("charset=utf-8") == 1
        return text.text, other.text


def _configured(metric: Metric) -> set[tuple[str, ...]]:
    """Rows that come from the configuration: the problems there are, and the clients counted by themselves."""
    if metric is Metrics.PROBLEM_SUBMISSIONS:
        return {(problem, str(verdict)) for problem in load_problems() for verdict in Verdict}
    if metric.labels[:1] == ("client",):
        return {(release, *row[1:]) for release in known_releases(()) for row in metric.rows}
    return set()


def test_what_is_exposed_is_what_the_catalogue_lists(exposed: tuple[str, str]) -> None:
    families = {family.name: family for family in parse_text(exposed[0])}
    expected = {metric.name.removesuffix("_total") for metric in METRICS}
    assert set(families) == expected
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert family.type == metric.kind.value
        assert family.documentation == metric.help
        rows = {tuple(sample.labels[label] for label in metric.labels) for sample in family.samples}
        if metric.labels not in {("version", "revision", "replica"), ("hash",), ("name", "fingerprint")}:
            assert rows - _configured(metric) == set(metric.rows), "every series exists from the start, and no other"
            assert _configured(metric) <= rows


def test_the_number_of_series_is_told_by_a_series(exposed: tuple[str, str]) -> None:
    lines = [line for line in exposed[0].splitlines() if not line.startswith("#")]
    (told,) = (line for line in lines if line.startswith("code_racer_metric_series "))
    assert float(told.split()[1]) == len(lines)


def test_openmetrics_is_well_formed_and_has_no_created_series(exposed: tuple[str, str]) -> None:
    samples = [
        sample.name
        for family in openmetrics.text_string_to_metric_families(exposed[1])  # type: ignore[no-untyped-call] # theirs
        for sample in family.samples
    ]
    assert samples
    assert not any(name.endswith("_created") for name in samples)


def test_no_metric_stands_twice() -> None:
    names = [key for area in Metrics.__bases__ for key in vars(area) if not key.startswith("_")]
    assert len(names) == len(set(names)) == len(METRICS), "a name in two areas would hide one of them"
    exposed = [metric.name for metric in (*METRICS, *CANARY_METRICS, *SUPERVISOR_METRICS)]
    assert len(exposed) == len(set(exposed))


def test_names_follow_the_convention() -> None:
    for metric in (*METRICS, *CANARY_METRICS, *SUPERVISOR_METRICS):
        assert re.fullmatch(r"(code_racer|process)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        if metric.kind is Kind.HISTOGRAM:
            assert metric.name.endswith(("_seconds", "_bytes", "_size", "_recipients", "_events"))
            assert metric.buckets == tuple(sorted(metric.buckets))
    for event in EVENTS:
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", event.name)
        assert not event.fields & set(COMMON_FIELDS)


def test_every_metric_can_be_moved_and_every_event_logged() -> None:
    outside = [ROOT / "app" / name for name in ("server.py", "cli.py", "canary.py", "moving.py")]
    outside += (ROOT / "app/telemetry" / name for name in ("diagnosed.py", "gauges.py"))
    outside += (ROOT / "app/supervisor").glob("*.py")
    source = "".join(path.read_text("utf-8") for path in (*outside, *ROOT.glob("app/telemetry/recorder/*.py")))
    for name in (key for area in Metrics.__bases__ for key in vars(area) if not key.startswith("_")):
        assert f"Metrics.{name}" in source, f"{name} is in the catalogue but nothing emits it"
    for name in (key for key in vars(Events) if not key.startswith("_")):
        assert f"Events.{name}" in source, f"{name} is in the catalogue but nothing logs it"


def test_a_field_that_the_catalogue_does_not_list_cannot_be_logged() -> None:
    with pytest.raises(ValueError, match="token"):
        Recorder(MetricStore()).log(Events.WS_OPENED, token="x")


def test_the_recorder_records_everything_that_can_be_observed() -> None:
    observed = {name for name in dir(Observer) if callable(getattr(Observer, name)) and not name.startswith("__")}
    forgotten = {name for name in observed if getattr(Recorder, name) is getattr(Observer, name)}
    assert not forgotten, "these are measured, and nothing comes of it"


def test_every_log_line_of_a_race_is_in_the_catalogue(tmp_path: Path) -> None:
    fields = {event.name: event.fields for event in EVENTS}
    levels = {event.name: event.level for event in EVENTS}
    server = ServerProcess(tmp_path / "server")
    server.start()
    ann = server.guest("ann")
    with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
        player.ws.send("nonsense")
        player.send("ready")
        player.until("game_started")
        player.send("submit_code", {"code": SOLUTION})
        player.until("game_finished")
    fetch.get(f"{server.http_url}/ws/x")
    assert server.stop() == 0
    names = [record["event"] for record in server.records()]
    assert set(names) >= {"app.started", "ws.opened", "message.rejected", "game.created", "game.started"}
    assert set(names) >= {"submission.judged", "game.finished", "ws.closed", "app.draining", "app.stopped"}
    for record in server.records():
        own = set(record) - set(COMMON_FIELDS)
        assert own <= fields[record["event"]]
        assert set(record) >= set(COMMON_FIELDS)
        assert record["level"] == levels[record["event"]]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["timestamp"])
    assert (tmp_path / "server" / "logs" / "app.log").read_text().splitlines() == server.lines
    assert server.stderr == f"Code Racer is ready: http://localhost:{server.settings['PORT']}/ (Ctrl+C stops it)\n"


def _series_in(text: str) -> set[str]:
    """Metrics, and what the rules record (level:metric:operation)."""
    return set(re.findall(r"\bjob:code_racer_\w+:\w+|(?<!:)\bcode_racer_[a-z_]+", text))


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("alerts/rules/*.yaml"), *ROOT.glob("alerts/runbooks/*.md"), *ROOT.glob("dashboards/*.json")]),
    ids=lambda path: path.name,
)
def test_alerts_runbooks_and_dashboards_name_only_series_that_exist(path: Path) -> None:
    known = {metric.name for metric in (*METRICS, *CANARY_METRICS, *SUPERVISOR_METRICS)}
    known |= {rule.name for group in GROUPS for rule in group.rules if isinstance(rule, Recording)}
    for metric in (*METRICS, *CANARY_METRICS, *SUPERVISOR_METRICS):
        if metric.kind is Kind.HISTOGRAM:
            known |= {metric.name + suffix for suffix in OWN_SUFFIXES}
    assert _series_in(path.read_text()) <= known
