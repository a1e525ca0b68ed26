"""The README's two commands on a machine that has nothing: ``python -m tests.fresh [--quick] [bookworm|trixie|today]``.

Each check runs in a bare Debian of its own, made by debootstrap and removed afterwards: as root, as a user with sudo,
and as a user without, who is told what an administrator must type. Without `--quick` all tests run in it, otherwise
those of ``make test-quick``. Needs root, for the folders are systems.
"""

import argparse
import datetime as dt
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.fresh.system import System, bare, fresh
from tools.harness.server import free_port

SUITES: Final = ("bookworm", "trixie")
SETUP_TIMEOUT_S: Final = 1_200
TEST_TIMEOUT_S: Final = 5_400
LINE: Final = re.compile(r"^  (apt-get update && apt-get install .*)$", re.MULTILINE)
PAGE: Final = """
import sys, urllib.request
for path in ("", "client.js"):
    with urllib.request.urlopen(sys.argv[1] + path) as answer:
        assert answer.status == 200 and len(answer.read()) > 1000, path
"""


def serves(system: System) -> None:
    """``make run``: it says when it is ready; then there is a page, bots can race, and Ctrl+C ends it in good order."""
    url = f"http://localhost:{free_port()}/"
    process = system.start("make run", PORT=url.rpartition(":")[2].rstrip("/"))
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "is ready" in line:
            break
    assert any(f"Code Racer is ready: {url}" in line for line in said), "".join(said)[-3000:]
    answers = [
        system.run(command, timeout_s=60)
        for command in (f"python3 -c '{PAGE}' {url}", f".venv/bin/python -m app.client --url {url} --quiet")
    ]
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert [code for code, _ in answers] == [0, 0], f"{answers}\n{rest[-5000:]}"
    assert answers[1][1].startswith("finished"), answers[1][1]
    assert '"event":"app.stopped"' in rest, rest[-2000:]


def tests_pass(system: System, *, quick: bool) -> None:
    """``make test``, or its quick form."""
    command = "make test-quick" if quick else "make test"
    process = system.start(command)
    assert process.stdout is not None
    cut = threading.Timer(TEST_TIMEOUT_S, os.killpg, (process.pid, signal.SIGKILL))
    cut.start()
    try:
        for line in process.stdout:
            print(line, end="", flush=True)  # noqa: T201 - it takes long: whoever waits sees how far it is
    finally:
        cut.cancel()
    assert process.wait() == 0, f"{command}, as {system.user}, failed; see above"


def as_root(base: Path, *, quick: bool) -> None:
    """Root may install what is missing."""
    with fresh(base) as system:
        serves(system)
        tests_pass(system, quick=quick)


def with_sudo(base: Path, *, quick: bool) -> None:
    """A user who may become root."""
    with fresh(base, "ann", sudo=True) as system:
        serves(system)
        if not quick:
            tests_pass(system, quick=False)


def without_sudo(base: Path, *, quick: bool) -> None:
    """A user is told the one line that an administrator must type; after it, the same command works."""
    with fresh(base, "ann") as system:
        for command in ("run", "test"):
            code, said = system.run(f"make {command}", timeout_s=SETUP_TIMEOUT_S)
            assert code != 0
            assert "only an administrator (root) can install them" in said, said[-3000:]
            assert "sudo" not in said
            assert len(LINE.findall(said)) == 1, said
            if command == "test" and quick:
                return
            code, answer = system.run(LINE.findall(said)[0], timeout_s=SETUP_TIMEOUT_S, user="root")
            assert code == 0, answer[-3000:]
            if command == "run":
                serves(system)


CHECKS: Final[tuple[Callable[..., None], ...]] = (as_root, with_sudo, without_sudo)


def main() -> int:
    """Run the checks of the suites; the exit code is 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fresh", description=__doc__)
    parser.add_argument("suite", nargs="?", choices=(*SUITES, "today"), help="both by default; today: one by the date")
    parser.add_argument("--quick", action="store_true", help="make test-quick in place of make test")
    parser.add_argument("--only", choices=[check.__name__ for check in CHECKS], help="one check alone")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: it makes whole systems; the two commands themselves do not")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in a shell's background, for all that is started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # on the way out everything is removed
    today = SUITES[dt.datetime.now(dt.UTC).date().toordinal() % len(SUITES)]
    suites = {None: SUITES, "today": (today,)}.get(options.suite, (options.suite,))
    checks = [check for check in CHECKS if options.only in {None, check.__name__}]
    results = [outcome for suite in suites for outcome in _of_suite(suite, checks, quick=options.quick)]
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")  # noqa: T201 - a command's answer
    return 1 if failed else 0


def _of_suite(suite: str, checks: list[Callable[..., None]], *, quick: bool) -> list[bool]:
    """How each check went; where no bare system can be had, none went well, and the other suite has its turn."""
    try:
        with bare(suite) as base:
            return [_holds(suite, check, base, quick=quick) for check in checks]
    except AssertionError as error:
        print(f"{suite}: no bare system: {error}", flush=True)  # noqa: T201 - a command's answer
        return [False] * len(checks)


def _holds(suite: str, check: Callable[..., None], base: Path, *, quick: bool) -> bool:
    began = time.monotonic()
    try:
        check(base, quick=quick)
    except AssertionError as error:
        print(f"{suite} {check.__name__}: FAILED\n{error}", flush=True)  # noqa: T201 - a command's answer
        return False
    print(f"{suite} {check.__name__}: passed in {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201 - a command's answer
    return True


if __name__ == "__main__":
    sys.exit(main())
