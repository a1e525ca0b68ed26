"""What several workers need of the settings, told before any is started; and what a reload cannot change."""

from typing import Final

from app.settings import CannotStartError, ServerSettings, Settings
from app.vocabulary import Environment

_OF_THE_SUPERVISOR: Final = ("workers", "web_concurrency", "host", "port", "ops_port", "event_log_url", "tls_cert_file")
"""Workers that are replaced in turn cannot differ in them, or inherit what was made of them."""


def require_supervisable(settings: ServerSettings, count: int, asked: str) -> None:
    """Look whether `count` workers, which `asked` says, can serve with these settings. Raises CannotStartError."""
    if settings.tls_cert_file:
        raise CannotStartError(
            f"{asked}: a connection goes to the worker that has its game, and with TLS_CERT_FILE that is known too"
            " late; end TLS in a proxy in front (deploy/nginx/one-machine.conf) and leave TLS_CERT_FILE unset, or have"
            " one process (--workers 1)"
        )
    if settings.environment is Environment.PRODUCTION and settings.ops_port is None:
        raise CannotStartError(
            f"{asked}: probes and metrics on PORT would be those of one worker or another; set OPS_PORT: that is the"
            " supervisor's, and the ports behind it are the workers'; or have one process (--workers 1)"
        )
    first = settings.ops_port
    if first and first < settings.port <= first + count:
        raise CannotStartError(
            f"{asked}: PORT {settings.port} is among the {count} ports behind OPS_PORT {first}, which are the workers';"
            " set another OPS_PORT"
        )


def require_replaceable(running: Settings, fresh: Settings) -> None:
    """Look whether workers of `fresh` settings can follow those that run. Raises CannotStartError."""
    for name in _OF_THE_SUPERVISOR:
        if getattr(fresh, name) != getattr(running, name):
            raise CannotStartError(
                f"{name.upper()}: cannot change while workers are replaced in turn; start the service again"
            )
