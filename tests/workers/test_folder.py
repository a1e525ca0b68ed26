"""The folder that workers share, and those that were left by supervisors that were killed."""

import os
import tempfile
from pathlib import Path

import pytest

from app.supervisor.folder import PREFIX, hold, shared_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_one_that_nobody_holds_is_removed_and_one_that_somebody_holds_stays(temporary: Path) -> None:
    left, used = temporary / f"{PREFIX}left", temporary / f"{PREFIX}used"
    for folder in (left, used):
        folder.mkdir()
        (folder / "coordination.db").touch()
    held = hold(used)
    assert held is not None
    with shared_folder() as own:
        assert {one.name for one in temporary.iterdir()} == {used.name, Path(own.path).name}
        assert hold(Path(own.path)) is None
    assert list(temporary.iterdir()) == [used]
    os.close(held)


def test_nothing_else_is_touched(temporary: Path) -> None:
    (temporary / "elsewhere").mkdir()
    (temporary / f"{PREFIX}link").symlink_to(temporary / "elsewhere")
    (temporary / f"{PREFIX}file").touch()
    before = set(temporary.iterdir())
    with shared_folder():
        pass
    assert set(temporary.iterdir()) == before


def test_one_that_another_has_removed_meanwhile_is_not_held(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = temporary / f"{PREFIX}new"
    folder.mkdir()
    opened = os.open

    def open_and_lose(path: Path, flags: int) -> int:
        descriptor = opened(path, flags)
        folder.rmdir()
        return descriptor

    monkeypatch.setattr("app.supervisor.folder.os.open", open_and_lose)
    assert hold(folder) is None
