"""What is logged, counted and traced, and where it goes."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr, field_validator

from app.settings.section import Listed, Section, http_url

_RELEASE: Final = re.compile(r"[A-Za-z0-9.-]+/[A-Za-z0-9.-]+")
_RELEASE_LENGTH: Final = 64
_CollectorUrl = Annotated[str, AfterValidator(http_url("http://localhost:4318"))]


class TelemetrySettings(Section):
    """Logs, metrics and traces. The OTEL_ names are OpenTelemetry's own."""

    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="least level logged; what operators do always is"
    )
    log_format: str = Field("json", pattern="^(json|console)$", description="json, or console for people")
    log_profile: str = Field(
        "otel", pattern="^(otel|ecs|gcp|datadog)$", description="names of the fields: otel, ecs, gcp or datadog"
    )
    log_gcp_project: str = Field(
        "", description="where LOG_PROFILE is gcp: the project whose traces lines name; empty: their bare ids"
    )
    log_file: str | None = Field(None, description="logs go there too; logs/app.log in development, else none")
    log_file_max_bytes: int = Field(
        100_000_000, ge=0, description="so long the file becomes; then it is NAME.1, and begun anew; 0: it only grows"
    )
    log_queue_size: int = Field(10_000, ge=10, description="records waiting to be written; more are dropped")
    log_flush_timeout_s: float = Field(3.0, gt=0, description="at the end, what is queued is written for so long")
    log_repeats_per_s: int = Field(20, ge=1, description="lines a second of one kind of refusal; more are only counted")
    client_releases: Listed = Field(
        (),
        description="clients counted by themselves, as ours are: race-web/1.4.0, sent as ?client; comma-separated",
    )
    max_metric_series: int = Field(
        5_000, ge=1_000, description="series of /metrics; label values of the configuration beyond that are other"
    )
    metrics_native_histograms: bool = Field(
        False,
        description="latencies have native histograms too, for scrapers that ask for protobuf; first have them keep"
        " the classic ones, which the alerts ask for (docs/operations.md)",
    )
    pyroscope_server_address: Annotated[str, AfterValidator(http_url("http://pyroscope:4040"))] = Field(
        "",
        description="Pyroscope, which profiles are pushed to, like http://pyroscope:4040; needs code-racer[pyroscope]",
    )
    otel_traces_exporter: str = Field(
        "", pattern="^(otlp|none)?$", description="otlp or none; empty: otlp where an endpoint is set, else none"
    )
    otel_exporter_otlp_endpoint: _CollectorUrl = Field("", description="the collector, like http://localhost:4318")
    otel_exporter_otlp_traces_endpoint: _CollectorUrl = Field("", description="the same for traces only, with its path")
    otel_exporter_otlp_protocol: str = Field(
        "http/protobuf",
        pattern="^(http/protobuf|grpc)$",
        description="http/protobuf, or grpc, which needs code-racer[grpc]",
    )
    otel_exporter_otlp_traces_protocol: str = Field(
        "", pattern="^(http/protobuf|grpc)?$", description="the same for traces only"
    )
    otel_exporter_otlp_headers: SecretStr = Field(
        SecretStr(""), description="headers for the collector, comma-separated pairs with an equals sign"
    )
    otel_traces_sampler: str = Field(
        "parentbased_traceidratio",
        pattern="^(parentbased_)?(always_on|always_off|traceidratio)$",
        description="which messages are traced",
    )
    otel_traces_sampler_arg: float = Field(0.01, ge=0, le=1, description="the ratio of traceidratio")
    otel_sdk_disabled: bool = Field(False, description="no traces at all")
    otel_service_name: str = Field("code-racer", min_length=1, description="service.name of logs and traces")
    otel_bsp_max_queue_size: int = Field(2_048, ge=512, description="spans waiting for the collector; more are dropped")
    trust_traceparent: bool = Field(
        False, description="a client's trace context parents ours and decides sampling; else it is only linked"
    )
    slow_message_s: float = Field(0.05, gt=0, description="a message that took longer is traced and listed as slow")
    late_spans_per_s: int = Field(
        5, ge=0, description="spans a second for unsampled messages that failed, were rejected, were slow: of each kind"
    )
    trace_flush_timeout_s: float = Field(3.0, gt=0, description="at the end, spans and profiles are sent for so long")

    @field_validator("client_releases")
    @classmethod
    def _releases(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [one for one in value if len(one) > _RELEASE_LENGTH or not _RELEASE.fullmatch(one)]
        if wrong:
            raise ValueError(
                f"{', '.join(wrong)}: write name/version, of letters, digits, dots and hyphens, at most 64"
            )
        return value

    @property
    def traces_endpoint(self) -> str | None:
        """Where spans go; None where they are not wanted, empty for OpenTelemetry's default."""
        named = self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint
        if self.otel_sdk_disabled or self.otel_traces_exporter == "none" or not (named or self.otel_traces_exporter):
            return None
        if self.otel_exporter_otlp_traces_endpoint or not named or self.traces_protocol == "grpc":
            return named
        return f"{named.rstrip('/')}/v1/traces"

    @property
    def traces_protocol(self) -> str:
        """How spans are sent: http/protobuf or grpc."""
        return self.otel_exporter_otlp_traces_protocol or self.otel_exporter_otlp_protocol

    @property
    def trace_ratio(self) -> float:
        """The part of the messages that is traced."""
        fixed = {"always_on": 1.0, "always_off": 0.0}
        return fixed.get(self.otel_traces_sampler.removeprefix("parentbased_"), self.otel_traces_sampler_arg)

    @property
    def trusts_parents(self) -> bool:
        """Whether a client's trace context decides."""
        return self.trust_traceparent and self.otel_traces_sampler.startswith("parentbased_")
