"""Settings: the only reader of the environment.

Every setting is an environment variable of the same name in capitals, or a line of `.env`. They are read
once, frozen, and verified together: a bad value stops the start with all mistakes listed at once.
"""

import hashlib
import ipaddress
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.vocabulary import LimitScope, ReadyGate

MIN_SECRET_BYTES: Final = 32
DOTENV: Final = Path(".env")
DEV_SECRET_FILE: Final = Path("var/dev-secret")
_NATS_URL: Final = r"(nats|tls)://[^/@\s,]+"
_EVENT_LOG_URL: Final = re.compile(rf"^(memory:|sqlite:///.+|{_NATS_URL}(,{_NATS_URL})*)$")
JWKS_ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
READY_GATES: Final = tuple(gate.value for gate in ReadyGate)
LIMIT_SCOPES: Final = tuple(scope.value for scope in LimitScope)
_OWN_TO_A_REPLICA: Final = {"REPLICA", "HOST", "PORT", "OPS_PORT"}
_PLACEHOLDERS: Final = ("change", "example", "secret-here", "your_")


class Environment(StrEnum):
    """Where the service runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class WsTransport(StrEnum):
    """What carries frames."""

    LEAN = "lean"
    UVICORN = "uvicorn"


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """The times of a drain, in seconds; see the settings of the same names."""

    delay_s: float
    game_wait_s: float
    spread_s: float
    close_timeout_s: float
    scrape_wait_s: float
    restart_hint_s: float
    flush_timeout_s: float

    @property
    def longest_s(self) -> float:
        """From SIGTERM to the end, at most; a pod's grace period must be longer."""
        closing_s = self.spread_s + 3 * self.close_timeout_s
        return self.delay_s + self.game_wait_s + closing_s + self.scrape_wait_s + self.flush_timeout_s


_PATIENT: Final = DrainPlan(5, 20, 15, 0, 15, 0, 0)
_QUICK: Final = DrainPlan(0, 0, 0, 0, 0, 0, 0)


class CannotStartError(Exception):
    """A command cannot begin here. The message says what is wrong, where, and what to do; the exit code is 2."""


class SettingsError(CannotStartError):
    """The settings are unusable; the message lists every mistake, one a line."""


def _origin(value: str) -> str:
    """Normalise an origin (RFC 6454): scheme, host and port only.

    Raises:
        ValueError: `value` is no http(s) origin.
    """
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{value!r} is no origin; write it like https://example.org")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{value!r} has more than scheme, host and port")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _some_of(value: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise ValueError(f"does not know {', '.join(unknown)}; known are {', '.join(known)}")
    return value


