"""What stands around the attacked server: nothing, the shipped nginx, or an identity provider of the attacker's."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

from tests.attack.model import Attack, Place
from tools.harness.jwks import SigningKey
from tools.harness.nginx import Site
from tools.harness.server import ServerProcess
from tools.harness.tokens import token

HUGE_BYTES: Final = 300 * 2**20
NESTED: Final = 100_000
DRIPS: Final = 60


class Scene:
    """Nothing stands around it."""

    def __init__(self, folder: Path, sink_port: int, code: Path) -> None:
        self.folder = folder
        self.code = code
        self.sink_port = sink_port
        self.settings: dict[str, object] = {}
        self.data: dict[str, Any] = {}
        self._stack = contextlib.ExitStack()

    def token(self, name: str) -> str:
        """A player's token."""
        return token(name)

    def port(self, server: ServerProcess) -> int:
        """Where the attack's bytes go."""
        return int(server.settings["PORT"])

    def logs(self) -> str:
        """What the others have written into their logs."""
        return ""

    def close(self) -> None:
        """All that stood there goes."""
        self._stack.close()


class OpsScene(Scene):
    """Probes and metrics have a port of their own, which is attacked."""

    def __init__(self, folder: Path, sink_port: int, code: Path) -> None:
        super().__init__(folder, sink_port, code)
        self.settings = {"ops_port": 0}

    def port(self, server: ServerProcess) -> int:
        """That port."""
        return int(server.logged("app.started")[-1]["ops_port"])


class _SiteOf(Site):
    """The site of a checkout."""

    def __init__(self, code: Path, folder: Path, replica: str, changes: dict[str, str]) -> None:
        self.code = code
        super().__init__(folder, [replica], **changes)


class NginxScene(Scene):
    """The shipped site in front of it, and another in front of the sink; without TLS, which is nginx's own matter."""

    def __init__(self, folder: Path, sink_port: int, code: Path) -> None:
        super().__init__(folder, sink_port, code)
        self.settings = {"trusted_proxies": "127.0.0.1"}
        self.sink_port = self._site("sink", f"127.0.0.1:{sink_port}").port
        self._front: Site | None = None

    def _site(self, name: str, replica: str) -> Site:
        text = (self.code / "deploy/nginx/code-racer.conf").read_text("utf-8")
        with_tls = next(line for line in text.splitlines() if "listen 443" in line).partition("443")[2]
        return self._stack.enter_context(_SiteOf(self.code, self.folder / name, replica, {with_tls: ";"}))

    def port(self, server: ServerProcess) -> int:
        """Nginx's."""
        if self._front is None:
            self._front = self._site("nginx", server.host)
        return self._front.port

    def logs(self) -> str:
        """Access log and error log."""
        return "".join(one.read_text() for one in (self.folder / "nginx").glob("*.log"))


class JwksScene(Scene):
    """An identity provider whose answer the attacker chooses: ``/mode/NAME`` says which it gives from then on."""

    def __init__(self, folder: Path, sink_port: int, code: Path) -> None:
        super().__init__(folder, sink_port, code)
        self._key, later = SigningKey("first", "EdDSA"), SigningKey("second", "EdDSA")
        self._provider = HostileProvider(self._key, later)
        self._stack.enter_context(self._provider)
        self.settings = {
            "jwt_secret": "", "jwt_jwks_url": self._provider.url, "jwks_refresh_s": 1, "jwks_cooldown_s": 0.2,
            "jwks_timeout_s": 1,
        }  # fmt: skip
        self.data = {"provider": self._provider.port, "later": later.token("later"), "unknown": self._unknown()}

    def _unknown(self) -> list[str]:
        return [SigningKey(f"unknown-{number}", "EdDSA").token("nobody") for number in range(50)]

    def token(self, name: str) -> str:
        """Signed by the provider."""
        return self._key.token(name)


class HostileProvider:
    """See `JwksScene`."""

    def __init__(self, key: SigningKey, later: SigningKey) -> None:
        self.mode = "good"
        good = json.dumps({"keys": [key.public]}).encode()
        both = json.dumps({"keys": [key.public, later.public]}).encode()
        whole: dict[str, Callable[[], Iterator[bytes]]] = {
            "good": lambda: iter((good,)),
            "rotated": lambda: iter((both,)),
            "nested": lambda: iter((b'{"keys":' + b"[" * NESTED + b"]" * NESTED + b"}",)),
            "huge": _huge,
            "drip": _drip,
        }
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/mode/"):
                    provider.mode = self.path.removeprefix("/mode/")
                    pieces: Iterator[bytes] = iter((b"{}",))
                else:
                    pieces = whole[provider.mode]()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for piece in pieces:
                        self.wfile.write(piece)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/keys.json"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.socket.close()


def _huge() -> Iterator[bytes]:
    yield b'{"keys":[],"x":"'
    for _ in range(HUGE_BYTES // 2**20):
        yield b"x" * 2**20
    yield b'"}'


def _drip() -> Iterator[bytes]:
    for _ in range(DRIPS):
        yield b" "
        time.sleep(0.1)


_SCENES: Final[dict[Place, type[Scene]]] = {
    Place.MAIN: Scene,
    Place.OPS: OpsScene,
    Place.NGINX: NginxScene,
    Place.JWKS: JwksScene,
}


@contextlib.contextmanager
def scene(attack: Attack, folder: Path, sink_port: int, code: Path) -> Iterator[Scene]:
    """What an attack needs around the server, while in the block."""
    with contextlib.closing(_SCENES[attack.place](folder, sink_port, code)) as one:
        yield one
