"""Logs: one JSON object a line whatever comes in, never a secret, never in the way."""

import asyncio
import contextlib
import fcntl
import io
import json
import logging
import os
import resource
import threading
import warnings
from io import RawIOBase
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.catalogue import Events
from app.telemetry.log_sinks import FileSink
from app.telemetry.logs import KEPT, Logs, LogWriter, redact
from app.telemetry.metrics import MetricStore
from app.telemetry.recorder import Recorder
from tools.harness.server import until

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


def raw(stream: io.BytesIO) -> RawIOBase:
    """A buffer as an unbuffered stream: its `write` is the same."""
    return cast("RawIOBase", stream)


def make(stream: io.BytesIO) -> Logs:
    """A chain that writes to `stream`."""
    writer = LogWriter(raw(stream), render="json", file=None, queue_size=1000)
    return Logs(writer, level="info", common={"service.name": "code-racer"})


def written(logs: Logs, stream: io.BytesIO) -> list[dict[str, object]]:
    """All lines, once the writer has written them."""
    logs.writer.close()
    return [json.loads(line) for line in stream.getvalue().decode().splitlines()]


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


def test_the_last_lines_are_kept_as_they_went_out_and_no_more() -> None:
    stream = io.BytesIO()
    logs = make(stream)
    for number in range(KEPT + 10):
        logs.logger.info("seen", number=number, path=f"/ws/x?token={TOKEN}")
    lines = written(logs, stream)
    assert [line["number"] for line in logs.writer.recent] == list(range(10, KEPT + 10))
    assert list(logs.writer.recent) == lines[10:]


def test_foreign_records_go_through_the_same_chain() -> None:
    stream = io.BytesIO()
    logs = make(stream)
    undo = logs.take_over()
    try:
        logging.getLogger("somebody").warning("said %s", f"?token={TOKEN}")
        logging.getLogger("uvicorn.error").info("not wanted: ?token=%s", TOKEN)
        logging.getLogger("uvicorn.error").warning("wanted: ?token=%s", TOKEN)
        logging.getLogger("litestar").error("one of Litestar's")
        logging.getLogger("opentelemetry.sdk.trace").error("counted elsewhere")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("one of Python's", stacklevel=1)
        loop = asyncio.new_event_loop()
        loop.call_exception_handler({"message": "one of asyncio's"})
        loop.close()
        try:
            raise RuntimeError(TOKEN)
        except RuntimeError:
            logging.getLogger("somebody").exception("failed")
    finally:
        undo()
    records = written(logs, stream)
    said = [(record["logger"], record["level"], str(record["event"]).splitlines()[0]) for record in records]
    assert said[:3] == [
        ("somebody", "warning", "said ?token=<redacted>"),
        ("uvicorn.error", "warning", "wanted: ?token=<redacted>"),
        ("litestar", "error", "one of Litestar's"),
    ]
    assert said[3][:2] == ("py.warnings", "warning")
    assert said[3][2].endswith("UserWarning: one of Python's")
    assert said[4:] == [("asyncio", "error", "one of asyncio's"), ("somebody", "error", "failed")]
    assert "RuntimeError" in str(records[-1]["exception"])
    assert TOKEN not in stream.getvalue().decode()
    assert all(record["service.name"] == "code-racer" for record in records)


HOSTILE = 'line\nfeed \r \x00 \x1b[31m \u2028 \u2029 \x85 \x0b \x0c \ud800 "}{'


@given(st.text(st.characters()) | st.just(HOSTILE))
def test_any_value_is_one_line_of_json(text: str) -> None:
    stream = io.BytesIO()
    logs = make(stream)
    logs.logger.info("some.event", value=text, listed=[text.encode("utf-8", "replace").decode()])
    (record,) = written(logs, stream)  # split at everything that Python takes for the end of a line
    assert record["event"] == "some.event"
    assert logs.writer.dropped == 0
    assert "\n".join(stream.getvalue().decode().splitlines()) + "\n" == stream.getvalue().decode()
    if text.isprintable() and "?" not in text and "&" not in text and len(text) < 100:
        assert record["value"] == text


def test_a_huge_value_is_cut_and_says_so() -> None:
    stream = io.BytesIO()
    logs = make(stream)
    logs.logger.info("some.event", value="x" * 1_000_000)
    (record,) = written(logs, stream)
    assert record["value"] == "x" * 8192 + "... (991808 more)"


def test_what_stood_in_variables_is_not_told_with_an_exception() -> None:
    stream = io.BytesIO()
    logs = make(stream)

    def fail(password: str) -> None:
        code = f"def solve(): return {password!r}"
        raise RuntimeError(f"failed at {len(code)}")

    recorder = Recorder(MetricStore(), logs.logger)
    secret = "swordfish"
    try:
        fail(secret)
    except RuntimeError as error:
        recorder.fault("somewhere", error)
    (record,) = written(logs, stream)
    assert record["error"] == "RuntimeError: failed at 31"
    assert "in fail" in str(record["exception"])
    assert "swordfish" not in stream.getvalue().decode()


def test_a_full_queue_drops_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LogWriter, "_run", lambda _: None)
    writer = LogWriter(raw(io.BytesIO()), render="json", file=None, queue_size=10)
    for _ in range(15):
        writer.put({"level": "info"})
    assert writer.dropped == 5
    assert writer.records["info"] == 15


