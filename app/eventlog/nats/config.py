"""What the NATS backend needs to know."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NatsConfig:
    """See the settings of the same names; a `max_bytes` of 0 is no limit. Secrets are never shown."""

    servers: tuple[str, ...]
    replica: str
    stream: str = "CODE_RACER"
    replicas: int = 1
    max_bytes: int = 0
    append_timeout_s: float = 5.0
    connect_timeout_s: float = 5.0
    max_pending_appends: int = 1_000
    credentials_file: str = ""
    nkey_seed_file: str = ""
    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None

    @property
    def state_stream(self) -> str:
        """The stream of what is kept beside the games' logs: which are open, claims, replicas."""
        return f"{self.stream}_STATE"


def tls_context(ca_file: str, cert_file: str, key_file: str) -> ssl.SSLContext | None:
    """How the servers' certificates are checked and which one is shown to them; None where nothing is set.

    Raises:
        OSError: a file cannot be read, or holds no certificate or key (`ssl.SSLError`).
    """
    if not (ca_file or cert_file):
        return None
    context = ssl.create_default_context(cafile=ca_file or None)
    if cert_file:
        context.load_cert_chain(cert_file, key_file or None)
    return context
