"""A real canary: its own process, its own port."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.server import ROOT, free_port


@contextmanager
def canary(url: str, *options: str) -> Iterator[str]:
    """One that races on `url` while in the block; host and port of its metrics."""
    port = free_port()
    command = [sys.executable, "-m", "app", "canary", "--url", url, "--port", str(port), *options]
    environment = {"PATH": os.environ["PATH"], "LOG_FILE": ""}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "canary.started"
        yield f"127.0.0.1:{port}"
        process.terminate()
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert {json.loads(line)["event"] for line in said.splitlines()} <= {"canary.raced", "canary.failed"}
    finally:
        process.kill()
        process.wait(30)
