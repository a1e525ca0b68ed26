"""Settings: the only reader of the environment.

Every setting is an environment variable of the same name in capitals, or a line of `.env`. They are read once, frozen,
and verified together: a bad value stops the start with all mistakes listed at once. Each section is a class that
`Settings` inherits, so that names stay flat; a part takes the sections that it needs.
"""

from app.settings.auth import JWKS_ALGORITHMS, AuthSettings
from app.settings.connection import ConnectionSettings
from app.settings.errors import CannotStartError, SettingsError
from app.settings.event_log import EventLogSettings
from app.settings.game import GameSettings
from app.settings.health import READY_GATES, HealthSettings
from app.settings.http import HttpSettings
from app.settings.judge import JudgeSettings
from app.settings.limits import LIMIT_SCOPES, LimitSettings
from app.settings.masking import mask_url
from app.settings.operators import OperatorSettings
from app.settings.root import (
    DOTENV,
    LOG_FOLDER,
    SECRETS,
    Settings,
    describe,
    fingerprint,
    has_secret_files,
    load_settings,
    reread_secrets,
    secret_fingerprints,
)
from app.settings.secret import DEV_SECRET_FILE, signing_secret
from app.settings.section import MIN_SECRET_BYTES
from app.settings.server import ServerSettings
from app.settings.shutdown import DrainPlan, ShutdownSettings
from app.settings.telemetry import TelemetrySettings
from app.settings.workers import MAX_WORKERS, WorkerSettings, number_of_workers

__all__ = [
    "DEV_SECRET_FILE",
    "DOTENV",
    "JWKS_ALGORITHMS",
    "LIMIT_SCOPES",
    "LOG_FOLDER",
    "MAX_WORKERS",
    "MIN_SECRET_BYTES",
    "READY_GATES",
    "SECRETS",
    "AuthSettings",
    "CannotStartError",
    "ConnectionSettings",
    "DrainPlan",
    "EventLogSettings",
    "GameSettings",
    "HealthSettings",
    "HttpSettings",
    "JudgeSettings",
    "LimitSettings",
    "OperatorSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "ShutdownSettings",
    "TelemetrySettings",
    "WorkerSettings",
    "describe",
    "fingerprint",
    "has_secret_files",
    "load_settings",
    "mask_url",
    "number_of_workers",
    "reread_secrets",
    "secret_fingerprints",
    "signing_secret",
]
