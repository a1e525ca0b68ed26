"""Log profiles: the same line with the names a pipeline expects.

`otel` is our own (OpenTelemetry's attribute names), `ecs` the Elastic Common Schema, `gcp` Cloud Logging's structured
payload, `datadog` Datadog's reserved attributes. Fields of ours that a profile has no name for keep theirs; in `ecs`
they stand under ``code_racer.``, as custom fields must.
"""

from collections.abc import Mapping
from typing import Any, Final

PROFILES: Final = ("otel", "ecs", "gcp", "datadog")
_NAMES: Final[dict[str, dict[str, str]]] = {
    "otel": {},
    "ecs": {
        "timestamp": "@timestamp",
        "level": "log.level",
        "event": "message",
        "service.name": "service.name",
        "service.version": "service.version",
        "deployment.environment.name": "service.environment",
        "replica": "service.node.name",
        "client": "client.address",
        "error": "error.message",
        "exception": "error.stack_trace",
        "logger": "log.logger",
        "trace_id": "trace.id",
        "span_id": "span.id",
    },
    "gcp": {
        "timestamp": "time",
        "level": "severity",
        "event": "message",
        "trace_id": "logging.googleapis.com/trace",
        "span_id": "logging.googleapis.com/spanId",
    },
    "datadog": {
        "level": "status",
        "event": "message",
        "service.name": "service",
        "service.version": "version",
        "deployment.environment.name": "env",
        "error": "error.message",
        "exception": "error.stack",
        "logger": "logger.name",
        "trace_id": "dd.trace_id",
        "span_id": "dd.span_id",
    },
}
_GCP_TRACE: Final = "logging.googleapis.com/trace"
_GCP_SAMPLED: Final = "logging.googleapis.com/trace_sampled"
_SHORT_TRACES: Final = 1 << 64
_ECS_VERSION: Final = {"ecs.version": "8.11.0"}


def name_in(profile: str, field: str) -> str:
    """Return what one of our fields is called in a profile."""
    unnamed = f"code_racer.{field}" if profile == "ecs" else field
    return _NAMES[profile].get(field, unnamed)


def rename(profile: str, record: Mapping[str, Any], gcp_project: str = "") -> dict[str, Any]:
    """Give a record the names of a profile, and values as its pipeline wants them."""
    if profile == "otel":
        return dict(record)  # its names are ours
    renamed = {name_in(profile, field): value for field, value in record.items()}
    if profile == "gcp":
        _as_gcp(renamed, gcp_project)
    elif profile == "datadog":
        _as_datadog(renamed)
    elif profile == "ecs":
        renamed |= _ECS_VERSION
    return renamed


def _as_gcp(record: dict[str, Any], project: str) -> None:
    """Write severities in capitals, and a trace by its full name, without which Cloud Logging links nothing."""
    record["severity"] = str(record["severity"]).upper()
    if _GCP_TRACE in record:
        record[_GCP_SAMPLED] = True
        if project:
            record[_GCP_TRACE] = f"projects/{project}/traces/{record[_GCP_TRACE]}"


def _as_datadog(record: dict[str, Any]) -> None:
    """Write identifiers as Datadog's tracers do: spans in decimal, traces too where 64 bits are enough."""
    if "dd.span_id" in record:
        record["dd.span_id"] = str(int(record["dd.span_id"], 16))
    if "dd.trace_id" in record:
        number = int(record["dd.trace_id"], 16)
        record["dd.trace_id"] = f"{number:032x}" if number >= _SHORT_TRACES else str(number)


def _ids(profile: str) -> tuple[tuple[str, str], ...]:
    """List how the identifiers of a trace and of a span look."""
    trace, span = r"[0-9a-f]{32}", r"[0-9a-f]{16}"
    if profile == "gcp":
        trace = rf"(projects/[^/]+/traces/)?{trace}"
    if profile == "datadog":
        trace, span = rf"({trace}|\d{{1,20}})", r"\d{1,20}"
    return ("trace_id", f"^{trace}$"), ("span_id", f"^{span}$")


def schema(profile: str, common: tuple[str, ...], fields: frozenset[str]) -> dict[str, Any]:
    """Make the JSON Schema of a line: `common` fields in every one, `fields` in some, no others."""
    extra = {"ecs.version": {"type": "string"}} if profile == "ecs" else {}
    required = [name_in(profile, field) for field in common]
    ids: dict[str, Any] = {name_in(profile, name): {"type": "string", "pattern": form} for name, form in _ids(profile)}
    sampled = {_GCP_SAMPLED: {"const": True}} if profile == "gcp" else {}
    properties: dict[str, Any] = {name_in(profile, field): {} for field in sorted(fields)}
    properties |= {name: {"type": "string"} for name in required} | extra | ids | sampled
    levels = ["debug", "info", "warning", "error", "critical"]
    properties[name_in(profile, "level")] = {"enum": [one.upper() if profile == "gcp" else one for one in levels]}
    properties[name_in(profile, "timestamp")] = {
        "type": "string",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A log line of Code Racer, LOG_PROFILE={profile}",
        "type": "object",
        "properties": properties,
        "required": [*required, *extra],
        "additionalProperties": False,
    }
