"""Where spans go: the tracer that the settings ask for, and its exporter."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from app import __version__
from app.settings import CannotStartError, TelemetrySettings
from app.vocabulary import Environment

if TYPE_CHECKING:  # loaded only where traces are wanted
    from opentelemetry.sdk.trace.export import SpanExporter

    from app.telemetry.tracing import OtelTracer


def open_tracer(
    settings: TelemetrySettings,
    environment: Environment,
    replica: str,
    on_change: Callable[[bool], None],
    answers: tuple[type[Exception], ...],
) -> "OtelTracer | None":
    """Make the tracer; None if no traces are wanted, and then OpenTelemetry is not even loaded.

    `on_change` is called when spans cease to be taken, and when they are again; `answers` are exceptions that end a
    block without being a fault.

    Raises CannotStartError: the library of the wanted protocol is not installed.
    """
    endpoint = settings.traces_endpoint
    if endpoint is None:
        return None
    from app.telemetry.tracing import OtelTracer  # noqa: PLC0415 - 0.2 s of start-up where it is wanted

    resource = {
        "service.name": settings.otel_service_name,
        "service.version": __version__,
        "service.instance.id": replica,
        "deployment.environment.name": environment.value,
    }
    return OtelTracer(settings, _exporter(settings, endpoint), resource, on_change, answers)


def _exporter(settings: TelemetrySettings, endpoint: str) -> "SpanExporter":
    """Make the exporter of the protocol; what is not set here it reads from OTEL_EXPORTER_OTLP_* itself."""
    from opentelemetry.util.re import parse_env_headers  # noqa: PLC0415 - as above

    named = dict(parse_env_headers(settings.otel_exporter_otlp_headers.get_secret_value(), liberal=True))
    if settings.traces_protocol == "grpc":
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc  # noqa: PLC0415 - an extra
        except ImportError:
            raise CannotStartError(
                "spans are to be sent by grpc, and its library is not installed: pip install 'code-racer[grpc]',"
                " or OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and the collector's port 4318"
            ) from None
        return Grpc(endpoint=endpoint or None, headers=named or None)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http  # noqa: PLC0415 - heavy

    return Http(endpoint=endpoint or None, headers=named or None)
