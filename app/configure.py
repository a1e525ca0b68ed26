"""From the settings to what each part needs of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from app import __version__
from app.eventlog import NATS_SCHEMES, Conflict
from app.game import Rejected
from app.judge import Limits
from app.process import container_limit_bytes
from app.realtime import HubConfig, SessionConfig
from app.realtime.connection.expiry import ExpiryConfig
from app.realtime.connection.inbox import InboxConfig
from app.realtime.connection.quota import QuotaConfig
from app.realtime.overload import LoadConfig
from app.realtime.room.judging import JudgingConfig
from app.realtime.room.pace import PaceConfig
from app.realtime.room.progress import ProgressConfig
from app.realtime.room.sweeper import SweeperConfig
from app.settings import Settings, SettingsError
from app.transport.http_bounds import HttpBounds
from app.vocabulary import LimitScope
from app.web.limits import ApiConfig, DoorConfig

if TYPE_CHECKING:  # loaded only where traces are wanted
    from opentelemetry.sdk.trace.export import SpanExporter

    from app.eventlog.nats import NatsConfig
    from app.telemetry.tracing import OtelTracer

MIN_CLAIM_S: Final = 30.0


def hub_config(settings: Settings, replica: str) -> HubConfig:
    """What the hub needs."""
    return HubConfig(
        replica=replica,
        session=session_config(settings),
        judging=JudgingConfig(
            workers=settings.judge_processes,
            queue_size=settings.judge_queue_size,
            max_queued_per_player=settings.judge_max_queued_per_player,
            max_running_per_player=settings.judge_max_running_per_player,
            retries=settings.judge_retries,
            retry_delay_s=settings.judge_retry_delay_s,
            claim_s=max(MIN_CLAIM_S, 2 * (settings.judge_time_limit_s + settings.judge_kill_grace_s)),
        ),
        pace=PaceConfig(
            commands_per_second=settings.commands_per_second,
            command_burst=settings.command_burst,
            entries_per_minute=settings.entries_per_minute,
            entry_burst=settings.entry_burst,
            event_deliveries_per_second=settings.event_deliveries_per_second,
            event_delivery_burst=settings.event_delivery_burst,
        ),
        progress=ProgressConfig(
            interval_s=settings.progress_interval_s,
            deliveries_per_second=settings.progress_deliveries_per_second,
        ),
        load=LoadConfig(
            lag_s=settings.overload_lag_s,
            memory_limit_bytes=settings.memory_limit_bytes or container_limit_bytes(),
            memory_shed_bytes=settings.memory_shed_bytes,
            interval_s=settings.overload_interval_s,
        ),
        limits_dry_run=frozenset(map(LimitScope, settings.limits_dry_run)),
        ping_interval_s=settings.ping_interval_s,
        sweeper=SweeperConfig(
            retention_s=settings.finished_game_retention_s,
            sweep_interval_s=settings.sweep_interval_s,
        ),
        replica_ttl_s=settings.replica_ttl_s,
        finished_linger_s=settings.finished_linger_s,
        max_connection_age_s=settings.max_connection_age_s,
    )


def judge_limits(settings: Settings) -> Limits:
    """What a submission may take."""
    return Limits(
        time_limit_s=settings.judge_time_limit_s,
        memory_bytes=settings.judge_memory_bytes,
        result_bytes=settings.judge_result_bytes,
        kill_grace_s=settings.judge_kill_grace_s,
    )


def nats_config(settings: Settings, replica: str) -> "NatsConfig | None":
    """What a log on NATS needs; None where it is another. Raises SettingsError where a file cannot be used."""
    if not settings.event_log_url.startswith(NATS_SCHEMES):
        return None
    from app.eventlog.nats import NatsConfig, tls_context  # noqa: PLC0415 - see `open_event_log`

    try:
        tls = tls_context(settings.nats_tls_ca_file, settings.nats_tls_cert_file, settings.nats_tls_key_file)
    except OSError as error:
        raise SettingsError(f"NATS_TLS_CA_FILE: it, NATS_TLS_CERT_FILE or its key cannot be used: {error}") from None
    return NatsConfig(
        servers=tuple(settings.event_log_url.split(",")),
        replica=replica,
        stream=settings.nats_stream,
        replicas=settings.nats_replicas,
        max_bytes=settings.nats_max_bytes,
        append_timeout_s=settings.nats_timeout_s,
        connect_timeout_s=settings.ready_timeout_s,
        max_pending_appends=settings.nats_max_pending,
        credentials_file=settings.nats_credentials_file,
        nkey_seed_file=settings.nats_nkey_seed_file,
        user=settings.nats_user,
        password=settings.nats_password.get_secret_value(),
        tls=tls,
    )


def session_config(settings: Settings) -> SessionConfig:
    """What a connection may do."""
    return SessionConfig(
        inbox=InboxConfig(
            quota=QuotaConfig(
                messages_per_second=settings.messages_per_second,
                message_burst=settings.message_burst,
                bytes_per_second=settings.bytes_per_second,
                bytes_burst=settings.bytes_burst,
                control_frames_per_second=settings.control_frames_per_second,
                control_frame_burst=settings.control_frame_burst,
                max_message_bytes=settings.max_message_bytes,
                max_batch=settings.max_batch,
                max_invalid_messages_per_minute=settings.max_invalid_messages_per_minute,
                max_rate_limited_per_minute=settings.max_rate_limited_per_minute,
            ),
            max_pending_messages=settings.max_pending_messages,
            rate_limit_retry_s=settings.rate_limit_retry_s,
        ),
        expiry=ExpiryConfig(
            token_leeway_s=settings.jwt_leeway_s,
            token_expiring_notice_s=settings.token_expiring_notice_s,
            idle_timeout_s=settings.idle_timeout_s,
        ),
        outbox_max_bytes=settings.outbox_max_bytes,
        outbox_max_age_s=settings.outbox_max_age_s,
    )


def open_tracer(settings: Settings, replica: str, on_change: Callable[[bool], None]) -> "OtelTracer | None":
    """The tracer; None where no traces are wanted, and then OpenTelemetry is not even loaded."""
    endpoint = settings.traces_endpoint
    if endpoint is None:
        return None
    from app.telemetry.tracing import OtelTracer, TracingConfig  # noqa: PLC0415 - 0.2 s of start-up where it is wanted

    config = TracingConfig(
        ratio=settings.trace_ratio,
        trust=settings.trusts_parents,
        slow_s=settings.slow_message_s,
        late_per_s=settings.late_spans_per_s,
        max_queued=settings.otel_bsp_max_queue_size,
        flush_timeout_s=settings.trace_flush_timeout_s,
    )
    resource = {
        "service.name": settings.otel_service_name,
        "service.version": __version__,
        "service.instance.id": replica,
        "deployment.environment.name": settings.environment.value,
    }
    return OtelTracer(config, _span_exporter(settings, endpoint), resource, on_change, (Rejected, Conflict))


def _span_exporter(settings: Settings, endpoint: str) -> "SpanExporter":
    """The exporter of the protocol; what is not set here it reads from OTEL_EXPORTER_OTLP_* itself."""
    from opentelemetry.util.re import parse_env_headers  # noqa: PLC0415 - see `open_tracer`

    named = dict(parse_env_headers(settings.otel_exporter_otlp_headers.get_secret_value(), liberal=True))
    if settings.traces_protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc  # noqa: PLC0415 - heavy

        return Grpc(endpoint=endpoint or None, headers=named or None)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http  # noqa: PLC0415 - heavy

    return Http(endpoint=endpoint or None, headers=named or None)


def http_bounds(settings: Settings) -> HttpBounds:
    """How much a request may be, and how many connections may ask."""
    return HttpBounds(
        max_header_bytes=settings.max_header_bytes,
        max_headers=settings.max_headers,
        max_body_bytes=settings.max_body_bytes,
        max_chunk_overhead_bytes=settings.max_chunk_overhead_bytes,
        handshake_timeout_s=settings.handshake_timeout_s,
        http_keep_alive_s=settings.http_keep_alive_s,
        http_write_timeout_s=settings.http_write_timeout_s,
        close_timeout_s=settings.close_timeout_s,
        tls_unread_bytes=settings.tls_unread_bytes,
        max_http_connections=settings.max_http_connections,
        max_http_connections_per_address=settings.max_http_connections_per_address,
        per_address=not settings.is_development,
    )


def api_config(settings: Settings) -> ApiConfig:
    """How often the HTTP API may be asked."""
    return ApiConfig(
        requests_per_address_per_second=settings.api_requests_per_address_per_second,
        request_burst_per_address=settings.api_request_burst_per_address,
        requests_per_player_per_second=settings.api_requests_per_player_per_second,
        request_burst_per_player=settings.api_request_burst_per_player,
        guests_per_address_per_minute=settings.guests_per_address_per_minute,
        games_per_address_per_minute=settings.games_per_address_per_minute,
        per_address=not settings.is_development,
    )


def door_config(settings: Settings) -> DoorConfig:
    """Who may come in."""
    return DoorConfig(
        max_connections=settings.max_connections,
        max_connections_per_address=settings.max_connections_per_address,
        max_connections_per_player=settings.max_connections_per_player,
        handshakes_per_second=settings.handshakes_per_second,
        handshake_burst=settings.handshake_burst,
        per_address=not settings.is_development,
    )
