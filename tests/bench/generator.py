"""The load generator: `load.c`, compiled here, on a core of its own."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

SOURCE = Path(__file__).with_name("load.c")
COMPILERS = ("cc", "gcc", "clang")
SERVER_CORE, LOAD_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]
"""The server and the load are pinned apart; on a machine with one core they share it."""


def compiled(source: Path = SOURCE) -> Path:
    """The program, built.

    Raises:
        SystemExit: there is no C compiler.
    """
    compiler = next((found for name in COMPILERS if (found := shutil.which(name))), None)
    if compiler is None:
        raise SystemExit(f"{source.name} is in C and no compiler is here: apt-get install gcc libc6-dev")
    program = Path(tempfile.mkdtemp(prefix="code-racer-load-")) / source.stem
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def pinned(core: int) -> None:
    """This process, and what it starts from now on, runs on this core."""
    os.sched_setaffinity(0, {core})


class Generator:
    """A running load generator with its connections to one server."""

    def __init__(self, program: Path, port: int, requests: list[bytes], hello: str | None = None) -> None:
        with tempfile.NamedTemporaryFile(dir=program.parent, suffix=".requests", delete=False) as file:
            file.write(b"".join(requests))
        self._file = Path(file.name)
        command = [str(program), str(port), str(self._file), *([hello] if hello else [])]
        pinned(LOAD_CORE)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def do(self, *parts: object) -> dict[str, Any]:
        """Give a command of `load.c` and wait for its figures.

        Raises:
            RuntimeError: the load broke off, for a reason it has printed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\t".join(map(str, parts)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the load generator ended with {self._process.wait()}")
        return dict(json.loads(answer))

    def end(self) -> None:
        """Drop all connections."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._file.unlink()
