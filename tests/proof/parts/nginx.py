"""nginx of Debian 12 and of Debian 13: both read the shipped site without a warning, and its suites pass on both."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.fresh.system import ROOT, System, bare
from tests.proof.record import Record
from tools.harness.nginx import nginx_program

SUITES: Final = ("tests/deploy/test_nginx.py", "tests/deploy/test_nginx_secrets.py")
INSTALL_TIMEOUT_S: Final = 600
TESTS_TIMEOUT_S: Final = 900
LIBRARIES: Final = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")
NEXT: Final = "trixie"
MAY_MISS: Final = (f"nginx of {NEXT}",)


def prove(record: Record) -> None:
    """Run the suites with this machine's nginx, and with that of the next Debian, from a folder that holds one."""
    _run_suites(record, Path(nginx_program()), _release(Path("/")))
    if os.geteuid() != 0:
        record.not_run(MAY_MISS[0], "debootstrap needs root")
        return
    with bare(NEXT) as folder:
        system = System(folder)
        (folder / system.project.removeprefix("/")).mkdir()
        code, said = system.run("apt-get update && apt-get install -y nginx-light", timeout_s=INSTALL_TIMEOUT_S)
        assert code == 0, said[-1000:]
        _run_suites(record, _from(folder), _release(folder))


def _from(folder: Path) -> Path:
    """Write a program that is the folder's nginx with the folder's libraries, in this machine's tree."""
    (loader,) = folder.glob("usr/lib*/ld-linux-*")
    libraries = ":".join(str(folder / name) for name in LIBRARIES if (folder / name).exists())
    program = folder / "outside/nginx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {loader} --library-path {libraries} {folder}/usr/sbin/nginx "$@"\n')
    program.chmod(0o755)
    return program


def _release(folder: Path) -> str:
    return f"Debian {(folder / 'etc/debian_version').read_text().strip()}"


def _run_suites(record: Record, program: Path, origin: str) -> None:
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    version = said.strip().partition("/")[2]
    record.started(f"nginx of {origin}", version, origin)
    for suite in SUITES:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite],
            cwd=ROOT,
            env=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=TESTS_TIMEOUT_S,
            check=False,
        )
        lines = re.findall(r"^(?:FAILED|ERROR) .*|\d+ passed.*", done.stdout, re.MULTILINE)
        answer = "; ".join(lines) or done.stdout[-300:]
        record.asked(f"does {suite} pass on nginx {version}?", answer, held=done.returncode == 0)
