"""What the operators' commands show: values by their units, tables within a width, nothing that a terminal obeys."""

from typing import Any

import pytest

from app.operator.frame import Look, frame
from app.operator.tables import cells, columns_of, record, table, value_text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("rtt_s", 0.0123, "12ms"),
        ("age_s", 12.34, "12.3s"),
        ("age_s", 754, "12m34s"),
        ("uptime_s", 7_384.0, "2h03m"),
        ("uptime_s", 187_200, "2d04h"),
        ("overdue_s", -1.5, "-1.5s"),
        ("outbox_bytes", 999, "999"),
        ("outbox_bytes", 1_234, "1.2k"),
        ("bytes_in", 45_600_000, "46M"),
        ("messages_in", 1_234_567, "1,234,567"),
        ("since", 1_764_288_000.4, "2025-11-28T00:00:00Z"),
        ("ended_at", 1_764_288_000, "2025-11-28T00:00:00Z"),
        ("until", 1_764_288_000_400, "2025-11-28T00:00:00Z"),
        ("ready", False, "no"),
        ("player_id", None, "-"),
        ("checks", {"started": True, "log_lag_s": 0.5}, "started=yes log_lag_s=500ms"),
        ("name", "Ann\x1b[2J\nBob", "Ann?[2J?Bob"),
    ],
)
def test_a_value_is_shown_by_the_unit_in_its_name(name: str, value: object, text: str) -> None:
    assert value_text(name, value) == text


def test_a_table_keeps_within_its_width_and_counts_wide_characters() -> None:
    rows = [{"player_id": "ann", "detail": "x" * 40, "name": "竹内"}, {"player_id": "bob", "detail": "", "name": "B"}]
    assert table(rows, ["player_id", "name", "detail"]) == [
        "PLAYER  NAME  DETAIL",
        f"ann     竹内  {'x' * 40}",
        "bob     B     -",
    ]
    assert table(rows, ["player_id", "name", "detail"], 30) == [
        "PLAYER  NAME  DETAIL",
        f"ann     竹内  {'x' * 14}~",
        "bob     B     -",
    ]
    assert table(rows, ["player_id", "name", "detail"], 19)[1] == "ann     竹内", "less than eight columns tell nothing"
    assert table(rows, ["detail", "name"], 30)[1] == f"{'x' * 14}~  竹内", "none has more than half"
    assert all(cells(line) <= 5 for line in table(rows, ["player_id", "name", "detail"], 5)), "whatever is left"


def test_columns_are_those_that_some_row_has_a_value_for() -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "b": None, "c": ""}, {"a": 2, "d": 0}]
    assert columns_of(rows, ("d", "b", "a")) == ["d", "a"]
    assert columns_of(rows) == ["a", "d"]


def test_a_record_has_a_line_a_field_and_a_table_a_list() -> None:
    assert record({"game_id": "g", "players": [{"player_id": "ann"}], "bans": []}) == [
        "game_id  g", "bans     -", "", "players (1)", "PLAYER", "ann",
    ]  # fmt: skip


def a_look(at: float, count: int, **more: object) -> Look:
    replicas = {
        f"r{number}": {
            "replica": f"r{number}", "ready": number != 1, "checks": {"started": True, "event_log": False}, "pid": 7,
            "connections": 10 * number, "games": 1, "cpu_s": at * 0.25, "fds": 50, "fds_max": 200, "version": "1.0",
        }
        for number in range(count)
    }  # fmt: skip
    rows = [{"connection_id": f"c{number}", "player_id": "ann" * 40} for number in range(100)]
    return Look(at, replicas, ("r9: no answer",), "connections", rows, 5_000, ("connection_id", "player_id"), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60), (40, 8), (20, 5)])
def test_a_frame_fills_the_terminal_and_no_more(columns: int, lines: int) -> None:
    shown = frame(a_look(100.0, 30), None, "q quits", columns, lines)
    assert len(shown) == max(lines, 8)
    assert all(cells(line) <= columns for line in shown)
    assert shown[-1] == "q quits"


def test_a_frame_shows_first_who_is_not_ready_and_what_the_processor_did_since_the_last_one() -> None:
    alerts = [{"name": "CodeRacerDown", "severity": "critical"}]
    shown = frame(a_look(102.0, 3, alerts=alerts), a_look(100.0, 3), "", 120, 24)
    assert shown[0] == "code-racer  00:01:42 UTC  3 replicas  30 connections  3 games"
    assert shown[1:3] == ["r9: no answer", "FIRING: CodeRacerDown (critical)"]
    assert shown[4].split() == ["r1", "not", "ready:", "event_log", "10", "1", "25%", "25%", "1.0"]
    assert "CONNECTIONS  100 of 5,000" in shown
