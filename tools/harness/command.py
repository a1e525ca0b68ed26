"""Commands of the service, as somebody types them, with nothing else in their environment."""

import subprocess
import sys

from tools.harness.server import ROOT, SOURCES


def answered(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run ``code-racer`` with arguments; its exit code and what it prints. It complains of nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin", "PYTHONPATH": SOURCES, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout
