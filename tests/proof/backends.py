"""What stands behind the service where it is watched: the shipped collector, and VictoriaLogs for Loki: both take OTLP.

Loki and Tempo are under a licence by which they are not built here.
"""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import httpx
import yaml

from tests.proof.built import Program, built
from tests.proof.record import Record
from tools.harness.server import START_TIMEOUT_S, free_port, until

ROOT: Final = Path(__file__).parents[2]
SHIPPED: Final = ROOT / "deploy/compose/otel-collector.yaml"
COLLECTOR: Final = Program(
    "otelcol", ".", "go.opentelemetry.io/collector", "v0.165.0", source=Path(__file__).parent / "collector"
)
VICTORIA_LOGS: Final = Program(
    "victoria-logs",
    "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs",
    "github.com/VictoriaMetrics/VictoriaLogs",
    "v1.52.1",
    # They require each other at ever older versions, down to one that there is not.
    replaces={"github.com/VictoriaMetrics/VictoriaMetrics": "v1.146.1-0.20260630165203-c82127b6d4d1"},
)
STOP_TIMEOUT_S: Final = 30


class Running:
    """A program that is started, stopped and started again with the same arguments; what it says is in `log`."""

    def __init__(self, program: Path, folder: Path, *arguments: str) -> None:
        self._command = [str(program), *arguments]
        self._folder = folder
        self.log = folder / f"{program.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, number: signal.Signals) -> None:
        """End it by a signal, and wait; one that is stopped goes on first."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)
        self._process.wait(STOP_TIMEOUT_S)


class VictoriaLogs:
    """A VictoriaLogs, and what it answers."""

    def __init__(self, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.process = Running(
            built(VICTORIA_LOGS),
            folder,
            f"-httpListenAddr={self.address}",
            "-storageDataPath=lines",
            "-loggerLevel=WARN",
        )
        self._client = httpx.Client(base_url=f"http://{self.address}")

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Run it for the block."""
        with self.process, self._client:
            self.wait()
            yield self

    def wait(self) -> None:
        """Wait until it answers."""
        until(lambda: answers(self._client, "/health"), START_TIMEOUT_S)

    def lines(self, query: str = "*") -> list[dict[str, Any]]:
        """Ask for lines, with all that is known of each."""
        text = self._client.get("/select/logsql/query", params={"query": query, "limit": "100000"}).text
        return [httpx.Response(200, text=line).json() for line in text.splitlines()]

    def counts(self, query: str, label: str) -> dict[str, int]:
        """Ask how many lines there are of each value of a label of theirs."""
        told = self.lines(f"{query} | unpack_json | stats by ({label}) count() lines")
        return {one[label]: int(one["lines"]) for one in told}


class ShippedCollector:
    """The collector with the shipped configuration, in which only addresses and the folder are other ones."""

    def __init__(self, folder: Path, logs: Path, traces_to: str, logs_to: str) -> None:
        http, grpc = (f"127.0.0.1:{free_port()}" for _ in range(2))
        text = SHIPPED.read_text("utf-8")
        for shipped, here in {
            "0.0.0.0:4318": http,
            "0.0.0.0:4317": grpc,
            "tempo:4317": traces_to,
            "http://loki:3100/otlp": f"http://{logs_to}/insert/opentelemetry",
            "/var/log/code-racer": str(logs),
        }.items():
            assert shipped in text, f"{shipped} is not in {SHIPPED.name}"
            text = text.replace(shipped, here)
        config = yaml.safe_load(text)
        config["service"]["telemetry"] = {"metrics": {"level": "none"}}  # its port is that of whoever runs one here too
        (folder / "collector.yaml").write_text(yaml.safe_dump(config))
        self.url = f"http://{http}"
        self.process = Running(built(COLLECTOR), folder, "--config=collector.yaml")

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Run it for the block."""
        with self.process:
            self.wait()
            yield self

    def wait(self) -> None:
        """Wait until it takes spans."""
        with httpx.Client(base_url=self.url) as client:
            until(lambda: answers(client, "/v1/traces", success=False), START_TIMEOUT_S)


def answers(client: httpx.Client, path: str, *, success: bool = True) -> bool:
    """Check whether somebody answers, and well."""
    try:
        return client.get(path).is_success or not success
    except httpx.TransportError:
        return False


def tell(record: Record, *programs: Program) -> None:
    """Build them, and write down which they are."""
    for program in programs:
        built(program)
        record.started(program.name, program.version, program.origin)
