"""Images under the names that deploy/compose.yaml asks for, of programs from Debian, PyPI and our own builds.

What they are in truth is told with the record. Of the real images only what the file needs is imitated: the entry
point, the user, and which folders are whose.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.proof.built import Program
from tests.proof.containers import BASE, Engine
from tools.harness.nats import NATS_SERVER
from tools.nats_series import RECORDED

PROGRAMS: Final = "localhost/programs:proof"
_PROMETHEUS: Final = "github.com/prometheus/prometheus"
PROMETHEUS: Final = Program(
    "prometheus", f"{_PROMETHEUS}/cmd/prometheus", _PROMETHEUS, "v0.316.0", tags=("remove_all_sd",)
)
_APT: Final = f"""
FROM {BASE}
RUN apt-get -qq update && apt-get -qq install --yes --no-install-recommends nginx prometheus-alertmanager \\
    && rm /etc/nginx/sites-enabled/default && mkdir /prometheus /alertmanager && chown nobody /prometheus /alertmanager
COPY . /usr/local/bin/
"""
_EXPORTER: Final = """#!/usr/bin/env python3
# What the real exporter answered once, whatever its server does now.
import http.server, pathlib

TEXT = pathlib.Path("/usr/local/bin/exporter.prom").read_bytes()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(TEXT)

http.server.ThreadingHTTPServer(("", 7777), Handler).serve_forever()
"""
_RECEIVER: Final = """#!/usr/bin/env python3
# Who is told of alerts: each is a line.
import http.server, json

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for one in told["alerts"]:
            print(self.headers["Host"], one["status"], one["labels"]["alertname"], flush=True)
        self.send_response(200)
        self.end_headers()

http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""


@dataclass(frozen=True)
class StandIn:
    """What stands for an image: its entry point, whom it runs as, and where its program is from."""

    entry: str
    origin: str
    user: str = "root"


STAND_INS: Final = {
    "nats": StandIn('["nats-server"]', "PyPI"),
    "nginx": StandIn("[]", "Debian"),
    "prom/prometheus": StandIn('["prometheus"]', "built here", "nobody"),
    "prom/alertmanager": StandIn('["prometheus-alertmanager"]', "Debian", "nobody"),
    "natsio/prometheus-nats-exporter": StandIn('["exporter"]', "a recording of the real one's answer"),
    "otel/opentelemetry-collector-contrib": StandIn('["otelcol"]', "built here", "10001:10001"),
}
"""By the name of the image."""


def make(engine: Engine, images: set[str], programs: Mapping[str, Path]) -> None:
    """Make an image of each name with its tag, with `programs` in it; KeyError for one that nothing stands for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for called, file in {**programs, "nats-server": NATS_SERVER, "exporter.prom": RECORDED}.items():
            shutil.copy(file, folder / called)
        for called, text in {"exporter": _EXPORTER, "receiver": _RECEIVER}.items():
            (folder / called).write_text(text)
            (folder / called).chmod(0o755)
        _build(engine, folder, _APT, PROGRAMS)
        for image in sorted(images):
            one = STAND_INS[image.rpartition(":")[0]]
            command = '["nginx", "-g", "daemon off;"]' if one.entry == "[]" else "[]"
            text = f"FROM {PROGRAMS}\nENTRYPOINT {one.entry}\nCMD {command}\nUSER {one.user}\n"
            qualified = image if "/" in image else f"library/{image}"
            _build(engine, folder, text, f"docker.io/{qualified}")


def _build(engine: Engine, folder: Path, text: str, tag: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".Dockerfile") as file:
        file.write(text)
        file.flush()
        engine.build(Path(file.name), tag, folder)
