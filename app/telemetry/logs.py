"""Logs: one JSON object per line, written by a thread of its own.

The event loop only puts a record into a bounded queue; a full queue, a closed stdout or a full disk drop
the record and count it. uvicorn's, Litestar's and the standard library's records go through the same chain.
No query value and no token leaves in any text.
"""

import contextlib
import datetime as dt
import logging
import queue
import re
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
import structlog

from app.telemetry.profiles import rename

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_QUERY_VALUE: Final = re.compile(r"([?&][\w.~-]+=)[^&\s\"'#]+")
_JWT: Final = re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?")
# uvicorn logs the path with its query string, and so a token, at INFO; the others show raw frames at DEBUG.
_QUIET: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "websockets", "asyncio", "litestar")
# Its failures are counted and told once (traces.lost), not with a line a batch.
_MUTE: Final = ("opentelemetry",)
_TEXT_LIMIT: Final = 8_192
_encode = msgspec.json.Encoder(enc_hook=str).encode


def redact(text: str) -> str:
    """`text` without the values of query strings and without anything that looks like a token."""
    return _JWT.sub("<token>", _QUERY_VALUE.sub(r"\1<redacted>", text))


class LogWriter:
    """The only writer: a thread that writes lines to a stream and, if asked to, to a file."""

    def __init__(
        self, stream: TextIO, *, render: str, file: Path | None, queue_size: int, profile: str = "otel"
    ) -> None:
        self._stream = stream
        self._profile = profile
        self._queue: queue.Queue[MutableMapping[str, Any] | None] = queue.Queue(queue_size)
        self._console = structlog.dev.ConsoleRenderer(colors=stream.isatty()) if render == "console" else None
        self._file = self._open(file)
        self._counting = threading.Lock()
        self.records = dict.fromkeys(_LEVELS, 0)
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @staticmethod
    def _open(file: Path | None) -> TextIO | None:
        if file is None:
            return None
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("a", encoding="utf-8")

    def put(self, record: MutableMapping[str, Any]) -> None:
        """Hand over a record, from any thread; never waits for the writing."""
        with self._counting:
            self.records[record.get("level", "info")] += 1
            try:
                self._queue.put_nowait(record)
            except queue.Full:
                self.dropped += 1

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._queue.put(None)
        self._thread.join()
        if self._file is not None:
            with contextlib.suppress(OSError):  # counted when it was written
                self._file.close()

    def _run(self) -> None:
        while (record := self._queue.get()) is not None:
            try:
                self._write(record)
            except (OSError, ValueError):  # disk full, stdout closed: the service goes on
                with self._counting:
                    self.dropped += 1

    def _write(self, record: MutableMapping[str, Any]) -> None:
        line = _encode(rename(self._profile, record)).decode()
        if self._file is not None:
            self._file.write(line + "\n")
            self._file.flush()
        if self._console is not None:
            line = str(self._console(None, "", dict(record)))
        self._stream.write(line + "\n")
        self._stream.flush()


class Logs:
    """The chain: common fields, redaction, the writer. `logger` is for our own events."""

    def __init__(self, writer: LogWriter, *, level: str, common: Mapping[str, str]) -> None:
        self.writer = writer
        self._least = _LEVELS[level]
        self._common = dict(common)
        self.trace_ids: Callable[[], Mapping[str, str]] = dict  # none, until something traces
        self.logger: structlog.typing.BindableLogger = structlog.wrap_logger(
            None,
            processors=[self._finish],
            wrapper_class=structlog.make_filtering_bound_logger(self._least),
        )

    def _finish(self, _logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        record = {"timestamp": _timestamp(), "level": method, **self._common, **self.trace_ids(), **event}
        for key, value in record.items():
            if isinstance(value, str):
                record[key] = redact(value)[:_TEXT_LIMIT]
        self.writer.put(record)
        raise structlog.DropEvent

    def foreign(self, record: logging.LogRecord) -> None:
        """Take a record of the standard library's logging."""
        level = record.levelname.lower() if record.levelname.lower() in _LEVELS else "info"
        event: dict[str, Any] = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info:
            event["exception"] = "".join(traceback.format_exception(*record.exc_info))
        with contextlib.suppress(structlog.DropEvent):
            self._finish(None, level, event)

    def take_over(self) -> Callable[[], None]:
        """Send all records of this process through the chain; call the result to undo. For the main program."""
        root = logging.getLogger()
        before, least = root.handlers[:], root.level
        root.handlers[:] = [_Handler(self)]
        root.setLevel(self._least)
        for name in _QUIET:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(max(self._least, logging.WARNING))
        for name in _MUTE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        logging.captureWarnings(True)

        def undo() -> None:
            root.handlers[:] = before
            root.setLevel(least)
            logging.captureWarnings(False)

        return undo


class _Handler(logging.Handler):
    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        self._logs.foreign(record)


def _timestamp() -> str:
    now = dt.datetime.now(dt.UTC)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
