"""Every line of a whole race fits the published schema of its profile, and the vendor's own schema or code takes it."""

import datetime as dt
import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from google.cloud.logging_v2.handlers.structured_log import GCP_STRUCTURED_LOGGING_FIELDS, StructuredLogHandler
from google.cloud.logging_v2.types import LogEntry
from google.protobuf.json_format import ParseDict
from opentelemetry import trace

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


Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Lines]:
    """The log of a whole race in a profile; each is run once."""
    known: dict[str, Lines] = {}

    def lines_of(profile: str) -> Lines:
        if profile not in known:
            known[profile] = log_of_a_race(tmp_path_factory.mktemp(profile), profile)
        return known[profile]

    return lines_of


def log_of_a_race(folder: Path, profile: str) -> Lines:
    traced = {"otel_exporter_otlp_endpoint": "http://127.0.0.1:1", "otel_traces_sampler": "always_on"}  # nobody there
    with ServerProcess(folder, log_profile=profile, log_level="debug", log_gcp_project="racing-1", **traced) as server:
        ann = server.guest("ann")
        with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
            player.ws.send("nonsense")
            player.send("ready")
            player.until("game_started")
            player.send("submit_code", {"code": SOLUTION})
            player.until("game_finished")
    assert (folder / "logs/app.log").read_text().splitlines() == server.lines
    return [json.loads(line) for line in server.lines]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_line_of_a_race_fits_the_schema_of_its_profile(race: Callable[[str], Lines], profile: str) -> None:
    validator = jsonschema.Draft202012Validator(published(profile))
    lines = race(profile)
    assert len(lines) >= 10
    for line in lines:
        validator.validate(line)
        assert set(line) >= NAMES[profile]
    assert any(TRACE_IDS[profile] <= set(line) for line in lines)
    names = {str(line.get("event", line.get("message"))) for line in lines}
    assert names >= {"app.started", "ws.opened", "ws.closed", "game.finished", "app.stopped"}


ENTRY: Final = {
    "time": "timestamp",
    "severity": "severity",
    "logging.googleapis.com/trace": "trace",
    "logging.googleapis.com/spanId": "spanId",
    "logging.googleapis.com/trace_sampled": "traceSampled",
}
"""The fields of a Cloud Logging entry that Google's agents make from what they find in a line."""


def test_cloud_logging_takes_every_line_of_a_race(race: Callable[[str], Lines]) -> None:
    """By Google's own list of special fields, and its own type of an entry."""
    for line in race("gcp"):
        special = {name for name in line if name in GCP_STRUCTURED_LOGGING_FIELDS or "googleapis.com" in name}
        assert special <= GCP_STRUCTURED_LOGGING_FIELDS
        payload = {name: value for name, value in line.items() if name not in special}
        entry = ParseDict({ENTRY[name]: line[name] for name in special} | {"jsonPayload": payload}, LogEntry.pb()())
        assert entry.severity > 0
        assert entry.timestamp.ToJsonString() == line["time"].replace(".000Z", "Z")
        assert entry.trace_sampled == entry.trace.startswith("projects/racing-1/traces/") == bool(entry.trace)
        assert entry.json_payload["message"] == line["message"]


def test_a_trace_is_named_as_google_s_own_library_names_it() -> None:
    context = trace.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=False, trace_flags=trace.TraceFlags(1))
    handler: Any = StructuredLogHandler(project_id="racing-1")  # type: ignore[no-untyped-call] # it has no types
    record = logging.LogRecord("x", logging.WARNING, "x.py", 1, "x", None, None)
    with trace.use_span(trace.NonRecordingSpan(context)):
        assert handler.filter(record)
    theirs = json.loads(handler.format(record))
    ours = line("gcp", gcp_project="racing-1")
    assert {name: theirs[name] for name in ours} == ours


@pytest.mark.node
def test_elastic_s_schema_has_every_field_of_a_line_with_its_type(race: Callable[[str], Lines]) -> None:
    """By the flat schema that Elastic publishes; fields of our own have a prefix that it has not."""
    program = "process.stdout.write(JSON.stringify(require('@elastic/ecs').EcsFlat))"
    shown = subprocess.run(["node", "-e", program], cwd=ROOT / "tests/node", capture_output=True, text=True, check=True)
    types = {name: field["type"] for name, field in json.loads(shown.stdout).items()}
    assert not [name for name in types if name.startswith("code_racer")]
    for name in published("ecs")["properties"]:
        assert name.startswith("code_racer.") or name in types
    for line in race("ecs"):
        for name, value in line.items():
            if name in types:
                assert FITS[types[name]](value), f"{name} is a {types[name]}: {value!r}"


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_date(value: object) -> bool:
    return isinstance(value, str) and dt.datetime.fromisoformat(value).tzinfo is not None


FITS: Final[dict[str, Callable[[object], bool]]] = {
    "date": is_date,
    "keyword": is_text,
    "match_only_text": is_text,
    "wildcard": is_text,
}
"""What a value must be for a type of Elasticsearch's; of another one no field of ours is."""


def test_no_field_is_both_a_value_and_an_object_of_others() -> None:
    """Elasticsearch takes the dots of a name for objects, and refuses a line in which one is a value too."""
    names = set(published("ecs")["properties"])
    parents = {name[:at] for name in names for at, char in enumerate(name) if char == "."}
    assert not names & parents


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


@pytest.mark.parametrize("profile", PROFILES)
def test_the_schema_takes_nothing_else(profile: str) -> None:
    validator = jsonschema.Draft202012Validator(published(profile))
    assert not validator.is_valid({"timestamp": "now"})
    assert published(profile)["additionalProperties"] is False
