"""The files that connections to NATS are made with: certificates, and who connects."""

import re
import ssl
from pathlib import Path
from typing import Final

import nkeys

from app.settings import EventLogSettings, SettingsError

_CREDENTIALS: Final = re.compile(
    rb"BEGIN NATS USER JWT-+\s+\S+\s+-+END NATS USER JWT.*BEGIN USER NKEY SEED-+\s+(\S+)", re.DOTALL
)
_HOLDS: Final = {
    "NATS_CREDENTIALS_FILE": "it is the .creds file that `nsc generate creds` writes",
    "NATS_NKEY_SEED_FILE": "it has the one line SU… that `nk -gen user` writes",
}
"""What a file has to be, and where it comes from."""


def tls_context(settings: EventLogSettings) -> ssl.SSLContext | None:
    """Make the TLS context that checks the servers' certificates and shows ours; None if nothing is set.

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
        raise SettingsError(
            f"NATS_TLS_CA_FILE: it, NATS_TLS_CERT_FILE or its key cannot be used: {error};"
            " all are PEM, and the certificate and the key of one pair"
        ) from None
    return context


def require_identity(settings: EventLogSettings) -> None:
    """Check that the files of the client certificate hold one. Raises SettingsError."""
    if settings.nats_credentials_file:
        text = _read("NATS_CREDENTIALS_FILE", settings.nats_credentials_file)
        found = _CREDENTIALS.search(text)
        _require_seed("NATS_CREDENTIALS_FILE", settings.nats_credentials_file, found[1] if found else b"")
    if settings.nats_nkey_seed_file:
        text = _read("NATS_NKEY_SEED_FILE", settings.nats_nkey_seed_file)
        _require_seed("NATS_NKEY_SEED_FILE", settings.nats_nkey_seed_file, text.strip())


def nkey_seed(settings: EventLogSettings) -> str | None:
    """Return the seed of NATS_NKEY_SEED_FILE, read anew as the file may be another by now. Raises OSError."""
    file = settings.nats_nkey_seed_file
    return Path(file).read_text("ascii", "replace").strip() if file else None


def _read(name: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: cannot read {file}: {error.strerror}; {_HOLDS[name]}") from None


def _require_seed(name: str, file: str, seed: bytes) -> None:
    try:
        nkeys.from_seed(seed)
    except (nkeys.NkeysError, ValueError):
        raise SettingsError(f"{name}: {file} holds no seed of a user; {_HOLDS[name]}") from None
