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


def mistakes(folder: Path, board: dict[str, Any]) -> str:
    for note in board["annotations"]["list"]:
        for key in OF_THE_DATA_SOURCE:
            note.pop(key, None)
    (folder / "node_modules").symlink_to(NODE)
    (folder / "board.ts").write_text(program(board))
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
    done = subprocess.run(
        [NODE / ".bin/tsc", *options, "board.ts"], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout


@pytest.mark.parametrize("path", sorted(ROOT.glob("dashboards/*.json")), ids=lambda path: path.stem)
def test_a_board_is_one_for_grafana(tmp_path: Path, path: Path) -> None:
    assert mistakes(tmp_path, json.loads(path.read_text())) == ""


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [((), "schemaVersion", "39"), (("panels", 0), "titel", "x"), (("panels", 0, "options"), "colorMode", "valeu")],
)
def test_the_types_find_what_is_none(tmp_path: Path, where: tuple[Any, ...], key: str, value: str) -> None:
    board = json.loads((ROOT / "dashboards/code-racer-overview.json").read_text())
    part = board
    for step in where:
        part = part[step]
    part[key] = value
    assert "board.ts" in mistakes(tmp_path, board)
