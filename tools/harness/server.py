"""A real server: its own process, its own port, its own folder."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tools.harness import fetch

SECRET = "5b0c8e4f7a2d9163c4e8b7f1a0d3926e" * 2
START_TIMEOUT_S = 60
STEP_TIMEOUT_S = 30
ROOT = Path(__file__).parents[2]
SOURCES = f"{ROOT}{os.pathsep}{ROOT / 'clients/python'}"
"""The PYTHONPATH of a program that is to be that of this checkout."""
UNLIMITED: dict[str, Any] = {
    "messages_per_second": 0,
    "bytes_per_second": 0,
    "progress_interval_s": 0,
    "progress_deliveries_per_second": 0,
    "commands_per_second": 0,
    "entries_per_minute": 0,
    "event_deliveries_per_second": 0,
}
_ADDRESS = re.compile(r":(\d+)$")


class ServerProcess:
    """`code-racer serve` under test; everything it prints is kept."""

    def __init__(self, folder: Path, module: str = "app", /, **settings: object) -> None:
        self.folder = folder
        self.module = module
        self.code = ROOT
        self.settings: dict[str, str] = {
            "PORT": "0",
            "ENVIRONMENT": "development",
            "JWT_SECRET": SECRET,
            "COUNTDOWN_S": "0.05",
            "JUDGE_PROCESSES": "1",
            "RESTART_HINT_S": "0.1",
            "OVERLOAD_LAG_S": "60",  # the machine may be busy with others: that is no overload of the service
            **{name.upper(): str(value) for name, value in settings.items()},
        }
        self.arguments: tuple[str, ...] = ()
        """What follows `serve` on its command line."""
        self.descriptors: tuple[int, ...] = ()
        """What of ours it inherits."""
        self.lines: list[str] = []
        self.errors = ""
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---------------------------------------------------------------- life

    def start(self) -> Self:
        """Start and wait until it takes connections; started again, it keeps its port."""
        self._process = self._launch(subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        seen = len(self.logged("app.started"))
        record = self.wait_for_log("app.started", timeout_s=START_TIMEOUT_S, skip=seen)
        match = _ADDRESS.search(str(record.get("address", record.get("code_racer.address"))))
        assert match is not None
        self.settings["PORT"] = match[1]
        return self

    def until_ready(self) -> None:
        """Wait until it lets players in: a shared log may be reached only after the start."""
        until(self._is_ready, START_TIMEOUT_S)

    def _is_ready(self) -> bool:
        assert self.alive, self.stderr
        try:
            return fetch.get(f"{self.http_url}/readyz").is_success
        except httpx.TransportError:
            return False

    def _launch(self, stdout: int | IO[bytes]) -> subprocess.Popen[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "stderr.txt").open("a") as stderr:
            return subprocess.Popen(
                [sys.executable, "-m", self.module, "serve", *self.arguments],
                cwd=self.folder,
                env=self._environment(),
                stdout=stdout,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                pass_fds=self.descriptors,
            )

    def _environment(self) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if key.upper() not in self.settings}
        return environment | self.settings | {"PYTHONPATH": SOURCES.replace(str(ROOT), str(self.code))}

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL, and wait; the exit code."""
        return self._end(signal.SIGKILL)

    def signal_term(self) -> None:
        """SIGTERM, without waiting for what comes of it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        assert self._process is not None
        code = self._process.wait(STEP_TIMEOUT_S)
        if self._reader is not None:
            self._reader.join(STEP_TIMEOUT_S)
        is_read = self._reader is None or not self._reader.is_alive()
        if self._process.stdout is not None and is_read:  # else what it has started holds it, and closing would wait
            self._process.stdout.close()
        return code

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def stderr(self) -> str:
        """All it wrote to stderr."""
        return (self.folder / "stderr.txt").read_text()

    # ---------------------------------------------------------------- what it tells

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.settings['PORT']}"

    @property
    def http_url(self) -> str:
        """Base of HTTP URLs."""
        return f"http://{self.host}"

    @property
    def ws_url(self) -> str:
        """Base of WebSocket URLs."""
        return f"ws://{self.host}"

    def records(self) -> list[dict[str, Any]]:
        """All log lines; each must be JSON."""
        return [json.loads(line) for line in tuple(self.lines)]

    def logged(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Log lines of an event with these fields that are here; those of a moment ago may still be on their way."""
        return [record for record in self.records() if _matches(record, event, fields)]

    def wait_for_log(
        self, event: str, *, timeout_s: float = STEP_TIMEOUT_S, skip: int = 0, **fields: object
    ) -> dict[str, Any]:
        """The first such log line after `skip` of them; waits for it."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while len(found := self.logged(event, **fields)) <= skip:
                left = deadline - time.monotonic()
                process = self._process
                if left <= 0 or (process is not None and process.poll() is not None and not self._alive()):
                    raise AssertionError(f"no {event} {fields} was logged; stderr: {self.stderr[-2000:]}")
                self._changed.wait(min(left, 0.5))
        return found[skip]

    def until_all_is_logged(self) -> None:
        """Wait until every line is here of what has happened: that of a refusal caused now comes after them."""
        game_id = str(uuid.uuid4())
        fetch.get(f"{self.http_url}/api/games/{game_id}")
        self.wait_for_log("http.refused", game_id=game_id)

    def _alive(self) -> bool:
        return self._reader is not None and self._reader.is_alive()

    def metrics(self) -> dict[str, float]:
        """All samples, by ``name{label="value",…}`` with sorted labels."""
        return samples(fetch.get(f"{self.http_url}/metrics").text)

    def metric(self, name: str, **labels: str) -> float:
        """One sample."""
        return self.metrics()[sample_key(f"code_racer_{name}", labels)]

    def open_files(self) -> int:
        """Open file descriptors of the process."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def resident_bytes(self) -> int:
        """Memory of the process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    # ---------------------------------------------------------------- players

    def guest(self, name: str) -> dict[str, Any]:
        """A guest: token, player_id, name."""
        answer = fetch.post(f"{self.http_url}/api/guests", json={"name": name})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def new_game(self, token: str, **wishes: object) -> str:
        """A new game's id."""
        answer = fetch.post(
            f"{self.http_url}/api/games",
            json={"problem": "running-total", **wishes},
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["game_id"])


