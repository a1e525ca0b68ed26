"""The key that tokens are signed with."""

import os
import secrets
from pathlib import Path
from typing import Final

from app.settings.auth import AuthSettings
from app.settings.errors import SettingsError
from app.settings.section import MIN_SECRET_BYTES
from app.vocabulary import Environment

DEV_SECRET_FILE: Final = Path("var/dev-secret")


def signing_secret(settings: AuthSettings, environment: Environment, dev_file: Path = DEV_SECRET_FILE) -> str:
    """Return the HS256 key: the configured one, or in development one made once and kept in `dev_file` (mode 0600).

    Raises:
        SettingsError: none is configured outside development, or the file cannot be read or written, or holds none.
    """
    configured = settings.jwt_secret.get_secret_value()
    if configured:
        return configured
    if environment is Environment.PRODUCTION:
        raise SettingsError("JWT_SECRET: is required in production (or JWT_JWKS_URL)")
    try:
        kept = _kept_secret(dev_file)
    except OSError as error:
        raise SettingsError(
            f"JWT_SECRET: is not set, and one cannot be kept in {dev_file.absolute()}: {error.strerror};"
            " set it, or make that folder writable, or start in another one"
        ) from None
    if len(kept) < MIN_SECRET_BYTES:
        raise SettingsError(f"JWT_SECRET: is not set, and {dev_file.absolute()} holds no secret; remove that file")
    return kept


def _kept_secret(file: Path) -> str:
    """Read the file, and make it if there is none. Raises OSError."""
    try:
        return file.read_text("ascii", "ignore").strip()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(file, "x", encoding="ascii", opener=_private) as new:
            new.write(secrets.token_hex(MIN_SECRET_BYTES))
    except FileExistsError:
        pass  # a process started beside this one made it
    return file.read_text("ascii", "ignore").strip()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
