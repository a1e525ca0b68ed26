"""Every line of a whole race fits the published schema of its profile, and the names are the pipeline's."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from app.telemetry.profiles import PROFILES
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


@pytest.mark.parametrize("profile", PROFILES)
def test_the_schema_takes_nothing_else(profile: str) -> None:
    validator = jsonschema.Draft202012Validator(published(profile))
    assert not validator.is_valid({"timestamp": "now"})
    assert published(profile)["additionalProperties"] is False
