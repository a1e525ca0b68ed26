"""A real Prometheus with the shipped rules on a faster clock, a real Alertmanager, and somebody who listens."""

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from alerts.build import GROUPS
from alerts.drills.scale import require_samples, scaled_routing, scaled_rules
from alerts.model import rules
from tools.harness.prometheus import query
from tools.harness.server import free_port, until

ROOT: Final = Path(__file__).parents[2]
SCRAPE_S: Final = 0.3
ROUTING_FACTOR: Final = 60
WATCHDOG: Final = "CodeRacerWatchdog"


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert as a receiver was told of it; `at` is monotonic, in seconds."""

    receiver: str
    status: str
    name: str
    severity: str
    at: float


class Listener:
    """The receivers: pager, tickets, deadman; keeps what they are told."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self._changed = threading.Condition()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener.hear(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def hear(self, message: dict[str, Any]) -> None:
        """Take a message of Alertmanager's webhook."""
        now = time.monotonic()
        with self._changed:
            self.notices += [
                Notice(message["receiver"], alert["status"], labels["alertname"], labels["severity"], now)
                for alert in message["alerts"]
                for labels in [alert["labels"]]
            ]
            self._changed.notify_all()

    def fired(self, name: str, severity: str) -> Notice | None:
        """The first time that somebody was told of an alert."""
        for notice in tuple(self.notices):
            if (notice.status, notice.name, notice.severity) == ("firing", name, severity):
                return notice
        return None

    def wait(self, timeout_s: float) -> None:
        """Wait for the next message, for so long at most."""
        with self._changed:
            self._changed.wait(timeout_s)


class Stack:
    """See the module; `factors` has one for each group of rules."""

    def __init__(self, folder: Path, factors: Mapping[str, float]) -> None:
        self.listener = Listener()
        self.folder = folder
        self.rules = scaled_rules(rules(GROUPS), factors)
        require_samples(self.rules, SCRAPE_S)
        self.prometheus = httpx.Client(base_url=f"http://127.0.0.1:{free_port()}", timeout=30)
        self.alertmanager = httpx.Client(base_url=f"http://127.0.0.1:{free_port()}", timeout=30)
        self.pid = 0

    def target(self, *hosts: str, canary: str = "") -> None:
        """Have these scraped, and nothing else."""
        targets = [{"targets": list(hosts), "labels": {"namespace": "drill"}}]
        if canary:
            targets.append({"targets": [canary], "labels": {"namespace": "drill", "job": "code-racer-canary"}})
        text = json.dumps(targets)
        new = self.folder / "targets.new"
        new.write_text(text)
        new.rename(self.folder / "targets.json")

    def query(self, expr: str) -> list[Any]:
        """The series of an instant query."""
        return query(self.prometheus, expr)

    def alerts(self) -> set[str]:
        """What Prometheus holds for pending or firing, the watchdog apart."""
        series = self.query(f'ALERTS{{alertname!="{WATCHDOG}"}}')
        return {one["metric"]["alertname"] for one in series}

    def delivered(self) -> set[str]:
        """What Alertmanager holds for active, the watchdog apart."""
        active = self.alertmanager.get("/api/v2/alerts").json()
        return {one["labels"]["alertname"] for one in active} - {WATCHDOG}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start all; it ends with the block."""
        self.folder.mkdir(parents=True)
        self.target()
        (self.folder / "rules.yaml").write_text(yaml.safe_dump(self.rules))
        (self.folder / "prometheus.yaml").write_text(yaml.safe_dump(self._scraping()))
        (self.folder / "alertmanager.yaml").write_text(yaml.safe_dump(self._routing()))
        with contextlib.ExitStack() as stack:
            stack.callback(self.listener.close)
            stack.enter_context(self.alertmanager)
            stack.enter_context(self.prometheus)
            stack.enter_context(
                self._process(
                    "prometheus-alertmanager",
                    "--config.file=alertmanager.yaml",
                    "--storage.path=alertmanager",
                    "--cluster.listen-address=",
                    f"--web.listen-address={_address(self.alertmanager)}",
                )
            )
            self.pid = stack.enter_context(
                self._process(
                    "prometheus",
                    "--config.file=prometheus.yaml",
                    "--storage.tsdb.path=data",
                    "--rules.alert.resend-delay=1s",  # of one minute, on the faster clock
                    f"--web.listen-address={_address(self.prometheus)}",
                )
            )
            until(lambda: _answers(self.alertmanager))
            until(lambda: _answers(self.prometheus))
            yield

    def _scraping(self) -> dict[str, Any]:
        every = f"{round(SCRAPE_S * 1000)}ms"
        return {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "scrape_configs": [{"job_name": "code-racer", "file_sd_configs": [{"files": ["targets.json"]}]}],
            "rule_files": ["rules.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [_address(self.alertmanager)]}]}]},
        }

    def _routing(self) -> dict[str, Any]:
        config = scaled_routing(yaml.safe_load((ROOT / "alerts/alertmanager.yaml").read_text()), ROUTING_FACTOR)
        for receiver in config["receivers"]:
            for webhook in receiver["webhook_configs"]:
                webhook["url"] = self.listener.url
        return config

    @contextlib.contextmanager
    def _process(self, *command: str) -> Iterator[int]:
        with (self.folder / f"{command[0]}.log").open("w") as log:
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)  # noqa: S603 - by name from PATH
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def _address(client: httpx.Client) -> str:
    return f"{client.base_url.host}:{client.base_url.port}"


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").is_success
    except httpx.TransportError:
        return False


def waited_for(condition: Callable[[], object], timeout_s: float) -> bool:
    """Ask again until it is so; whether it was in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)  # between two looks at another process
    return True