class UnheardServer(ServerProcess):
    """A server whose standard output goes where the test says; nobody reads it here."""

    def __init__(self, folder: Path, stdout: int | IO[bytes], /, **settings: object) -> None:
        super().__init__(folder, **settings)
        self._stdout = stdout

    def start(self) -> Self:
        """Start and wait until it answers."""
        self.settings["PORT"] = str(free_port())
        self._process = self._launch(self._stdout)
        self.until_ready()
        return self


def free_port(*more: int) -> int:
    """A port that nobody listens on now, and nobody on those that are so many above it.

    They are bound until this process ends: the kernel gives them to nobody else who asks for any port, and lets in
    whoever asks for one of them with SO_REUSEADDR, as all servers do.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if all(port + one < 65_536 and _is_free(port + one) for one in more):
            for one in (0, *more):
                _keep(port + one)
            return port


def _is_free(port: int) -> bool:
    """Tell whether nobody has a port, not even one who keeps it."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _keep(port: int) -> None:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", port))
    one.detach()


def _matches(record: dict[str, Any], event: str, fields: dict[str, object]) -> bool:
    return record.get("event", record.get("message")) == event and all(
        record.get(key) == value for key, value in fields.items()
    )


def samples(text: str) -> dict[str, float]:
    """All samples of an exposition, by ``name{label="value",…}`` with sorted labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {_key(series): float(value) for series, _, value in lines}


@lru_cache(maxsize=20_000)  # tests ask again and again, and the library's parser takes its time
def _key(series: str) -> str:
    ((sample,),) = (family.samples for family in text_string_to_metric_families(f"{series} 0\n"))
    return sample_key(sample.name, sample.labels)


def sample_key(name: str, labels: dict[str, str]) -> str:
    """A sample's name with its labels in order."""
    inner = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inner}}}" if inner else name


def difference(before: dict[str, float], after: dict[str, float], prefix: str) -> dict[str, float]:
    """What changed between two readings, of the samples whose name starts with `prefix`."""
    return {
        key: after[key] - before.get(key, 0.0)
        for key in after
        if key.startswith(prefix) and after[key] != before.get(key, 0.0)
    }


def until(check: Any, timeout_s: float = STEP_TIMEOUT_S) -> Any:
    """Ask again until the answer is true: for states of another process that announce themselves in no event."""
    deadline = time.monotonic() + timeout_s
    for answer in _asking(check):
        if answer or time.monotonic() > deadline:
            assert answer, "it never came true"
            return answer
    raise AssertionError("unreachable")


def _asking(check: Any) -> Iterator[Any]:
    while True:
        yield check()
        time.sleep(0.02)  # between two looks at another process
