"""The current NATS server: the suites of the event log and of replicas pass on it as on the one from PyPI."""

import os
import re
import subprocess
import sys
from typing import Final

from tests.proof.built import Program, built
from tests.proof.record import Record

SERVER: Final = Program(
    "nats-server", "github.com/nats-io/nats-server/v2", "github.com/nats-io/nats-server/v2", "v2.15.3"
)
SUITES: Final = ("tests/eventlog", "tests/cluster")
TESTS_TIMEOUT_S: Final = 1_200


def prove(record: Record) -> None:
    """Build the server, and run the suites against it."""
    server = built(SERVER)
    version = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    record.started("nats-server", version.rpartition(" ")[2], SERVER.origin)
    for suite in SUITES:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite],
            env=os.environ | {"TEST_NATS_SERVER": str(server)},
            capture_output=True,
            text=True,
            timeout=TESTS_TIMEOUT_S,
            check=False,
        )
        said = re.findall(r"^(?:FAILED|ERROR) .*|\d+ passed.*", done.stdout, re.MULTILINE)
        record.asked(f"does {suite} pass?", "; ".join(said) or done.stdout[-300:], held=done.returncode == 0)
