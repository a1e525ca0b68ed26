"""All settings in one, and how they are read and shown."""

import hashlib
import hmac
from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.settings.auth import KEPT_IN_FILES, AuthSettings
from app.settings.connection import ConnectionSettings
from app.settings.errors import SettingsError
from app.settings.event_log import EventLogSettings
from app.settings.game import GameSettings
from app.settings.health import HealthSettings
from app.settings.http import HttpSettings
from app.settings.judge import JudgeSettings
from app.settings.limits import LimitSettings
from app.settings.masking import MASK, mask_url
from app.settings.operators import OperatorSettings
from app.settings.server import ServerSettings
from app.settings.shutdown import PATIENT, QUICK, DrainPlan, ShutdownSettings
from app.settings.telemetry import TelemetrySettings
from app.settings.workers import WorkerSettings
from app.vocabulary import Environment

DOTENV: Final = Path(".env")
LOG_FOLDER: Final = Path("logs")
"""The one folder for logs that is made where it is not there."""
_NO_CONFIGURATION: Final = {"REPLICA", "HOST", "PORT", "OPS_PORT", "OPS_ADDRESS", "REVISION"}
"""What is a replica's own, or its build's."""
_SIGNED: Final = b"code-racer: which secret is this?"
_PLACEHOLDERS: Final = ("change", "example", "secret-here", "your_")


class Settings(  # the last section is documented first
    TelemetrySettings,
    ShutdownSettings,
    HealthSettings,
    HttpSettings,
    ConnectionSettings,
    LimitSettings,
    JudgeSettings,
    GameSettings,
    EventLogSettings,
    OperatorSettings,
    AuthSettings,
    WorkerSettings,
    ServerSettings,
    BaseSettings,
):
    """All settings. Times carry their unit in the name; limits are per replica unless they say otherwise."""

    model_config = SettingsConfigDict(env_file=DOTENV, env_file_encoding="utf-8", extra="ignore", frozen=True)

    clock_slew_ppm: float = Field(
        500.0,
        ge=0,
        le=100_000,
        description="where the machine's clock is set, the games' one follows it by so many millionths at most",
    )

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
    def drain(self) -> DrainPlan:
        """The times of a drain, with the defaults of the environment filled in."""
        defaults = PATIENT if self.environment is Environment.PRODUCTION else QUICK
        return DrainPlan(
            delay_s=defaults.delay_s if self.drain_delay_s is None else self.drain_delay_s,
            game_wait_s=defaults.game_wait_s if self.drain_game_wait_s is None else self.drain_game_wait_s,
            spread_s=defaults.spread_s if self.drain_spread_s is None else self.drain_spread_s,
            close_timeout_s=self.close_timeout_s,
            scrape_wait_s=defaults.scrape_wait_s if self.scrape_wait_s is None else self.scrape_wait_s,
            leave_timeout_s=self.leave_timeout_s,
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
    def log_path(self) -> Path | None:
        """The file logs are copied to, if any."""
        name = (
            self.log_file if self.log_file is not None else (str(LOG_FOLDER / "app.log") if self.is_development else "")
        )
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


def has_secret_files(settings: Settings) -> bool:
    """Return whether there are files of secrets, or of who connects to NATS, to be read anew."""
    names = (*(f"{name}_file" for name in KEPT_IN_FILES), "nats_credentials_file", "nats_nkey_seed_file")
    return any(getattr(settings, name) for name in names)


def reread_secrets(settings: Settings) -> Settings:
    """Read the files again that secrets are in; return the settings with those, and all else as it was.

    Raises:
        SettingsError: a file cannot be read, or holds no key that could be used.
    """
    of_files = {name for name in KEPT_IN_FILES if getattr(settings, f"{name}_file")}
    return load_settings(**settings.model_dump(exclude=of_files))


def _mistake(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    if not location:
        return text
    field = Settings.model_fields.get(str(location[0]))
    if text != message or field is None:  # one of ours says what to do
        return f"{str(location[0]).upper()}: {text}"
    default = field.get_default(call_default_factory=True)
    return f"{str(location[0]).upper()}: {text}; the default is {default}: {field.description}"


def describe(settings: Settings) -> list[tuple[str, str]]:
    """List every setting as (NAME, value), with secrets masked, those in URLs too."""
    rows = []
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = MASK if value.get_secret_value() else ""
        elif isinstance(value, tuple):
            value = ",".join(map(mask_url, value))
        elif isinstance(value, str):
            value = mask_url(value)
        rows.append((name.upper(), "" if value is None else str(value)))
    return rows


SECRETS: Final = tuple(name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr)
"""The settings that are secrets."""


def secret_fingerprints(settings: Settings) -> dict[str, str]:
    """Tell secrets apart by NAME, without telling them: two replicas that show the same have the same; `none`: unset.

    Each is the key of its own fingerprint, of 16 bits alone: whoever tries guesses finds one in 65,536 to fit.
    """
    keys = {name: getattr(settings, name.lower()).get_secret_value().encode() for name in SECRETS}
    return {name: hmac.new(key, _SIGNED, "sha256").hexdigest()[:4] if key else "none" for name, key in keys.items()}


def fingerprint(settings: Settings) -> str:
    """Return a short hash over all settings but secrets: it differs where replicas are configured differently."""
    rows = "\n".join(f"{name}={value}" for name, value in describe(settings) if name not in _NO_CONFIGURATION)
    return hashlib.sha256(rows.encode()).hexdigest()[:12]
