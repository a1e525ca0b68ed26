"""“Ready” is said to whoever started the service once players can come, and what it waits for until then."""

from pathlib import Path

from tools.harness import fetch
from tools.harness.jwks import IdentityProvider, SigningKey
from tools.harness.nats import Nats
from tools.harness.server import ServerProcess, until


def test_ready_is_said_when_players_can_come(tmp_path: Path) -> None:
    """The event log is away at first: /readyz and the person at the terminal hear the same."""
    nats = Nats(tmp_path / "nats")  # not started yet
    with ServerProcess(tmp_path, event_log_url=nats.url) as server:
        page = f"{server.http_url}/".replace("127.0.0.1", "localhost")
        waits = f"Code Racer listens on {page} and waits for the event log, {nats.url} (Ctrl+C stops it)\n"
        until(lambda: server.stderr == waits)
        assert fetch.get(f"{server.http_url}/readyz").status_code == 503
        with nats:
            until(lambda: server.stderr == f"{waits}Code Racer is ready: {page} (Ctrl+C stops it)\n")
            assert fetch.get(f"{server.http_url}/readyz").status_code == 200
            server.stop()


def test_ready_is_said_when_tokens_can_be_verified(tmp_path: Path) -> None:
    """The identity provider does not answer at first."""
    with IdentityProvider(SigningKey("one", "ES256")) as provider:
        provider.thaw.clear()
        with ServerProcess(tmp_path, event_log_url="memory:", jwt_secret="", jwt_jwks_url=provider.url) as server:
            page = f"{server.http_url}/".replace("127.0.0.1", "localhost")
            waits = f"Code Racer listens on {page} and waits for the signing keys, {provider.url} (Ctrl+C stops it)\n"
            until(lambda: server.stderr == waits)
            provider.thaw.set()
            until(lambda: server.stderr == f"{waits}Code Racer is ready: {page} (Ctrl+C stops it)\n")
