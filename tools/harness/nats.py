"""Real NATS servers: one, or a cluster of three; each its own process, its own ports, its own folder."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nats

from app.settings import Settings
from tools.harness.processes import freeze
from tools.harness.server import STEP_TIMEOUT_S, free_port, until

NATS_SERVER = Path(os.environ.get("TEST_NATS_SERVER") or Path(sys.executable).with_name("nats-server"))
"""That of PyPI, unless TEST_NATS_SERVER names another: `make conformance` runs the tests against the current one."""
CONF = """
server_name: n{number}
host: 127.0.0.1
port: {port}
http: 127.0.0.1:{monitor}
jetstream {{ store_dir: "{store}", sync_interval: always{limits} }}
{cluster}
{more}
"""
CLUSTER = """
cluster {{ name: test, host: 127.0.0.1, port: {port}, no_advertise: true, routes: [{routes}] }}
"""


def log_settings(url: str, **more: Any) -> Settings:
    """Settings that say where the event log is, whatever the environment says."""
    return Settings(_env_file=None, event_log_url=url, **more)


class Node:
    """One server; started again it keeps its ports and what it has stored."""

    def __init__(
        self, folder: Path, number: int, port: int, monitor: int, conf: str, environment: Mapping[str, str]
    ) -> None:
        self._environment = environment
        self.number = number
        self.port = port
        self.monitor_url = f"http://127.0.0.1:{monitor}"
        self._folder = folder
        self._conf = folder / f"n{number}.conf"
        self._conf.write_text(conf)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has said."""
        return (self._folder / f"n{self.number}.log").read_text()

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        with (self._folder / f"n{self.number}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [NATS_SERVER, "-c", self._conf], stdout=log, stderr=log, env={**os.environ, **self._environment}
            )
        until(self._listens)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log[-2000:]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGUSR2 makes it a lame duck, SIGHUP has it read its configuration, SIGCONT go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP, and wait until it stands."""
        assert self._process is not None
        freeze(self._process.pid)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait(STEP_TIMEOUT_S)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            self._process.wait(STEP_TIMEOUT_S)

    def configure(self, conf: str) -> None:
        """Another configuration, read at once."""
        self._conf.write_text(conf)
        self.signal(signal.SIGHUP)


class Nats:
    """So many servers; more than one are a cluster. `more` is added to their configuration.

    `environment` is what they find in theirs besides.
    """

    def __init__(
        self,
        folder: Path,
        count: int = 1,
        *,
        more: str = "",
        limits: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._limits = limits and f", {limits}"
        self._ports = [free_port() for _ in range(count)]
        self._routes = [free_port() for _ in range(count)]
        self._monitors = [free_port() for _ in range(count)]
        self.nodes = [
            Node(folder, number, port, self._monitors[number], self._conf(number, more), environment or {})
            for number, port in enumerate(self._ports)
        ]

    def configure(self, more: str) -> None:
        """Another addition to the configuration of all, read at once."""
        for node in self.nodes:
            node.configure(self._conf(node.number, more))

    def _conf(self, number: int, more: str) -> str:
        others = ", ".join(f"nats-route://127.0.0.1:{port}" for port in self._routes)
        cluster = CLUSTER.format(port=self._routes[number], routes=others) if len(self._ports) > 1 else ""
        store = self._folder / f"store{number}"
        return CONF.format(
            number=number, port=self._ports[number], monitor=self._monitors[number], store=store, cluster=cluster,
            more=more, limits=self._limits,
        )  # fmt: skip

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            with contextlib.suppress(ProcessLookupError):
                node.signal(signal.SIGCONT)
            node.kill()

    @property
    def url(self) -> str:
        """All of them, as EVENT_LOG_URL has it."""
        return ",".join(node.url for node in self.nodes)


async def wipe(url: str) -> None:
    """Delete all streams."""
    client = await nats.connect(url)
    stream = client.jetstream()
    for info in await stream.streams_info():
        await stream.delete_stream(str(info.config.name))
    await client.close()
