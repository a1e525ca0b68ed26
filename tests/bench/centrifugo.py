"""Centrifugo beside the service, on the same load: a peer of `make bench` where Go is, built from its module.

Its protocol has other words for the same: a connection gives its token in its first message and is put into the room
that the token names; a message with an answer is a publication into a channel that nobody reads; progress is one into
the room. Whoever sends it is no reader of it, as with the service, where nobody is told of their own.
"""

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import jwt

from tests.bench.contestants import Contestant, player_id
from tests.proof.built import NotBuiltError, Program, built, built_before
from tools.harness import fetch
from tools.harness.server import SECRET, free_port, until
from tools.harness.wire import upgrade

_MODULE: Final = "github.com/centrifugal/centrifugo/v6"
PROGRAM: Final = Program("centrifugo", _MODULE, _MODULE, "v6.9.1")
NOBODYS: Final = "game:nobody"
TOKEN_LIFE_S: Final = 7_200


def is_measured(*, build: bool) -> bool:
    """Whether its program is here; it is built where that is asked for and can be, and a line says why it cannot."""
    if not build:
        return built_before(PROGRAM) is not None
    try:
        built(PROGRAM)
    except NotBuiltError as error:
        print(f"centrifugo is not measured: {error}", flush=True)
        return False
    return True


def configuration(port: int, ping_interval: str) -> str:
    """Its defaults, but that clients may publish, and how often it pings."""
    return json.dumps(
        {
            "client": {
                "token": {"hmac_secret_key": SECRET},
                "allowed_origins": ["*"],
                "ping_interval": ping_interval,
                "pong_timeout": "500ms",
            },
            "channel": {"namespaces": [{"name": "game", "allow_publish_for_client": True}]},
            "http_server": {"address": "127.0.0.1", "port": str(port)},
            "prometheus": {"enabled": True},
        }
    )


@dataclass
class Centrifugo(Contestant):
    """A server of it, with its metrics on."""

    name: str = "centrifugo"
    ping_interval: str = "3600s"
    """Its pings are messages of its protocol, which the load does not answer."""

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="centrifugo-")
        folder = Path(self._folder.name)
        self.port = free_port()
        (folder / "config.json").write_text(configuration(self.port, self.ping_interval))
        self._process = subprocess.Popen(
            (built(PROGRAM), "-c", "config.json"), cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        self.pid = self._process.pid
        until(self._serves)

    def _serves(self) -> bool:
        try:
            return self.metrics().startswith("# HELP")
        except httpx.ConnectError:
            return False

    def metrics(self) -> str:
        """What it tells Prometheus."""
        return fetch.get(f"http://127.0.0.1:{self.port}/metrics").text

    def stop(self) -> None:
        """See `Contestant.stop`."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def requests(self, count: int, room: int) -> list[bytes]:
        """All alike; who they are is in their first messages, one a line of a file that the load generator reads."""
        hellos = Path(self._folder.name) / "hellos"
        hellos.write_text("".join(f"{hello(number, room)}\n" for number in range(count)))
        self.hello = f"@{hellos}"
        return [upgrade("/connection/websocket")] * count

    def message(self, type: str, data: object) -> str:
        """A publication: of progress to the room with who it is of, as the service adds it; anything else to nobody."""
        told = {"type": f"player_{type}", "data": {"player_id": player_id(0), **dict(data)}}  # type: ignore[call-overload] # an object
        channel = "game:0" if type == "progress" else NOBODYS
        return json.dumps({"id": 2, "publish": {"channel": channel, "data": told}}, separators=(",", ":"))

    def prefix(self, type: str) -> str:
        """Of the acknowledgement, or of what the room is told."""
        return '{"id":2,"publish"' if type == "pong" else '{"push"'


def hello(number: int, room: int) -> str:
    """The first message of a player; the first of a room does not read it."""
    channels: dict[str, object] = {f"game:{number // room}": {}} if number % room or room == 1 else {}
    claims = {"sub": player_id(number), "exp": int(time.time()) + TOKEN_LIFE_S, "subs": channels}
    return json.dumps({"id": 1, "connect": {"token": jwt.encode(claims, SECRET)}}, separators=(",", ":"))
