"""A real canary: its own process, its own port."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tools.harness import fetch
from tools.harness.server import ROOT, free_port, until


@dataclass(frozen=True)
class Bird:
    """One that races; `host` is host and port of its metrics."""

    host: str
    process: "subprocess.Popen[str]"

    def answers(self) -> bool:
        """Whether its metrics are there."""
        assert self.process.poll() is None, "the canary has ended"
        try:
            return fetch.get(f"http://{self.host}/metrics").is_success
        except httpx.TransportError:
            return False


@contextmanager
def canary(url: str | tuple[str, ...], *options: str, **environment: str) -> Iterator[Bird]:
    """One that races on `url`, on each of several, while in the block; unless it is killed, it ends well when told to.

    `environment` is what it finds there besides.
    """
    port = free_port()
    where = ("--url", url) if isinstance(url, str) else tuple(f"--each={one}" for one in url)
    command = [sys.executable, "-m", "app", "canary", *where, "--port", str(port), *options]
    trust = {name: os.environ[name] for name in ("SSL_CERT_FILE",) if name in os.environ}
    environment = {"PATH": os.environ["PATH"], "LOG_FILE": "", **trust, **environment}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, text=True)
        bird = Bird(f"127.0.0.1:{port}", process)
        try:
            until(bird.answers)
            yield bird
            if process.poll() is None:
                process.terminate()
                assert process.wait(30) == 0
            log.seek(0)
            events = {json.loads(line)["event"] for line in log}
            assert {"canary.started"} <= events <= {"canary.started", "canary.raced", "canary.failed"}
        finally:
            process.kill()
            process.wait(30)
