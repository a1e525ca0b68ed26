"""The files that connections to NATS are made with: certificates, and who connects."""

import ssl
from pathlib import Path

from app.settings import EventLogSettings, SettingsError


def tls_context(settings: EventLogSettings) -> ssl.SSLContext | None:
    """How the servers' certificates are checked and which one is shown to them; None where nothing is set.

    Raises:
        SettingsError: a file cannot be read, or holds no certificate or key.
    """
    if not (settings.nats_tls_ca_file or settings.nats_tls_cert_file):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.nats_tls_ca_file or None)
        if settings.nats_tls_cert_file:
            context.load_cert_chain(settings.nats_tls_cert_file, settings.nats_tls_key_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(f"NATS_TLS_CA_FILE: it, NATS_TLS_CERT_FILE or its key cannot be used: {error}") from None
    return context


def require_identity(settings: EventLogSettings) -> None:
    """The files that say who connects must be readable. Raises SettingsError."""
    _require_readable("NATS_CREDENTIALS_FILE", settings.nats_credentials_file)
    _require_readable("NATS_NKEY_SEED_FILE", settings.nats_nkey_seed_file)


def _require_readable(name: str, file: str) -> None:
    try:
        if file:
            Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {file}: {error.strerror}") from None
