"""Programs that Debian does not have, or has too old, built from their Go modules, once each and version.

They are kept in `CODE_RACER_BUILT` (default: ``~/.cache/code-racer/built``), a folder that may vanish at any time.
"""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

BUILD_TIMEOUT_S: Final = 2_400


class NotBuiltError(Exception):
    """Go is missing, or its compiler or the module proxy refused; the message has the last lines that were said."""


@dataclass(frozen=True)
class Program:
    """A program of a Go module: the package of its `main`, and the version of its module."""

    name: str
    package: str
    module: str
    version: str
    replaces: Mapping[str, str] = field(default_factory=dict)
    """Other modules at other versions: the module's own `replace` lines do not hold where it is required."""
    tags: Sequence[str] = ()
    flags: Sequence[str] = ()
    """Of ``go build``, as ``-ldflags=…``."""
    as_released: bool = False
    """Built with what the module itself requires, and nothing else is asked for; for modules without `replace`."""
    unmade: Sequence[str] = ()
    """Files that its module embeds and does not have, being made of others: a page for browsers; they are empty."""
    source: Path | None = None
    """A folder of ours with `go.mod`, `go.sum` and `main.go`, in place of one that is made for the package."""

    @property
    def file_name(self) -> str:
        """A file of its own for each version."""
        return f"{self.name}-{self.version}"

    @property
    def origin(self) -> str:
        """Where it is from, for a record."""
        return f"Go module {self.module} {self.version}, built here"


def built_before(program: Program) -> Path | None:
    """The program's file, where it has been built before."""
    made = kept() / program.file_name
    return made if made.exists() else None


def built(program: Program) -> Path:
    """The program's file, which is built unless it is kept; raises `NotBuiltError`."""
    folder = kept()
    made = folder / program.file_name
    if made.exists():
        return made  # whoever builds another holds the lock for minutes
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two compilers beside each other would not fit the memory
        if not made.exists():
            with tempfile.TemporaryDirectory(dir=folder) as source:
                _build(program, Path(source)).rename(made)
    return made


def module_folder(module: str, version: str) -> Path:
    """The files of a module, as the module proxy has them; raises `NotBuiltError`."""
    with tempfile.TemporaryDirectory() as folder:
        return Path(json.loads(_go(Path(folder), "mod", "download", "-json", f"{module}@{version}"))["Dir"])


def kept() -> Path:
    """Make sure of the folder in which what is built is kept."""
    folder = Path(os.environ.get("CODE_RACER_BUILT") or Path.home() / ".cache/code-racer/built")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _build(program: Program, folder: Path) -> Path:
    if program.as_released:
        _go(folder, "install", "-trimpath", *program.flags, f"{program.package}@{program.version}", GOBIN=str(folder))
        return folder / program.package.rpartition("/")[2]
    if program.source:
        shutil.copytree(program.source, folder, dirs_exist_ok=True)
    else:
        replaces = "".join(f"replace {module} => {module} {version}\n" for module, version in program.replaces.items())
        if program.unmade:
            replaces += f"replace {program.module} => {_filled(program, folder)}\n"
        (folder / "go.mod").write_text(f"module built\n\nrequire {program.module} {program.version}\n{replaces}")
        # The import is what makes `go mod tidy` keep the requirement; it is never compiled.
        (folder / "tools.go").write_text(f'//go:build tools\n\npackage built\n\nimport _ "{program.package}"\n')
        _go(folder, "mod", "tidy", "-e")
    target = folder / "program"
    tags = [f"-tags={','.join(program.tags)}"] if program.tags else []
    _go(folder, "build", "-trimpath", *tags, *program.flags, "-o", str(target), program.package)
    return target


def _filled(program: Program, folder: Path) -> Path:
    """Copy the module, and make what it does not have."""
    copy = folder / "module"
    shutil.copytree(module_folder(program.module, program.version), copy, copy_function=shutil.copyfile)
    for one in (copy, *copy.rglob("*/")):  # in the cache of modules nothing may be written
        one.chmod(0o755)
    for name in program.unmade:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
    return copy


def _go(folder: Path, *arguments: str, **environment: str) -> str:
    go = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin")
    if go is None:
        raise NotBuiltError("there is no Go: install golang-go 1.26 or newer")
    done = subprocess.run(
        [go, *arguments],
        cwd=folder,
        env=os.environ | {"CGO_ENABLED": "0"} | environment,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise NotBuiltError(f"go {arguments[0]} {arguments[-1]}: {done.stderr[-1500:]}")
    return done.stdout
