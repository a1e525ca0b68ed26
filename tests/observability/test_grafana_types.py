"""The boards against Grafana's own types (npm @grafana/schema): every key is one it knows, every value one it takes."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NODE = ROOT / "tests/node/node_modules"
OPTIONS = {
    "stat": "Stat", "timeseries": "TimeSeries", "bargauge": "BarGauge", "heatmap": "Heatmap", "logs": "Logs",
    "table": "Table",
}  # fmt: skip
OF_THE_DATA_SOURCE = ("expr", "titleFormat", "useValueForTime")
"""Keys of annotations that the Prometheus data source reads, not Grafana."""
HEAD = """
import type { Dashboard } from '@grafana/schema';
%s
// JSON has strings where the types have enums.
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
"""
IMPORT = (
    "import type {{ Options as {name} }} from"
    " '@grafana/schema/dist/esm/raw/composable/{kind}/panelcfg/x/{name}PanelCfg_types.gen';"
)


def program(board: dict[str, Any]) -> str:
    imports = "\n".join(IMPORT.format(kind=kind, name=name) for kind, name in OPTIONS.items())
    lines = [HEAD % imports, f"export const board: Plain<Dashboard> = {json.dumps(board)};"]
    lines += [
        f"export const options{panel['id']}: Partial<Plain<{OPTIONS[panel['type']]}>> = {json.dumps(panel['options'])};"
        for panel in board["panels"]
    ]
    return "\n".join(lines)


BOARDS = {path.stem: path for path in sorted(ROOT.glob("dashboards/*.json"))}
WRONG: dict[str, tuple[tuple[Any, ...], str, str]] = {
    "a value of another type": ((), "schemaVersion", "39"),
    "a key of a panel": (("panels", 0), "titel", "x"),
    "a value of an option": (("panels", 0, "options"), "colorMode", "valeu"),
}


def wrong(where: tuple[Any, ...], key: str, value: str) -> dict[str, Any]:
    """A board with one mistake."""
    board: dict[str, Any] = json.loads(BOARDS["code-racer-overview"].read_text())
    part = board
    for step in where:
        part = part[step]
    part[key] = value
    return board


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the compiler says of each board and each mistake: of all at once, since it reads the types for seconds."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "node_modules").symlink_to(NODE)
    boards = {name: json.loads(path.read_text()) for name, path in BOARDS.items()}
    boards |= {name.replace(" ", "-"): wrong(*place) for name, place in WRONG.items()}
    for name, board in boards.items():
        for note in board["annotations"]["list"]:
            for key in OF_THE_DATA_SOURCE:
                note.pop(key, None)
        (folder / f"{name}.ts").write_text(program(board))
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
    command: list[str | Path] = [NODE / ".bin/tsc", *options, *(f"{name}.ts" for name in boards)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout.splitlines()
    assert not [line for line in said if not line.startswith((" ", *(f"{name}.ts" for name in boards)))]
    return {name: [line for line in said if line.startswith(f"{name}.ts")] for name in boards}


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_one_for_grafana(mistakes: dict[str, list[str]], name: str) -> None:
    assert mistakes[name] == []


@pytest.mark.parametrize("name", WRONG)
def test_the_types_find_what_is_none(mistakes: dict[str, list[str]], name: str) -> None:
    assert mistakes[name.replace(" ", "-")]
