"""Logs: one JSON object a line whatever comes in, never a secret, never in the way."""

import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.logs import Logs, LogWriter, redact

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


def make(stream: io.StringIO) -> Logs:
    """A chain that writes to `stream`."""
    writer = LogWriter(stream, render="json", file=None, queue_size=1000)
    return Logs(writer, level="info", common={"service.name": "code-racer"})


def written(logs: Logs, stream: io.StringIO) -> list[dict[str, object]]:
    """All lines, once the writer has written them."""
    logs.writer.close()
    return [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"GET /ws/x?token={TOKEN}&last_seq=4 HTTP", "GET /ws/x?token=<redacted>&last_seq=<redacted> HTTP"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer <token>"),
        (f"['code-racer.v1', 'bearer.{TOKEN}']", "['code-racer.v1', 'bearer.<token>']"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_are_taken_out_of_texts(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_foreign_records_go_through_the_same_chain() -> None:
    stream = io.StringIO()
    logs = make(stream)
    undo = logs.take_over()
    try:
        logging.getLogger("somebody").warning("said %s", f"?token={TOKEN}")
        logging.getLogger("uvicorn.error").info("not wanted: ?token=%s", TOKEN)
        try:
            raise RuntimeError(TOKEN)
        except RuntimeError:
            logging.getLogger("somebody").exception("failed")
    finally:
        undo()
    records = written(logs, stream)
    assert [record["level"] for record in records] == ["warning", "error"]
    assert records[0]["event"] == "said ?token=<redacted>"
    assert "RuntimeError" in str(records[1]["exception"])
    assert TOKEN not in stream.getvalue()
    assert all(record["service.name"] == "code-racer" for record in records)


@given(st.text())
def test_any_value_is_one_line_of_json(text: str) -> None:
    stream = io.StringIO()
    logs = make(stream)
    logs.logger.info("some.event", value=text)  # type: ignore[attr-defined] # structlog's loggers have no common type
    (record,) = written(logs, stream)
    assert record["event"] == "some.event"


def test_a_full_queue_drops_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogWriter, "_run", lambda _: None)
    writer = LogWriter(io.StringIO(), render="json", file=None, queue_size=10)
    for _ in range(15):
        writer.put({"level": "info"})
    assert writer.dropped == 5
    assert writer.records["info"] == 15


def test_a_full_disk_and_a_closed_stdout_are_counted_and_survived() -> None:
    closed = io.StringIO()
    closed.close()
    writer = LogWriter(closed, render="json", file=Path("/dev/full"), queue_size=10)
    writer.put({"level": "info"})
    writer.put({"level": "info"})
    writer.close()
    assert writer.dropped == 2
