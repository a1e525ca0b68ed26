"""Logs: one JSON object a line whatever comes in, never a secret, never in the way."""

import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.telemetry.logs import Logs, LogWriter, redact

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


@pytest.fixture
def logs(stdout: io.StringIO) -> Iterator[Logs]:
    assert stdout is sys.stdout
    writer = LogWriter(render="json", file=None, queue_size=1000)
    yield Logs(writer, level="info", common={"service.name": "code-racer"})
    writer.close()


def lines(logs: Logs, stdout: io.StringIO) -> list[dict[str, object]]:
    logs.writer.close()
    logs.writer.__init__(render="json", file=None, queue_size=1000)  # type: ignore[misc] # a writer for the fixture to close
    return [json.loads(line) for line in stdout.getvalue().splitlines()]


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


def test_foreign_records_go_through_the_same_chain(logs: Logs, stdout: io.StringIO) -> None:
    undo = logs.take_over()
    try:
        logging.getLogger("somebody").warning("said %s", f"?token={TOKEN}")
        logging.getLogger("uvicorn.error").info("not wanted: ?token=%s", TOKEN)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        try:
            raise RuntimeError(TOKEN)
        except RuntimeError:
            logging.getLogger("somebody").exception("failed")
    finally:
        undo()
    records = lines(logs, stdout)
    assert [record["level"] for record in records] == ["warning", "warning", "error"]
    assert records[0]["event"] == "said ?token=<redacted>"
    assert "RuntimeError" in str(records[2]["exception"])
    assert TOKEN not in json.dumps(records)
    assert all(record["service.name"] == "code-racer" for record in records)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_any_value_is_one_line_of_json(text: str) -> None:
    stream = io.StringIO()
    before, sys.stdout = sys.stdout, stream
    try:
        writer = LogWriter(render="json", file=None, queue_size=10)
        Logs(writer, level="info", common={}).logger.info("some.event", value=text)
        writer.close()
    finally:
        sys.stdout = before
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue())["event"] == "some.event"


def test_a_full_queue_drops_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogWriter, "_run", lambda _: None)
    writer = LogWriter(render="json", file=None, queue_size=10)
    for _ in range(15):
        writer.put({"level": "info"})
    assert writer.dropped == 5
    assert writer.records["info"] == 15


def test_a_full_disk_and_a_closed_stdout_are_counted_and_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    writer = LogWriter(render="json", file=Path("/dev/full"), queue_size=10)
    writer.put({"level": "info"})
    writer.put({"level": "info"})
    writer.close()
    assert writer.dropped == 2
