"""A bare Debian in a folder, as debootstrap makes it, and commands in it: a machine that nobody has set up yet.

How this machine reaches the package indexes (proxy, mirror, authorities) is handed in when it runs, from the
environment and from the places where Debian keeps it; nothing of it is kept.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UID: Final = 1_000
NEEDED_BYTES: Final = 8_000_000_000
"""On the disk, at most: a bare system, and a copy of it in which everything is set up and tested."""
NETWORK: Final = re.compile(
    r"(https?|all|no)_proxy|(PIP|NPM_CONFIG|UV|SSL)_\w+|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE",
    re.IGNORECASE,
)
"""Names of variables that say how the network is reached."""
KEPT_AT: Final = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/npmrc", "/etc/apt/apt.conf.d/*proxy*",
    "/usr/local/share/ca-certificates/*.crt",
)  # fmt: skip
ALONE: Final = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")
"""Before a command: it ends, with all that it has started or mounted, when this process does, also by SIGKILL."""
# A tree of its own, which is a mount point (programs in it may make namespaces), with processes that end with it.
ENTER: Final = """
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
mkdir -p .before
pivot_root . .before
umount -l /.before
shift
"$@"
"""


@dataclass(frozen=True)
class System:
    """A Debian at `folder`. The project is in the home of `user`, which is root or ann."""

    folder: Path
    user: str = "root"
    _started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    @property
    def home(self) -> str:
        """The user's home."""
        return "/root" if self.user == "root" else f"/home/{self.user}"

    @property
    def project(self) -> str:
        """Where the project is."""
        return f"{self.home}/code-racer"

    def start(self, command: str, *, user: str | None = None, **environment: str) -> "subprocess.Popen[str]":
        """Start a command of the shell in the project's folder, as `user` or whoever it is for."""
        who = user or self.user
        known = {name: value for name, value in os.environ.items() if NETWORK.fullmatch(name)}
        known |= {"HOME": self.home, "USER": who, "PATH": PATH, "LANG": "C.UTF-8"}
        inside = f"cd {self.project} && {command}"
        become = [] if who == "root" else ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups"]
        process = subprocess.Popen(
            [*ALONE, "sh", "-ec", ENTER, "sh", self.folder, *become, "bash", "-c", inside],
            env=known | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what still runs in it; its mounts go with it."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def run(self, command: str, *, timeout_s: float, user: str | None = None, **environment: str) -> tuple[int, str]:
        """Run a command to its end: its exit code and all that it said."""
        process = self.start(command, user=user, **environment)
        try:
            said, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            return -1, f"{said}\nnot done after {timeout_s:g} s"
        return process.returncode, said


@contextlib.contextmanager
def bare(suite: str) -> Iterator[Path]:
    """The folder of a new Debian with what the README asks for, Python and make, and nothing else."""
    where = Path(os.environ.get("FRESH_FOLDER", "/var/tmp"))  # noqa: S108 - a folder of its own is made in it
    prefix = f"code-racer-{suite}-"
    _remove_leftovers(where, prefix)
    free = shutil.disk_usage(where).free
    assert free >= NEEDED_BYTES, (
        f"{where} has {free / 1e9:.1f} GB free, {NEEDED_BYTES / 1e9:.0f} are needed; FRESH_FOLDER names another place"
    )
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where) as name, _owned(Path(name)):
        folder = Path(name) / "bare"
        _must(*ALONE, "--mount-proc", "debootstrap", "--variant=minbase", "--include=python3,make", suite, folder)
        for file in _network_files():
            inside = folder / file.relative_to("/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, inside)
        yield folder


@contextlib.contextmanager
def fresh(base: Path, user: str = "root", *, sudo: bool = False) -> Iterator[System]:
    """A copy of a bare Debian with the project in it, for `user`."""
    folder = base.with_name(f"{user}{'-sudo' if sudo else ''}")
    _must("cp", "-a", base, folder)
    system = System(folder, user)
    try:
        if user != "root":
            _must("chroot", folder, "useradd", "--create-home", "--uid", str(UID), "--shell", "/bin/bash", user)
        _put_project(folder / system.project.removeprefix("/"), UID if user != "root" else 0)
        if sudo:
            code, said = system.run("apt-get update && apt-get install -y sudo", timeout_s=300, user="root")
            assert code == 0, said
            (folder / f"etc/sudoers.d/{user}").write_text(f"{user} ALL=(ALL) NOPASSWD: ALL\n")
        yield system
    finally:
        system.end()
        _must("rm", "-rf", "--one-file-system", folder)


@contextlib.contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """The folder is this process's while in the block, and nobody's after it, however that ends."""
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def _remove_leftovers(where: Path, prefix: str) -> None:
    """Remove what runs have left that were killed; what was running in it has ended with them."""
    for folder in where.glob(f"{prefix}*"):
        with contextlib.suppress(BlockingIOError), _owned(folder):
            _must("rm", "-rf", "--one-file-system", folder)


def _put_project(target: Path, owner: int) -> None:
    """As a clone would be: what git knows of, and git's own folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        _must(*command, cwd=target)
    _must("chown", "-R", f"{owner}:{owner}", target)


def _network_files() -> Iterator[Path]:
    for pattern in KEPT_AT:
        yield from (file for file in Path("/").glob(pattern.removeprefix("/")) if file.is_file())
    for name, value in os.environ.items():
        if NETWORK.fullmatch(name) and value.startswith("/") and Path(value).is_file():
            yield Path(value)


def _must(*command: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run(
        list(command), cwd=cwd, env=os.environ | {"PATH": f"{os.environ['PATH']}:{PATH}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}"
