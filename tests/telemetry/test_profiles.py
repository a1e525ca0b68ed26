"""Every line of a whole race fits the published schema of its profile, and the names are the pipeline's."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from app.telemetry.profiles import PROFILES, rename
from tools.harness.player import SOLUTION, Player
from tools.harness.server import ROOT, ServerProcess

NAMES = {
    "otel": {
        "timestamp",
        "level",
        "event",
        "service.name",
        "service.version",
        "deployment.environment.name",
        "replica",
    },
    "ecs": {"@timestamp", "log.level", "message", "service.name", "service.environment", "ecs.version"},
    "gcp": {"time", "severity", "message", "service.name"},
    "datadog": {"timestamp", "status", "message", "service", "version", "env"},
}


TRACE_IDS = {
    "otel": {"trace_id", "span_id"},
    "ecs": {"trace.id", "span.id"},
    "gcp": {"logging.googleapis.com/trace", "logging.googleapis.com/spanId"},
    "datadog": {"dd.trace_id", "dd.span_id"},
}


def published(profile: str) -> dict[str, Any]:
    return dict(json.loads((ROOT / f"docs/schemas/log-{profile}.schema.json").read_text()))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_line_of_a_race_fits_the_schema_of_its_profile(tmp_path: Path, profile: str) -> None:
    validator = jsonschema.Draft202012Validator(published(profile))
    traced = {"otel_exporter_otlp_endpoint": "http://127.0.0.1:1", "otel_traces_sampler": "always_on"}  # nobody there
    with ServerProcess(tmp_path, log_profile=profile, log_level="debug", **traced) as server:
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
            player.ws.send("nonsense")
            player.send("ready")
            player.until("game_started")
            player.send("submit_code", {"code": SOLUTION})
            player.until("game_finished")
    lines = [json.loads(line) for line in server.lines]
    assert len(lines) >= 10
    for line in lines:
        validator.validate(line)
        assert set(line) >= NAMES[profile]
    assert (tmp_path / "logs/app.log").read_text().splitlines() == server.lines
    assert any(TRACE_IDS[profile] <= set(line) for line in lines)
    names = {str(line.get("event", line.get("message"))) for line in lines}
    assert names >= {"app.started", "ws.opened", "ws.closed", "game.finished", "app.stopped"}


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SHORT_TRACE = "0000000000000000a3ce929d0e0e4736"


def line(profile: str, trace_id: str = TRACE, **more: str) -> dict[str, Any]:
    return rename(profile, {"level": "warning", "event": "x", "trace_id": trace_id, "span_id": SPAN}, **more)


def test_datadog_has_the_level_as_status_and_ids_as_its_tracers_write_them() -> None:
    """The expected ones are what `ddtrace.internal.utils.formats.format_trace_id` of ddtrace 4.16 returns."""
    found = line("datadog")
    assert (found["status"], found["dd.trace_id"], found["dd.span_id"]) == ("warning", TRACE, "67667974448284343")
    assert line("datadog", SHORT_TRACE)["dd.trace_id"] == "11803532876627986230"


def test_cloud_logging_has_the_full_name_of_a_trace() -> None:
    found = line("gcp", gcp_project="racing-1")
    assert found["severity"] == "WARNING"
    assert found["logging.googleapis.com/trace"] == f"projects/racing-1/traces/{TRACE}"
    assert (found["logging.googleapis.com/spanId"], found["logging.googleapis.com/trace_sampled"]) == (SPAN, True)
    assert line("gcp")["logging.googleapis.com/trace"] == TRACE, "of no project"
    bare = rename("gcp", {"level": "info", "event": "x"}, "racing-1")
    assert not [name for name in bare if "trace" in name]


def test_the_project_is_a_setting(tmp_path: Path) -> None:
    traced = {"otel_exporter_otlp_endpoint": "http://127.0.0.1:1", "otel_traces_sampler": "always_on"}  # nobody there
    with ServerProcess(tmp_path, log_profile="gcp", log_gcp_project="racing-1", **traced) as server:
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"]), ann["token"]) as player:
            player.until("welcome")
    traces = {json.loads(text).get("logging.googleapis.com/trace") for text in server.lines} - {None}
    assert traces
    assert all(one.startswith("projects/racing-1/traces/") for one in traces)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_schema_takes_nothing_else(profile: str) -> None:
    validator = jsonschema.Draft202012Validator(published(profile))
    assert not validator.is_valid({"timestamp": "now"})
    assert published(profile)["additionalProperties"] is False