class Settings(BaseSettings):
    """All settings. Times carry their unit in the name; limits are per replica unless they say otherwise."""

    model_config = SettingsConfigDict(env_file=DOTENV, env_file_encoding="utf-8", extra="ignore", frozen=True)

    environment: Environment = Field(Environment.DEVELOPMENT, description="development, production or test")
    host: str = Field(
        "127.0.0.1", description="address to listen on; 0.0.0.0 for all of IPv4, :: for all of IPv6 and IPv4"
    )
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    ops_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="port of probes and metrics; empty: they are on PORT; 0 picks a free one",
    )
    replica: str = Field("", max_length=64, description="name of this replica; the host name by default")
    public_url: str = Field("", description="how clients reach the service, e.g. https://race.example.org")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="addresses or networks whose X-Forwarded-For and -Proto are believed, comma-separated"
    )
    tls_cert_file: str = Field("", description="certificate chain (PEM), to serve https and wss without a proxy")
    tls_key_file: str = Field("", description="private key (PEM) of TLS_CERT_FILE")

    frontend_url: str = Field("", description="origin of the front end, e.g. https://yourdomain.com")
    cors_allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="further allowed origins, comma-separated"
    )

    jwt_secret: SecretStr = Field(
        SecretStr(""),
        description=f"HS256 key, at least {MIN_SECRET_BYTES} bytes; made for you in development",
    )
    jwt_previous_secret: SecretStr = Field(
        SecretStr(""), description="the key before JWT_SECRET: still accepted, signs nothing; unset it after a rotation"
    )
    jwt_jwks_url: str = Field("", description="where the public keys of tokens are; instead of JWT_SECRET")
    jwt_algorithms: Annotated[tuple[str, ...], NoDecode] = Field(
        JWKS_ALGORITHMS, description="algorithms accepted with JWT_JWKS_URL"
    )
    jwks_refresh_s: float = Field(300.0, ge=1, description="the keys are fetched again so often, in the background")
    jwks_timeout_s: float = Field(5.0, gt=0, le=60, description="a fetch of the keys fails after this")
    jwks_cooldown_s: float = Field(10.0, ge=0, description="an unknown key id asks for a fetch at most so often")
    jwks_max_age_s: float = Field(86_400, ge=1, description="keys not fetched for so long are not believed any more")
    jwks_max_bytes: int = Field(262_144, ge=1_024, le=16_777_216, description="longest answer with the keys")
    jwks_max_keys: int = Field(100, ge=1, le=1_000, description="keys in such an answer")
    jwt_issuer: str = Field("", description="required `iss` of tokens; empty: not checked")
    jwt_audience: str = Field("", description="required `aud` of tokens; empty: not checked")
    jwt_leeway_s: float = Field(5.0, ge=0, le=300, description="clock skew allowed in `exp`, `nbf` and `iat`")
    auth_timeout_s: float = Field(5.0, gt=0, description="the first message must bring the token within this")
    token_expiring_notice_s: float = Field(60.0, ge=0, description="token_expiring is sent so long before the end")
    ticket_secret: SecretStr = Field(
        SecretStr(""), description="key of connection tickets; derived from JWT_SECRET where empty"
    )
    ticket_ttl_s: float = Field(30.0, ge=1, le=600, description="life of a connection ticket")
    operators: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="player ids (sub) that may remove players from any game, comma-separated"
    )
    guests: bool | None = Field(None, description="POST /api/guests; on in development, off in production")
    guest_token_ttl_s: int = Field(14_400, ge=60, le=604_800, description="life of a guest's token")
    guests_per_address_per_minute: int = Field(20, ge=1, description="guest tokens per address")

    event_log_url: str = Field(
        "sqlite:///var/code-racer.db",
        description="memory:, sqlite:///path (relative; four slashes: absolute), or nats://host:4222,nats://host:4222",
    )
    nats_stream: str = Field("CODE_RACER", pattern="^[A-Za-z0-9_-]+$", description="the stream of the games' logs")
    nats_replicas: int = Field(1, ge=1, le=5, description="servers that hold each stream; 3 in production")
    nats_max_bytes: int = Field(0, ge=0, description="the stream of the games' logs refuses more; 0: no limit")
    nats_timeout_s: float = Field(
        8.0, gt=0, le=60, description="a message waits so long for NATS, tried again; an election takes 4 to 7"
    )
    nats_max_pending: int = Field(1_000, ge=1, description="appends under way at once; more are refused")
    nats_credentials_file: str = Field("", description="who connects: a .creds file (JWT and seed)")
    nats_nkey_seed_file: str = Field("", description="who connects: a file with the seed of an NKey")
    nats_user: str = Field("", description="who connects, with NATS_PASSWORD")
    nats_password: SecretStr = Field(SecretStr(""), description="the password of NATS_USER")
    nats_tls_ca_file: str = Field("", description="certificates (PEM) that NATS servers are checked with")
    nats_tls_cert_file: str = Field("", description="certificate chain (PEM) that is shown to NATS servers")
    nats_tls_key_file: str = Field("", description="private key (PEM) of NATS_TLS_CERT_FILE")
    replica_ttl_s: float = Field(
        10.0, ge=2, le=300, description="a replica that says nothing for so long is gone: its players get their grace"
    )
    finished_game_retention_s: float = Field(86_400, ge=1, description="a game's log is removed so long after its end")
    sweep_interval_s: float = Field(5.0, gt=0, description="how often retention and stuck judging are looked at")

    waiting_game_ttl_s: float = Field(3_600, ge=1, description="a game that never starts expires after this")
    countdown_s: float = Field(3.0, ge=0, le=60, description="from all ready to the start")
    reconnect_grace_s: float = Field(30.0, ge=0, description="a lost player stays in the game so long")
    judge_grace_s: float = Field(30.0, ge=0, description="how long a game's end waits for the judge")
    free_verdicts_per_game: int = Field(
        5, ge=0, description="verdicts unsupported and judge_error that cost a player no try, per game"
    )
    finished_linger_s: float = Field(60.0, ge=0, description="connections stay open so long after the end")

    judge_processes: int = Field(2, ge=1, le=64, description="sandbox worker processes")
    judge_time_limit_s: float = Field(2.0, gt=0, le=60, description="per submission, all tests together")
    judge_kill_grace_s: float = Field(
        1.0, gt=0, le=60, description="a worker that has not answered so long after JUDGE_TIME_LIMIT_S is killed"
    )
    judge_memory_bytes: int = Field(64_000_000, ge=1_000_000, description="per submission")
    judge_result_bytes: int = Field(
        65_536, ge=1_024, le=16_777_216, description="what solve returns, as JSON; more is a wrong answer"
    )
    judge_queue_size: int = Field(256, ge=1, description="submissions waiting for a worker")
    judge_max_queued_per_player: int = Field(
        8, ge=1, description="of them, of one player; more come with a later sweep"
    )
    judge_max_running_per_player: int = Field(1, ge=1, le=64, description="submissions of one player judged at once")
    judge_retries: int = Field(
        3, ge=0, le=100, description="tries again after a fault of the judge, restarts and other replicas included"
    )
    judge_retry_delay_s: float = Field(0.5, gt=0, description="pause before such a try, doubled each time")

    max_connections: int = Field(20_000, ge=1, description="connections of this replica; more are refused (503)")
    max_connections_per_address: int = Field(
        200, ge=1, description="connections per client address (IPv6: per /64); off in development"
    )
    max_connections_per_player: int = Field(10, ge=1, description="connections per player, over all games")
    handshakes_per_second: float = Field(500.0, ge=0, description="attempts to connect, all together; 0: no limit")
    handshake_burst: int = Field(2_000, ge=1, description="attempts to connect at once")
    max_replacements_per_minute: int = Field(
        5, ge=1, le=20, description="a player's connections that take over from one still up, per game"
    )
    messages_per_second: float = Field(50.0, ge=0, description="messages per connection; 0: no limit")
    message_burst: int = Field(200, ge=50, description="messages of a connection at once; a batch counts each")
    bytes_per_second: float = Field(131_072, ge=0, description="payload bytes per connection; 0: no limit")
    bytes_burst: int = Field(524_288, ge=1_024, description="payload bytes of a connection at once")
    control_frames_per_second: float = Field(
        250.0,
        ge=0,
        description="frames per connection that complete no message (ping, pong, parts); over it the client is read"
        " so fast and no faster; 0: no limit",
    )
    control_frame_burst: int = Field(2_000, ge=1, description="such frames of a connection at once")
    max_rate_limited_per_minute: int = Field(
        100, ge=1, description="more refused messages, or pauses in reading control frames, close with 4429"
    )
    rate_limit_retry_s: float = Field(5.0, ge=0, description="who is closed with 4429 is told to come back after this")
    max_message_bytes: int = Field(65_536, ge=1_024, le=16_777_216, description="longest message of a client")
    max_batch: int = Field(50, ge=1, le=1_000, description="messages in one batch")
    max_pending_messages: int = Field(32, ge=1, description="messages of one connection read ahead of handling")
    progress_interval_s: float = Field(
        0.2, ge=0, le=60, description="a player's progress is shown to the others at most so often, the newest; 0: each"
    )
    progress_deliveries_per_second: float = Field(
        10_000.0, ge=0, description="progress sent in one game, counted for each receiver; the rest waits; 0: no limit"
    )
    commands_per_second: float = Field(
        2.0, ge=0, description="ready, submit_code and leave of a player in a game; 0: no limit"
    )
    command_burst: int = Field(20, ge=1, description="such messages of a player at once")
    entries_per_minute: float = Field(
        30.0, ge=0, description="a player's connections to one game; more are refused (429); 0: no limit"
    )
    entry_burst: int = Field(20, ge=1, description="connections of a player to one game at once, one after the other")
    event_deliveries_per_second: float = Field(
        40_000.0,
        ge=0,
        description="what the players of one game cause: two events a message or connection, counted for each"
        " receiver; a game of 1,000 wants more; 0: no limit",
    )
    event_delivery_burst: int = Field(400_000, ge=1, description="the same at once")
    max_invalid_messages_per_minute: int = Field(10, ge=1, description="more of them close the connection (4400)")
    max_players_per_game: int = Field(100, ge=1, le=1_000, description="the most a game's max_players can be")
    max_events_per_game: int = Field(
        50_000,
        ge=160,
        description="events of one game, at least 20 a seat; half of them are anybody's, half in equal shares",
    )
    max_code_bytes_per_player: int = Field(
        1_048_576, ge=1_024, description="code of one player in one game, all submissions together"
    )
    max_comers_per_game: int = Field(
        500, ge=1, description="different players that come to one game over its life; its max_players may"
    )
    max_games_per_player: int = Field(50, ge=1, description="open games a player has made, on this replica")
    limits_dry_run: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description=f"limits that count and log but refuse nothing: all, or some of {', '.join(LIMIT_SCOPES)}"
    )

    listen_backlog: int = Field(
        4_096,
        ge=1,
        description="connections that wait to be accepted; the kernel holds no more than net.core.somaxconn",
    )
    ws_transport: WsTransport = Field(
        WsTransport.LEAN, description="lean: our own; uvicorn: uvicorn's protocol on websockets, slower and larger"
    )
    ws_deflate: bool = Field(False, description="compress messages to and from clients that offer it (RFC 7692)")
    ws_deflate_min_bytes: int = Field(512, ge=0, description="payloads under this are sent as they are")
    outbox_max_bytes: int = Field(1_048_576, ge=4_096, description="unsent bytes per connection before 4430")
    socket_unsent_bytes: int = Field(
        131_072,
        ge=0,
        description="the kernel holds no more per connection, the rest waits in the outbox; 0: its own limit",
    )
    tls_unread_bytes: int = Field(
        32_768,
        ge=16_384,
        description="with TLS_CERT_FILE the kernel, and TLS after it, hold so much per connection that is not read yet",
    )
    outbox_max_age_s: float = Field(15.0, gt=0, description="a durable frame unsent for so long closes with 4430")
    ping_interval_s: float = Field(20.0, gt=0, description="protocol ping to each client")
    ping_timeout_s: float = Field(20.0, gt=0, description="an unanswered ping closes the connection after this")
    idle_timeout_s: float = Field(0.0, ge=0, description="no message for so long closes with 4408; 0: off")
    max_connection_age_s: float = Field(0.0, ge=0, description="connections are renewed after this, ± 10 %; 0: off")
    close_timeout_s: float = Field(5.0, gt=0, description="wait for the client's close frame, then cut")
    handshake_timeout_s: float = Field(10.0, gt=0, description="a request must be whole within this")
    max_header_bytes: int = Field(32_768, ge=4_096, description="request line and headers together")
    max_headers: int = Field(128, ge=16, le=128, description="headers of a request")
    max_body_bytes: int = Field(65_536, ge=1_024, le=16_777_216, description="body of a request, decoded")
    max_chunk_overhead_bytes: int = Field(
        16_384, ge=256, description="chunk sizes, extensions and trailers of a chunked body, together"
    )
    api_requests_per_address_per_second: float = Field(
        50.0, ge=0, description="requests to the HTTP API per client address; 0: no limit; off in development"
    )
    api_request_burst_per_address: int = Field(500, ge=1, description="such requests at once")
    api_requests_per_player_per_second: float = Field(
        10.0, ge=0, description="requests to the HTTP API per player; 0: no limit"
    )
    api_request_burst_per_player: int = Field(50, ge=1, description="such requests at once")
    games_per_address_per_minute: int = Field(
        60, ge=1, description="games made from a client address, and as many at once; off in development"
    )
    http_keep_alive_s: float = Field(5.0, gt=0, description="an HTTP connection that asks nothing more ends after this")
    http_write_timeout_s: float = Field(
        30.0, gt=0, description="an answer must be taken whole within this, or the HTTP connection is cut"
    )
    max_http_connections: int = Field(
        4_096, ge=1, description="open connections that are no WebSockets (yet), on each port; more get 503"
    )
    max_http_connections_per_address: int = Field(
        200, ge=1, description="the same per client address, trusted proxies excepted; off in development"
    )

    metrics_interval_s: float = Field(
        0.1, ge=0, le=5, description="/metrics is rendered at most so often; scrapes that wait share the next rendering"
    )
    overload_lag_s: float = Field(0.5, gt=0, description="event loop lag above which new connections are refused")
    memory_limit_bytes: int = Field(
        0, ge=0, description="memory above which new connections are refused; 0: 85 % of the container's limit, if any"
    )
    memory_shed_bytes: int = Field(
        0, ge=0, description="memory above which the newest connections are ended (1013); 0: never"
    )
    overload_interval_s: float = Field(0.25, gt=0, le=10, description="how often lag and memory are looked at")
    ready_gates: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description=f"states that make /readyz fail too, some of: {', '.join(READY_GATES)}"
    )

    ready_grace_s: float = Field(
        30.0, ge=0, description="where READY_GATES names event_log, /readyz fails once it has been away for so long"
    )

    drain_delay_s: float | None = Field(
        None, ge=0, description="SIGTERM: go on accepting so long; 5 in production, else 0"
    )
    drain_game_wait_s: float | None = Field(
        None, ge=0, description="then let games near their end finish within this; 20 in production, else 0"
    )
    drain_spread_s: float | None = Field(
        None, ge=0, description="then end the connections evenly over this; 15 in production, else 0"
    )
    scrape_wait_s: float | None = Field(
        None, ge=0, description="then wait for a last scrape so long; 15 in production, else 0"
    )
    restart_hint_s: float = Field(2.0, ge=0, description="a lone replica is back so long after it has stopped")

    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least level logged")
    log_format: str = Field("json", pattern="^(json|console)$", description="json, or console for people")
    log_profile: str = Field(
        "otel", pattern="^(otel|ecs|gcp|datadog)$", description="names of the fields: otel, ecs, gcp or datadog"
    )
    log_file: str | None = Field(None, description="logs go there too; logs/app.log in development, else none")
    log_queue_size: int = Field(10_000, ge=10, description="records waiting to be written; more are dropped")
    log_flush_timeout_s: float = Field(3.0, gt=0, description="at the end, what is queued is written for so long")
    log_repeats_per_s: int = Field(20, ge=1, description="lines a second of one kind of refusal; more are only counted")
    max_metric_series: int = Field(
        5_000, ge=1_000, description="series of /metrics; label values of the configuration beyond that are other"
    )
    otel_traces_exporter: str = Field(
        "", pattern="^(otlp|none)?$", description="otlp or none; empty: otlp where an endpoint is set, else none"
    )
    otel_exporter_otlp_endpoint: str = Field("", description="the collector, like http://localhost:4318")
    otel_exporter_otlp_traces_endpoint: str = Field("", description="the same for traces only, with its path")
    otel_exporter_otlp_protocol: str = Field(
        "http/protobuf", pattern="^(http/protobuf|grpc)$", description="http/protobuf or grpc"
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
    slow_message_s: float = Field(0.05, gt=0, description="a message that took longer is traced, sampled or not")
    late_spans_per_s: int = Field(
        5, ge=0, description="spans a second for unsampled messages that failed, were rejected, were slow: of each kind"
    )
    trace_flush_timeout_s: float = Field(3.0, gt=0, description="at the end, spans are sent for so long")
    clock_slew_ppm: float = Field(
        500.0,
        ge=0,
        le=100_000,
        description="where the machine's clock is set, the games' one follows it by so many millionths at most",
    )
    ready_timeout_s: float = Field(10.0, gt=0, description="start-up fails when the event log needs longer")

    @field_validator(
        "cors_allowed_origins", "trusted_proxies", "jwt_algorithms", "operators", "limits_dry_run", "ready_gates",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            ipaddress.ip_network(part)
        return value

    @field_validator("jwt_algorithms")
    @classmethod
    def _asymmetric(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _some_of(value, JWKS_ALGORITHMS)

    @field_validator("limits_dry_run")
    @classmethod
    def _scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return LIMIT_SCOPES if value == ("all",) else _some_of(value, LIMIT_SCOPES)

    @field_validator("ready_gates")
    @classmethod
    def _gates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _some_of(value, READY_GATES)

    @field_validator("jwt_jwks_url")
    @classmethod
    def _fetchable(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("is no http(s) URL")
        return value

    @field_validator("cors_allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_origin(part) for part in value)

    @field_validator("frontend_url", "public_url")
    @classmethod
    def _one_origin(cls, value: str) -> str:
        return _origin(value) if value else value

    @field_validator("otel_exporter_otlp_endpoint", "otel_exporter_otlp_traces_endpoint")
    @classmethod
    def _collector(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("is no URL; write it like http://localhost:4318")
        return value

    @field_validator("event_log_url")
    @classmethod
    def _known_log(cls, value: str) -> str:
        if not _EVENT_LOG_URL.match(value):
            raise ValueError(
                "write memory:, sqlite:///path/to/file.db, or nats://host:4222,nats://host:4222 without a password"
            )
        return value

    @field_validator("jwt_secret", "jwt_previous_secret", "ticket_secret")
    @classmethod
    def _long_secret(cls, value: SecretStr) -> SecretStr:
        length = len(value.get_secret_value().encode())
        if 0 < length < MIN_SECRET_BYTES:
            raise ValueError(
                f"is {length} bytes long, at least {MIN_SECRET_BYTES} are needed; make one: openssl rand -hex 32"
            )
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.jwt_jwks_url and self.jwt_secret.get_secret_value():
            raise ValueError("JWT_JWKS_URL: set it or JWT_SECRET, not both: one kind of token is accepted")
        own = self.ticket_secret.get_secret_value()
        if own and own in {self.jwt_secret.get_secret_value(), self.jwt_previous_secret.get_secret_value()}:
            raise ValueError("TICKET_SECRET: must not be JWT_SECRET, or a ticket would pass as a token")
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            raise ValueError("TLS_CERT_FILE: needs TLS_KEY_FILE, and the other way round")
        if self.nats_tls_cert_file and not self.nats_tls_key_file:
            raise ValueError("NATS_TLS_CERT_FILE: needs NATS_TLS_KEY_FILE")
        if self.message_burst < self.max_batch:
            raise ValueError("MESSAGE_BURST: must be at least MAX_BATCH, or no full batch would ever pass")
        if self.bytes_burst < self.max_message_bytes:
            raise ValueError("BYTES_BURST: must be at least MAX_MESSAGE_BYTES, or no long message would ever pass")
        return self

    @model_validator(mode="after")
    def _production_is_serious(self) -> Self:
        if self.environment is not Environment.PRODUCTION or self.jwt_jwks_url:
            return self
        secret = self.jwt_secret.get_secret_value()
        if not secret:
            raise ValueError("JWT_SECRET: is required in production (or JWT_JWKS_URL); make one: openssl rand -hex 32")
        if any(word in secret.lower() for word in _PLACEHOLDERS) or len(set(secret)) < 8:  # noqa: PLR2004 - a real key of 32 bytes has more letters
            raise ValueError("JWT_SECRET: looks like a placeholder; make a real one: openssl rand -hex 32")
        return self

    @property
    def is_development(self) -> bool:
        """Development conveniences apply: dev secret, localhost origins, guests, no per-address limits."""
        return self.environment is Environment.DEVELOPMENT

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Exact origins that browsers may come from."""
        return frozenset(filter(None, (self.frontend_url, *self.cors_allowed_origins)))

    @property
    def drain(self) -> "DrainPlan":
        """The times of a drain, with the defaults of the environment filled in."""
        defaults = _PATIENT if self.environment is Environment.PRODUCTION else _QUICK
        return DrainPlan(
            delay_s=defaults.delay_s if self.drain_delay_s is None else self.drain_delay_s,
            game_wait_s=defaults.game_wait_s if self.drain_game_wait_s is None else self.drain_game_wait_s,
            spread_s=defaults.spread_s if self.drain_spread_s is None else self.drain_spread_s,
            close_timeout_s=self.close_timeout_s,
            scrape_wait_s=defaults.scrape_wait_s if self.scrape_wait_s is None else self.scrape_wait_s,
            restart_hint_s=self.restart_hint_s,
            flush_timeout_s=self.log_flush_timeout_s + self.trace_flush_timeout_s,
        )

    @property
    def guests_enabled(self) -> bool:
        """Whether anybody may get a guest's token; we can make one only where tokens are signed with a secret."""
        if self.jwt_jwks_url:
            return False
        return self.guests if self.guests is not None else self.environment is not Environment.PRODUCTION

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

    @property
    def log_path(self) -> Path | None:
        """The file logs are copied to, if any."""
        name = self.log_file if self.log_file is not None else ("logs/app.log" if self.is_development else "")
        return Path(name) if name else None


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - values are verified by the model
    """Read and verify the settings.

    Raises:
        SettingsError: at least one value is unusable; all are listed.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [_mistake(item["loc"], item["msg"]) for item in error.errors(include_input=False)]
        raise SettingsError("\n".join(lines)) from None


def _mistake(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{str(location[0]).upper()}: {text}" if location else text


def signing_secret(settings: Settings, dev_file: Path = DEV_SECRET_FILE) -> str:
    """The HS256 key: the configured one, or in development one made once and kept in `dev_file` (mode 0600).

    Raises:
        SettingsError: none is configured outside development, or the file cannot be read or written.
    """
    configured = settings.jwt_secret.get_secret_value()
    if configured:
        return configured
    if settings.environment is Environment.PRODUCTION:
        raise SettingsError("JWT_SECRET: is required in production (or JWT_JWKS_URL)")
    try:
        return _kept_secret(dev_file)
    except OSError as error:
        raise SettingsError(
            f"JWT_SECRET: is not set, and one cannot be kept in {dev_file.absolute()}: {error.strerror};"
            " set it, or make that folder writable, or start in another one"
        ) from None


def _kept_secret(file: Path) -> str:
    """What is in the file; made where there is none. Raises OSError."""
    try:
        return file.read_text("ascii").strip()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(file, "x", encoding="ascii", opener=_private) as new:
            new.write(secrets.token_hex(MIN_SECRET_BYTES))
    except FileExistsError:
        pass  # a process started beside this one made it
    return file.read_text("ascii").strip()


def _private(path: str, flags: int) -> int:
    import os  # noqa: PLC0415 - used here alone

    return os.open(path, flags, 0o600)


def describe(settings: Settings) -> list[tuple[str, str]]:
    """Every setting as (NAME, value), secrets starred."""
    rows = []
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = "******" if value.get_secret_value() else ""
        elif isinstance(value, tuple):
            value = ",".join(value)
        rows.append((name.upper(), "" if value is None else str(value)))
    return rows


def fingerprint(settings: Settings) -> str:
    """A short hash over all settings but secrets: replicas that show different ones are configured differently."""
    rows = "\n".join(f"{name}={value}" for name, value in describe(settings) if name not in _OWN_TO_A_REPLICA)
    return hashlib.sha256(rows.encode()).hexdigest()[:12]
