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
_ECS_VERSION: Final = {"ecs.version": "8.11.0"}


def name_in(profile: str, field: str) -> str:
    """Return what one of our fields is called in a profile."""
    unnamed = f"code_racer.{field}" if profile == "ecs" else field
    return _NAMES[profile].get(field, unnamed)


def rename(profile: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Give a record the names of a profile; Cloud Logging wants severities in capitals."""
    renamed = {name_in(profile, field): value for field, value in record.items()}
    if profile == "gcp":
        renamed["severity"] = str(renamed["severity"]).upper()
    return renamed if profile != "ecs" else {**renamed, **_ECS_VERSION}


def schema(profile: str, common: tuple[str, ...], fields: frozenset[str]) -> dict[str, Any]:
    """Make the JSON Schema of a line: `common` fields in every one, `fields` in some, no others."""
    extra = {"ecs.version": {"type": "string"}} if profile == "ecs" else {}
    required = [name_in(profile, field) for field in common]
    properties: dict[str, Any] = {name_in(profile, field): {} for field in sorted(fields)}
    properties |= {name: {"type": "string"} for name in required} | extra
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
