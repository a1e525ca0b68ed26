"""What the set-up says when a step works, and when it does not: the cause, the file with all of it, what to do."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.harness.group import ctrl_c
from tools.harness.server import ROOT, free_port, until

TOOLS = ROOT / "tools"
NOBODY = 65_534
PIP = (sys.executable, "-m", "pip", "download", "--retries", "1", "--no-cache-dir", "--isolated")
END = "  All that was said is in logs/setup.log. What is done stays done: type the same again.\n"


def step(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [TOOLS / "step.sh", "A step (1 MB, a second)", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_step_says_its_name_size_and_time_and_nothing_else(tmp_path: Path) -> None:
    done = step(tmp_path, "echo", "much")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"A step \(1 MB, a second\)\n  done in \d+ s\n", done.stdout)
    assert "much" in (tmp_path / "logs/setup.log").read_text()


def failed(folder: Path, *command: str) -> str:
    """What a step says that fails, between its name and where to look."""
    done = step(folder, *command)
    assert done.returncode == 1
    head, tail = "make: this failed: A step (1 MB, a second)\n", END
    assert done.stderr.startswith(head)
    assert done.stderr.endswith(tail)
    return done.stderr.removeprefix(head).removesuffix(tail)


def test_a_step_that_is_broken_off_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [TOOLS / "step.sh", "A step (1 MB, a second)", "sleep", "60"], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("A step")
    until(lambda: "sleep" in (tmp_path / "logs/setup.log").read_text())
    ctrl_c(process, timeout_s=30)
    with process.stdout:
        rest = process.stdout.read()
    assert (process.returncode, rest) == (130, ""), "all that could write to the terminal have ended"


def test_a_step_that_fails_shows_the_last_words(tmp_path: Path) -> None:
    step(tmp_path, "echo", "of the step before")
    assert failed(tmp_path, "sh", "-c", "seq 9; echo no >&2; exit 3") == "  6\n  7\n  8\n  9\n  no\n"


def test_a_network_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    """From pip itself one hears that there are no versions."""
    said = failed(tmp_path, *PIP, "--index-url", f"http://127.0.0.1:{free_port()}/simple", "six")
    assert said.startswith("  The network cannot be reached: ")
    assert "A proxy is named by https_proxy and http_proxy, a mirror by PIP_INDEX_URL." in said
    assert "from versions: none" in (tmp_path / "logs/setup.log").read_text()


def test_a_disk_that_is_full_is_told_as_such(tmp_path: Path) -> None:
    assert failed(tmp_path, "bash", "-c", "echo much >/dev/full").startswith("  The disk is full: ")


def test_a_folder_that_is_not_ones_own_is_told_before_anything_is_done() -> None:
    done = step(Path("/sys"), "echo")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "make: cannot write /sys/logs/setup.log; set up in a folder that is yours\n"


def about_test(venv: Path) -> str:
    return subprocess.run([TOOLS / "about-test.sh", venv], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_make_test_says_first_what_it_installs_and_how_long_it_takes(tmp_path: Path) -> None:
    said = about_test(tmp_path)
    assert re.search(r"^make test installs first what is missing:$", said, re.MULTILINE)
    assert len(re.findall(r"^  \S.* \d[\d.]* [MG]B +\S+", said, re.MULTILINE)) == 5
    assert re.search(r"free here: \d", said)
    for stamp in (".runtime", ".dev", ".debian", ".node", ".checkov"):
        (tmp_path / stamp).touch()
    assert said.endswith(about_test(tmp_path)), "once all is there only what it does is said"
    assert re.search(r"all tests: seventeen minutes", about_test(tmp_path))
    rules = (ROOT / "Makefile").read_text()
    assert all(f"$(VENV)/{stamp}:" in rules for stamp in (".runtime", ".dev", ".debian", ".node", ".checkov"))


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with the tools that anybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="code-racer-tools-"))
    folder.chmod(0o777)
    shutil.copytree(TOOLS, folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    yield folder
    shutil.rmtree(folder)


def test_who_may_not_install_hears_what_an_administrator_must_type(place: Path) -> None:
    somebody = NOBODY if os.geteuid() == 0 else None
    programs = place / "programs"  # all of this machine's but sudo
    programs.mkdir()
    for name in ("bash", "apt-get", "id", "dirname"):
        (programs / name).symlink_to(shutil.which(name) or name)
    done = subprocess.run(
        [place / "tools/apt.sh", "for the tests", "chromium", "jq"], cwd=place, env={"PATH": str(programs)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        user=somebody, group=somebody, extra_groups=None if somebody is None else [],
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "make: for the tests: packages of Debian are missing, and only an administrator (root) can install them:\n"
        "  apt-get update && apt-get install -y --no-install-recommends chromium jq\n"
        "After that, type the same again.\n"
    )


def test_a_python_that_is_too_old_or_not_there_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [TOOLS / "make-venv.sh", tmp_path / "venv"], env=os.environ | {"PYTHON": "python2.9"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "make: python2.9 not found; install Python 3.11 or newer\n")
