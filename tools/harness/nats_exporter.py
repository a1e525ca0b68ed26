"""An exporter beside a server of NATS: the real one where it is installed, else a stand-in, which says so.

The real one (nats-io/prometheus-nats-exporter) is no package of Debian, nor of a registry that the set-up uses. What it
answered beside real servers is recorded (tools/nats_exporter.prom); the stand-in tells only series recorded there, with
the values that the server beside it has now (`/varz`, `/healthz`, `/jsz`). Like the real one it goes on telling what
`/varz` last was when its server does not answer.
"""

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from tools.harness import fetch
from tools.harness.nats import Node
from tools.harness.server import ROOT, free_port, until
from tools.nats_series import RECORDED, labels_by_name

REAL: Final = "prometheus-nats-exporter"
OPTIONS: Final = ("-varz", "-healthz", "-connz", "-jsz=all", "-prefix=nats", "-use_internal_server_name")
"""As the shipped deployments start it."""
_TIMEOUT_S: Final = 2.0
_STATE: Final = {
    "total_messages": "messages", "total_bytes": "bytes", "first_seq": "first_seq", "last_seq": "last_seq",
    "consumer_count": "consumer_count", "subject_count": "num_subjects",
}  # fmt: skip


def shipped_relabelling() -> list[dict[str, Any]]:
    """Return what the shipped scrape job does to the series: NATS has a label `cluster` of its own."""
    jobs = yaml.safe_load((ROOT / "deploy/compose/prometheus.yaml").read_text())["scrape_configs"]
    (job,) = (one for one in jobs if one["job_name"] == "code-racer-nats")
    return list(job["metric_relabel_configs"])


@contextlib.contextmanager
def exporter(node: Node, folder: Path) -> Iterator[str]:
    """Start one beside a server that runs; host and port of its metrics."""
    start = _real(node, folder) if shutil.which(REAL) else stand_in(node)
    with start as host:
        until(lambda: "nats_varz_mem" in _answer(host))
        yield host


def _answer(host: str) -> str:
    try:
        return fetch.get(f"http://{host}/metrics").text
    except httpx.TransportError:
        return ""


@contextlib.contextmanager
def _real(node: Node, folder: Path) -> Iterator[str]:
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"exporter{node.number}.log").open("wb") as log:
        command = [REAL, "-addr", "127.0.0.1", "-port", str(port), *OPTIONS, node.monitor_url]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def stand_in(node: Node) -> Iterator[str]:
    """Start the stand-in, whether or not the real one is there."""
    told = _Told(node.monitor_url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = told.now().encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked has not waited
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write no log line for a request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


class _Told:
    """What a server tells, in the exporter's names."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._recorded = labels_by_name(RECORDED.read_text())
        self._varz: dict[str, Any] = {}

    def now(self) -> str:
        """Ask the server, and write it as series."""
        lines = "".join(self._of_varz() + self._of_healthz() + self._of_jsz())
        return f"# A stand-in for {REAL}: the names that one has, the values of the server beside it.\n{lines}"

    def _ask(self, path: str) -> dict[str, Any] | None:
        try:
            return dict(fetch.get(f"{self._url}/{path}", timeout=_TIMEOUT_S).json())
        except httpx.TransportError:
            return None

    def _of_varz(self) -> list[str]:
        self._varz = self._ask("varz") or self._varz
        flat = dict(_flat(self._varz))
        found = []
        for name, labels in self._recorded.items():
            value = flat.get(name.removeprefix("nats_varz_"))
            if name.startswith("nats_varz_") and value is not None:
                own = {"server_id": self._name}
                if "value" in labels:
                    found.append(_line(name, {**own, "value": str(value)}, 1))
                elif isinstance(value, int | float):
                    found.append(_line(name, own, value))
        return found

    @property
    def _name(self) -> str:
        return str(self._varz.get("server_name", ""))

    def _of_healthz(self) -> list[str]:
        answer = self._ask("healthz")
        word = "unreachable" if answer is None else str(answer["status"])
        own = {"server_id": self._name}
        lines = [_line("nats_healthz_status_value", {**own, "value": word}, int(word == "ok"))]
        return lines if answer is None else [*lines, _line("nats_healthz_status", own, int(word != "ok"))]

    def _of_jsz(self) -> list[str]:
        told = self._ask("jsz?consumers=true&config=true&raft=true")
        if told is None:
            return []
        leader = str(told.get("meta_cluster", {}).get("leader", ""))
        labels = {
            "server_id": self._name, "server_name": self._name, "domain": "", "meta_leader": leader,
            "cluster": str(told.get("meta_cluster", {}).get("name", "")),
            "is_meta_leader": str(leader == self._name or "meta_cluster" not in told).lower(),
        }  # fmt: skip
        lines = [_line("nats_server_jetstream_disabled", labels, int(bool(told.get("disabled"))))]
        for account in told.get("account_details", ()):
            name = account["name"]
            of_account = {**labels, "account": name, "account_name": name, "account_id": str(account["id"])}
            for stream in account.get("stream_detail", ()):
                lines += self._of_stream(of_account, stream)
        return lines

    def _of_stream(self, labels: dict[str, str], stream: dict[str, Any]) -> list[str]:
        leader = str(stream.get("cluster", {}).get("leader", ""))
        labels = {
            **labels, "stream_name": stream["name"], "stream_leader": leader,
            "is_stream_leader": str(leader == self._name).lower(),
            "stream_raft_group": str(stream.get("stream_raft_group", "")),
        }  # fmt: skip
        values = {name: stream["state"].get(key, 0) for name, key in _STATE.items()}
        values |= {"limit_bytes": stream["config"]["max_bytes"], "limit_messages": stream["config"]["max_msgs"]}
        return [_line(f"nats_stream_{name}", labels, value) for name, value in values.items()]


def _flat(varz: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Write the keys of a nested answer as the exporter does: one after the other, joined by underscores."""
    for key, value in varz.items():
        name = f"{prefix}_{key.strip('/')}" if prefix else key
        if isinstance(value, dict):
            yield from _flat(value, name)
        elif not isinstance(value, bool | list):
            yield name, value


def _line(name: str, labels: dict[str, str], value: float) -> str:
    return f"{name}{{{','.join(f'{key}={chr(34)}{one}{chr(34)}' for key, one in labels.items())}}} {value}\n"
