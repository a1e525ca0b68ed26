"""An identity provider: a small real HTTP server with a key set that a test changes, breaks or freezes."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

ALGORITHMS = ("RS256", "ES256", "EdDSA")


class SigningKey:
    """A private key with an id."""

    def __init__(self, key_id: str, algorithm: str) -> None:
        self.key_id = key_id
        self.algorithm = algorithm
        self._private: Any = {
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }[algorithm]()

    @property
    def public(self) -> dict[str, Any]:
        """The public part, as a member of a key set (RFC 7517)."""
        document = json.loads(get_default_algorithms()[self.algorithm].to_jwk(self._private.public_key()))
        return {**document, "kid": self.key_id, "use": "sig", "alg": self.algorithm}

    def token(self, player_id: str, *, named: bool = True, **claims: Any) -> str:
        """A token signed with this key, which it names or not."""
        good = {"sub": player_id, "exp": time.time() + 600}
        headers = {"kid": self.key_id} if named else {}
        return jwt.encode(good | claims, self._private, algorithm=self.algorithm, headers=headers)


class IdentityProvider:
    """Serves the key set of `keys`; `broken` answers 500, nothing is answered before the `thaw`; `instead` answers."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = list(keys)
        self.broken = False
        self.instead: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.asked = 0
        self.thaw = threading.Event()
        self.thaw.set()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                provider.thaw.wait(60)
                if provider.instead is not None:
                    provider.instead(self)
                    return
                body = json.dumps({"keys": [key.public for key in provider.keys]}).encode()
                self.send_response(500 if provider.broken else 200)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/keys.json"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.thaw.set()
        self._server.shutdown()
        self._server.server_close()
