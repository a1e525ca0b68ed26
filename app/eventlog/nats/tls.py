"""The files that connections to NATS are made with: certificates, and who connects."""

import re
import ssl
from pathlib import Path
from typing import Final, NamedTuple

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


class NatsUser(NamedTuple):
    """Who connects, as the files say: the text of a .creds file, the seed of an NKey; empty where there is none."""

    credentials: str = ""
    nkey_seed: str = ""


def read_user(settings: EventLogSettings) -> NatsUser:
    """Read the files that say who connects. Raises SettingsError where one does not hold it."""
    credentials = nkey_seed = b""
    if settings.nats_credentials_file:
        credentials = _read("NATS_CREDENTIALS_FILE", settings.nats_credentials_file)
        found = _CREDENTIALS.search(credentials)
        _require_seed("NATS_CREDENTIALS_FILE", settings.nats_credentials_file, found[1] if found else b"")
    if settings.nats_nkey_seed_file:
        nkey_seed = _read("NATS_NKEY_SEED_FILE", settings.nats_nkey_seed_file).strip()
        _require_seed("NATS_NKEY_SEED_FILE", settings.nats_nkey_seed_file, nkey_seed)
    return NatsUser(credentials.decode("utf-8", "replace"), nkey_seed.decode("ascii", "replace"))


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