def test_lines_are_gathered_but_not_those_of_a_half_full_queue_nor_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.telemetry.logs._GATHER_S", 600)
    stream = io.BytesIO()
    writer = LogWriter(raw(stream), render="json", file=None, queue_size=10, flush_timeout_s=20)
    for count in (1, 7, 13):  # the first wakes the writer, which gathers then
        while writer.records["info"] < count:
            writer.put({"level": "info"})
        until(lambda count=count: stream.getvalue().count(b"\n") == count)
    writer.put({"level": "info"})
    writer.close()
    assert stream.getvalue().count(b"\n") == 14
    assert writer.dropped == 0


def test_a_writer_that_died_is_replaced_and_loses_no_more_than_it_had_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(record: dict[str, Any]) -> bytes:
        if record["event"] == "deadly":
            raise SystemExit("not even an Exception")
        return json.dumps(record).encode()

    monkeypatch.setattr("app.telemetry.logs._encode", encode)
    stream = io.BytesIO()
    writer = LogWriter(raw(stream), render="json", file=None, queue_size=10)
    told: list[tuple[str, BaseException]] = []
    writer.report = lambda where, error: told.append((where, error))
    for deaths, event in enumerate(("deadly", "deadly"), start=1):
        writer.put({"level": "info", "event": event})
        until(lambda deaths=deaths: writer.restarts == deaths == len(told))
    writer.put({"level": "info", "event": "after"})
    writer.close()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["after"]
    assert writer.dropped == 2
    assert [(where, type(error)) for where, error in told] == [("log writer", SystemExit)] * 2


def test_a_full_disk_and_a_closed_stdout_are_counted_and_survived() -> None:
    closed = io.BytesIO()
    closed.close()
    writer = LogWriter(raw(closed), render="json", file=FileSink(Path("/dev/full"), 0), queue_size=10)
    writer.put({"level": "info"})
    writer.put({"level": "info"})
    writer.close()
    assert writer.dropped == 2


def test_a_line_that_was_torn_spoils_no_other(tmp_path: Path) -> None:
    """A file-size limit lets only the first part of a line through; then it is lifted."""
    path = tmp_path / "app.log"
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    writer = LogWriter(raw(io.BytesIO()), render="json", file=FileSink(path, 0), queue_size=10)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        writer.put({"level": "info", "event": "cut.here_somewhere"})
        until(lambda: writer.dropped == 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    writer.put({"level": "info", "event": "a"})
    writer.close()
    torn, whole = path.read_bytes().splitlines()
    assert len(torn) == 20
    assert json.loads(whole)["event"] == "a"


def test_a_file_that_would_become_too_long_is_put_aside_and_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    writer = LogWriter(raw(io.BytesIO()), render="json", file=FileSink(path, 100), queue_size=100)
    for number in range(8):
        writer.put({"event": f"{number}" * 30})
        until(lambda number=number: f"{number}" * 30 in path.read_text())
    writer.close()
    kept = [Path(f"{path}.1"), path]
    assert [len(one.read_text().splitlines()) for one in kept] == [2, 2]
    assert [json.loads(line)["event"][0] for one in kept for line in one.read_text().splitlines()] == [
        "4",
        "5",
        "6",
        "7",
    ]
    assert not writer.dropped
    assert sorted(tmp_path.iterdir()) == sorted(kept), "one is kept"


@pytest.mark.parametrize("records", [3, 200], ids=["queue has room", "queue is full"])
def test_a_reader_that_takes_nothing_holds_up_nobody(records: int) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(reading, "rb", buffering=0), os.fdopen(writing, "wb", buffering=0) as stream:
        writer = LogWriter(stream, render="json", file=None, queue_size=10, flush_timeout_s=0.2)
        for _ in range(records):
            writer.put({"level": "info", "event": "x" * 4000})
        closing = threading.Thread(target=writer.close)
        closing.start()
        closing.join(10)
        assert not closing.is_alive(), "its end is not waited for any longer than is set"
        assert writer.dropped >= records - 22  # what is queued, as much that was gathered, and what the pipe took
        os.set_blocking(reading, False)
        while writer._thread.is_alive():  # or it would outlive the pipe
            with contextlib.suppress(BlockingIOError):
                os.read(reading, 65_536)
            writer._thread.join(0.01)
            if writer._queue.empty():
                writer._queue.put(None)


def test_the_level_changes_for_whoever_holds_the_logger_and_for_others_records() -> None:
    stream = io.BytesIO()
    logs = make(stream)
    undo = logs.take_over()
    logger, foreign = logs.logger, logging.getLogger("a.library")
    try:
        for level in ("error", "debug", "info"):
            logs.set_level(level)
            logger.warning("ours", at=level)
            foreign.debug("foreign at %s", level)
    finally:
        undo()
    lines = [(line["event"], line.get("at")) for line in written(logs, stream)]
    assert lines == [("ours", "debug"), ("foreign at debug", None), ("ours", "info")]


@pytest.mark.parametrize("level", ["error", "critical"])
def test_what_is_always_written_is_so_at_any_level_and_with_its_own(level: str) -> None:
    stream = io.BytesIO()
    logs = make(stream)
    logs.set_level(level)
    recorder = Recorder(MetricStore(), logs.logger)
    recorder.log(Events.SUPERVISOR_RELOADED)
    recorder.log(Events.OPERATOR_ACTED, operator="eve")
    lines = [(line["event"], line["level"]) for line in written(logs, stream)]
    assert lines == [("operator.acted", "warning")]
