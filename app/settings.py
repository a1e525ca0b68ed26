"""Settings: the only reader of the environment.

Every setting is an environment variable of the same name in capitals, or a line of `.env`. They are read
once, frozen, and verified together: a bad value stops the start with all mistakes listed at once.
"""

import re
import secrets
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIN_SECRET_BYTES: Final = 32
DEV_SECRET_FILE: Final = Path("var/dev-secret")
_EVENT_LOG_URL: Final = re.compile(r"^(memory:|sqlite:///.+)$")
_PLACEHOLDERS: Final = ("change", "example", "secret-here", "your_")


class Environment(StrEnum):
    """Where the service runs."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TEST = "test"


class SettingsError(Exception):
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


class Settings(BaseSettings):
    """All settings. Times carry their unit in the name; limits are per replica unless they say otherwise."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    environment: Environment = Field(Environment.DEVELOPMENT, description="development, production or test")
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    replica: str = Field("", max_length=64, description="name of this replica; the host name by default")
    public_url: str = Field("", description="how clients reach the service, e.g. https://race.example.org")

    frontend_url: str = Field("", description="origin of the front end, e.g. https://yourdomain.com")
    cors_allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="further allowed origins, comma-separated"
    )

    jwt_secret: SecretStr = Field(
        SecretStr(""),
        description=f"HS256 key, at least {MIN_SECRET_BYTES} bytes; made for you in development",
    )
    jwt_issuer: str = Field("", description="required `iss` of tokens; empty: not checked")
    jwt_audience: str = Field("", description="required `aud` of tokens; empty: not checked")
    jwt_leeway_s: float = Field(5.0, ge=0, le=300, description="clock skew allowed in `exp` and `nbf`")
    guests: bool | None = Field(None, description="POST /api/guests; on in development, off in production")
    guest_token_ttl_s: int = Field(14_400, ge=60, le=604_800, description="life of a guest's token")
    guests_per_address_per_minute: int = Field(20, ge=1, description="guest tokens per address")

    event_log_url: str = Field(
        "sqlite:///var/code-racer.db",
        description="memory: or sqlite:///path (relative; four slashes: absolute)",
    )
    finished_game_retention_s: float = Field(86_400, ge=1, description="a game's log is removed so long after its end")
    sweep_interval_s: float = Field(5.0, gt=0, description="how often retention and stuck judging are looked at")

    waiting_game_ttl_s: float = Field(3_600, ge=1, description="a game that never starts expires after this")
    countdown_s: float = Field(3.0, ge=0, le=60, description="from all ready to the start")
    reconnect_grace_s: float = Field(30.0, ge=0, description="a lost player stays in the game so long")
    judge_grace_s: float = Field(30.0, ge=0, description="how long a game's end waits for the judge")
    finished_linger_s: float = Field(60.0, ge=0, description="connections stay open so long after the end")

    judge_processes: int = Field(2, ge=1, le=64, description="sandbox worker processes")
    judge_time_limit_s: float = Field(2.0, gt=0, le=60, description="per submission, all tests together")
    judge_memory_bytes: int = Field(64_000_000, ge=1_000_000, description="per submission")
    judge_queue_size: int = Field(256, ge=1, description="submissions waiting for a worker")
    judge_retries: int = Field(3, ge=0, le=100, description="tries again after a fault of the judge")
    judge_retry_delay_s: float = Field(0.5, gt=0, description="pause before such a try, doubled each time")

    max_message_bytes: int = Field(65_536, ge=1_024, le=16_777_216, description="longest message of a client")
    max_pending_messages: int = Field(32, ge=1, description="messages of one connection read ahead of handling")
    max_invalid_messages_per_minute: int = Field(10, ge=1, description="more of them close the connection (4400)")
    outbox_max_bytes: int = Field(1_048_576, ge=4_096, description="unsent bytes per connection before 4430")
    ping_interval_s: float = Field(20.0, gt=0, description="protocol ping to each client")
    ping_timeout_s: float = Field(20.0, gt=0, description="an unanswered ping closes the connection after this")
    close_timeout_s: float = Field(5.0, gt=0, description="wait for the client's close frame, then cut")
    shutdown_timeout_s: float = Field(10.0, gt=0, description="SIGTERM: wait so long for connections to end")
    restart_hint_s: float = Field(2.0, ge=0, description="clients are told to come back this long after a restart")

    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least level logged")
    log_format: str = Field("json", pattern="^(json|console)$", description="json, or console for people")
    log_file: str | None = Field(None, description="logs go there too; logs/app.log in development, else none")
    log_queue_size: int = Field(10_000, ge=10, description="records waiting to be written; more are dropped")
    ready_timeout_s: float = Field(10.0, gt=0, description="start-up fails when the event log needs longer")

    @field_validator("cors_allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("cors_allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_origin(part) for part in value)

    @field_validator("frontend_url", "public_url")
    @classmethod
    def _one_origin(cls, value: str) -> str:
        return _origin(value) if value else value

    @field_validator("event_log_url")
    @classmethod
    def _known_log(cls, value: str) -> str:
        if not _EVENT_LOG_URL.match(value):
            raise ValueError("write memory: or sqlite:///path/to/file.db")
        return value

    @field_validator("jwt_secret")
    @classmethod
    def _long_secret(cls, value: SecretStr) -> SecretStr:
        length = len(value.get_secret_value().encode())
        if 0 < length < MIN_SECRET_BYTES:
            raise ValueError(
                f"is {length} bytes long, at least {MIN_SECRET_BYTES} are needed; make one: openssl rand -hex 32"
            )
        return value

    @model_validator(mode="after")
    def _production_is_serious(self) -> Self:
        secret = self.jwt_secret.get_secret_value()
        if self.environment is not Environment.PRODUCTION:
            return self
        if not secret:
            raise ValueError("JWT_SECRET: is required in production; make one: openssl rand -hex 32")
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
    def guests_enabled(self) -> bool:
        """Whether anybody may get a guest's token."""
        return self.guests if self.guests is not None else self.environment is not Environment.PRODUCTION

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
        SettingsError: none is configured outside development.
    """
    configured = settings.jwt_secret.get_secret_value()
    if configured:
        return configured
    if settings.environment is Environment.PRODUCTION:
        raise SettingsError("JWT_SECRET: is required in production")
    try:
        return dev_file.read_text("ascii").strip()
    except FileNotFoundError:
        dev_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(dev_file, "x", encoding="ascii", opener=_private) as file:
            file.write(secrets.token_hex(MIN_SECRET_BYTES))
    except FileExistsError:
        pass  # a process started beside this one made it
    return dev_file.read_text("ascii").strip()


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
