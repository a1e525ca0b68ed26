"""A real Prometheus with the shipped rules on a faster clock, a real Alertmanager, and somebody who listens."""

import contextlib
import datetime as dt
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from alerts.build import GROUPS
from alerts.drills.scale import require_samples, scaled, scaled_routing, scaled_rules
from alerts.model import rules
from dashboards.build import homes
from tools.harness.nats_exporter import shipped_relabelling
from tools.harness.prometheus import TakingNative, query, taking_native
from tools.harness.server import free_port, until

ROOT: Final = Path(__file__).parents[2]
SCRAPE_S: Final = 0.3
ROUTING_FACTOR: Final = 60
WATCHDOG: Final = "CodeRacerWatchdog"
_WELL: Final = b"code_racer_event_log_connected 1\n"
"""What replicas that stand for a large fleet tell: the listener is scraped under the name of each."""
_EVALUATED: Final = re.compile(r'^prometheus_rule_evaluations_total\{rule_group="[^"]*;([^"]*)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert as a receiver was told of it; `at` is monotonic, in seconds, `since` when it began, of the epoch."""

    receiver: str
    status: str
    name: str
    severity: str
    at: float
    since: float


class Listener:
    """The receivers: pager, tickets, deadman; keeps what they are told."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self._changed = threading.Condition()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # one connection for all scrapes

            def do_POST(self) -> None:
                listener.hear(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(_WELL)))
                self.end_headers()
                self.wfile.write(_WELL)

            def log_message(self, *_: object) -> None:
                """Write no log line for a request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def hear(self, message: dict[str, Any]) -> None:
        """Take a message of Alertmanager's webhook."""
        now = time.monotonic()
        with self._changed:
            self.notices += [
                Notice(
                    message["receiver"], alert["status"], labels["alertname"], labels["severity"], now, _since(alert)
                )
                for alert in message["alerts"]
                for labels in [alert["labels"]]
            ]
            self._changed.notify_all()

    def fired(self, name: str, severity: str, since: float = 0.0) -> Notice | None:
        """Return when somebody was first told of an alert, since a time of the monotonic clock."""
        for notice in tuple(self.notices):
            if notice.at >= since and (notice.status, notice.name, notice.severity) == ("firing", name, severity):
                return notice
        return None

    def wait(self, timeout_s: float) -> None:
        """Wait for the next message, for so long at most."""
        with self._changed:
            self._changed.wait(timeout_s)


class Stack:
    """Runs Prometheus, Alertmanager and the receivers; a group of rules has its factor.

    `takes_native`: Prometheus takes native histograms.

    With a `pace` all their clocks are so many times slower: on a machine that has little time for a drill nothing is
    late only because the drill is in a hurry.
    """

    def __init__(
        self, folder: Path, factors: Mapping[str, float], pace: int = 1, *, takes_native: bool = False
    ) -> None:
        self._native = taking_native() if takes_native else TakingNative((), {})
        self.listener = Listener()
        self.folder = folder
        self.pace = pace
        self.scrape_s = SCRAPE_S * pace
        self.factors = {group: factor / pace for group, factor in factors.items()}
        self.rules = scaled_rules(rules(GROUPS, homes()), self.factors)
        require_samples(self.rules, self.scrape_s)
        self.prometheus = httpx.Client(base_url=f"http://127.0.0.1:{free_port()}", timeout=30)
        self.alertmanager = httpx.Client(base_url=f"http://127.0.0.1:{free_port()}", timeout=30)
        self.pid = 0

    def target(
        self,
        *hosts: str,
        canary: str = "",
        well: int = 0,
        elsewhere: str = "",
        nats: Sequence[str] = (),
        supervisor: str = "",
    ) -> None:
        """Have these scraped, and nothing else: `well` further replicas which are, one of a namespace `elsewhere`."""
        targets = [{"targets": list(hosts), "labels": {"namespace": "drill"}}]
        if elsewhere:
            targets.append({"targets": [elsewhere], "labels": {"namespace": "staging"}})
        listener = self.listener.url.removeprefix("http://")
        for number in range(well):
            labels = {"namespace": "drill", "instance": f"well-{number}"}
            targets.append({"targets": [listener], "labels": labels})
        if canary:
            targets.append({"targets": [canary], "labels": {"namespace": "drill", "job": "code-racer-canary"}})
        if supervisor:
            targets.append({"targets": [supervisor], "labels": {"namespace": "drill", "job": "code-racer-supervisor"}})
        if nats:
            targets.append({"targets": list(nats), "labels": {"namespace": "drill", "job": "code-racer-nats"}})
        text = json.dumps(targets)
        new = self.folder / "targets.new"
        new.write_text(text)
        new.rename(self.folder / "targets.json")

    def scaled(self, duration: str, group: str) -> str:
        """Say how long something is on the clock of a group of rules."""
        return scaled(duration, self.factors[group])

    def query(self, expr: str) -> list[Any]:
        """Return the series of an instant query."""
        return query(self.prometheus, expr)

    def held(self, expr: str, at: float, for_s: float) -> bool:
        """Check whether an expression was true of something at a time of the epoch, and so long before, all along."""
        steps = int(for_s / self.scrape_s)
        times = (at - step * self.scrape_s for step in range(steps + 1))
        return all(query(self.prometheus, expr, at=one) for one in times)

    def rule_clock_s(self) -> float:
        """Read the rules' own clock: how often all of them were evaluated, in seconds of a machine that keeps up."""
        text = self.prometheus.get("/metrics").text
        done = {match[1]: float(match[2]) for match in _EVALUATED.finditer(text)}
        return SCRAPE_S * min(done.get(group["name"], 0.0) / len(group["rules"]) for group in self.rules["groups"])

    def alerts(self) -> set[str]:
        """Ask Prometheus which alerts are pending or firing, the watchdog apart."""
        series = self.query(f'ALERTS{{alertname!="{WATCHDOG}"}}')
        return {one["metric"]["alertname"] for one in series}

    def delivered(self) -> set[str]:
        """Ask Alertmanager which alerts are active, the watchdog apart."""
        active = self.alertmanager.get("/api/v2/alerts").json()
        return {one["labels"]["alertname"] for one in active} - {WATCHDOG}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start all for the block."""
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
                    f"--rules.alert.resend-delay={self.pace}s",  # of one minute, on the faster clock
                    f"--web.listen-address={_address(self.prometheus)}",
                    *self._native.flags,
                )
            )
            until(lambda: _answers(self.alertmanager))
            until(lambda: _answers(self.prometheus))
            yield

    def _scraping(self) -> dict[str, Any]:
        every = f"{round(self.scrape_s * 1000)}ms"
        return {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "scrape_configs": [
                {
                    "job_name": "code-racer",
                    "file_sd_configs": [{"files": ["targets.json"]}],
                    "metric_relabel_configs": shipped_relabelling(),
                    **self._native.scrape,
                }
            ],
            "rule_files": ["rules.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [_address(self.alertmanager)]}]}]},
        }

    def _routing(self) -> dict[str, Any]:
        config = scaled_routing(
            yaml.safe_load((ROOT / "alerts/alertmanager.yaml").read_text()), ROUTING_FACTOR / self.pace
        )
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


def _since(alert: Mapping[str, Any]) -> float:
    return dt.datetime.fromisoformat(alert["startsAt"]).timestamp()


def waited_for(condition: Callable[[], object], in_time: Callable[[], bool]) -> bool:
    """Ask again until it is so; return whether it was in time."""
    while not condition():
        if not in_time():
            return False
        time.sleep(0.1)  # between two looks at another process
    return True
