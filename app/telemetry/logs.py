"""Logs: one JSON object per line, written by a thread of its own.

The event loop only puts a record into a bounded queue; a full queue, a closed stdout or a full disk drop
the record and count it. uvicorn's, Litestar's and the standard library's records go through the same chain.
No query value and no token leaves in any text.
"""

import datetime as dt
import logging
import queue
import re
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import lru_cache, partial
from io import RawIOBase
from typing import Any, Final, cast

import msgspec

from app.telemetry.bulkhead import ReportFault
from app.telemetry.log_sinks import FileSink, Sink
from app.telemetry.profiles import rename

KEPT: Final = 500
"""So many of the last lines stay in memory, for those who operate the service and have no logs at hand."""
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_QUERY_VALUE: Final = re.compile(r"([?&][\w.~-]+=)[^&\s\"'#]+")
_JWT: Final = re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?")
# uvicorn logs the path with its query string, and so a token, at INFO; the others show raw frames at DEBUG.
_QUIET: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "websockets", "asyncio", "litestar")
# Its failures are counted and told once (traces.lost), not with a line a batch.
_MUTE: Final = ("opentelemetry",)
_TEXT_LIMIT: Final = 8_192
_SEPARATORS: Final = tuple((char.encode(), f"\\u{ord(char):04x}".encode()) for char in "\u2028\u2029\u0085")
_SECONDS: Final = len("2026-01-01T00:00:00")
_GATHER_S: Final = 0.025
_MOST_AT_ONCE: Final = 64
_encode = msgspec.json.Encoder(enc_hook=str).encode


def _for_people(*, colors: bool) -> Callable[[object, str, dict[str, Any]], str]:
    """Make what renders records for a terminal."""
    from structlog.dev import ConsoleRenderer  # noqa: PLC0415 - with rich it takes 0.06 s, and a service writes JSON

    return cast("Callable[[object, str, dict[str, Any]], str]", ConsoleRenderer(colors=colors))


def redact(text: str) -> str:
    """Remove the values of query strings from `text`, and anything that looks like a token."""
    if "?" in text or "&" in text:
        text = _QUERY_VALUE.sub(r"\1<redacted>", text)
    return _JWT.sub("<token>", text) if "eyJ" in text else text


def _ignore(_where: str, _error: BaseException) -> None:
    """Tell nobody, as long as there is nobody to tell."""


class LogWriter:
    """The only writer: a thread that writes lines to an unbuffered stream and, if asked to, to a file.

    `flush_timeout_s` is how long `close` waits for it. A thread that dies is replaced, which `restarts` counts and
    `report` is told; the lines it had in hand are counted as dropped.
    """

    def __init__(
        self,
        stream: RawIOBase,
        *,
        render: str,
        file: FileSink | None,
        queue_size: int,
        profile: str = "otel",
        gcp_project: str = "",
        flush_timeout_s: float = 3.0,
    ) -> None:
        self._stream = Sink(stream)
        self._profile = profile
        self._gcp_project = gcp_project
        self._flush_timeout_s = flush_timeout_s
        self._queue: queue.SimpleQueue[MutableMapping[str, Any] | None] = queue.SimpleQueue()
        self._queue_size = queue_size
        self._hurry = threading.Event()
        is_terminal = render == "console" and stream.isatty()
        self._console = _for_people(colors=is_terminal) if render == "console" else None
        self._file = file
        self._counting = threading.Lock()
        self.records = dict.fromkeys(_LEVELS, 0)
        self.written_bytes = 0
        self.dropped = 0
        self.restarts = 0
        self.report: ReportFault = _ignore
        self._recent: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self._in_hand = 0
        self._is_over = False
        self._is_down = False
        self._thread = self._begin()

    def _begin(self) -> threading.Thread:
        thread = threading.Thread(target=self._supervised, name="log-writer", daemon=True)
        thread.start()
        return thread

    def _supervised(self) -> None:
        """Write until told to stop. A thread that dies of something has a successor, which writes what is queued."""
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - whatever it was, lines must go on
            with self._counting:
                self.restarts += 1
                self.dropped += self._in_hand
                self._in_hand = 0
            if not self._is_over:
                self._replace()
            self.report("log writer", error)

    def _replace(self) -> None:
        """Begin a successor; where the system has no thread to give, the next record asks again."""
        self._is_down = False
        try:
            self._thread = self._begin()
        except RuntimeError:
            self._is_down = True

    def share_stream(self) -> None:
        """Have no line of up to PIPE_BUF bytes torn by those of other processes that write to the stream too."""
        self._stream.is_shared = True

    def put(self, record: MutableMapping[str, Any]) -> None:
        """Hand over a record, from any thread; never waits for the writing."""
        with self._counting:
            self.records[record.get("level", "info")] += 1
            queued = self._queue.qsize()
            if queued < self._queue_size:
                self._queue.put(record)
            else:
                self.dropped += 1
        if 2 * queued >= self._queue_size:
            self._hurry.set()
        if self._is_down:
            self._replace()

    @property
    def recent(self) -> Sequence[Mapping[str, Any]]:
        """The last lines, by our own names of their fields, the oldest first."""
        return tuple(self._recent)

    def close(self) -> None:
        """Write what is queued, then stop; a reader that takes nothing is not waited for longer than is set."""
        self._queue.put(None)
        self._hurry.set()
        deadline = time.monotonic() + self._flush_timeout_s
        while (thread := self._thread).is_alive() and (left := deadline - time.monotonic()) > 0:
            thread.join(left)  # and then its successor, should it have died
        if self._file is not None and not self._thread.is_alive():
            self._file.close()

    def _run(self) -> None:
        """Write until told to stop. What comes in quick succession is gathered: waking and writing cost most.

        A queue that is half full is written at once, and the last lines.
        """
        while not self._is_over:
            records, goes_on = self._gather()
            self._in_hand, self._is_over = len(records), not goes_on
            self._write(records)
            self._in_hand = 0
            if goes_on and self._queue.empty():
                self._hurry.wait(_GATHER_S)  # the pause is the point: who puts now wakes nobody
                self._hurry.clear()

    def _gather(self) -> tuple[list[MutableMapping[str, Any]], bool]:
        """Wait for a record; return all that are there, and whether there will be more."""
        record = self._queue.get()
        records: list[MutableMapping[str, Any]] = []
        while record is not None:
            records.append(record)
            if len(records) == _MOST_AT_ONCE or self._queue.empty():
                return records, True
            record = self._queue.get()
        return records, False

    def _write(self, records: list[MutableMapping[str, Any]]) -> None:
        lines = [_one_line(_encode(rename(self._profile, record, self._gcp_project))) for record in records]
        shown = lines
        if self._console is not None:
            shown = [f"{self._console(None, '', dict(record))}\n".encode() for record in records]
        self._recent.extend(records)
        written = [sink.write(texts) for sink, texts in ((self._file, lines), (self._stream, shown)) if sink]
        self.written_bytes += sum(map(len, shown[: min(written)]))  # by this thread alone
        if min(written) < len(records):
            with self._counting:
                self.dropped += len(records) - min(written)


class LeveledLogger:
    """A logger whose least level can change while others hold it; what is below costs an empty call.

    It has a method for each level, called with an event's name and, by name, its fields; `always` is given the level
    too, and leaves nothing out.
    """

    __slots__ = ("always", "critical", "debug", "error", "info", "warning")
    always: Callable[..., None]
    critical: Callable[..., None]
    debug: Callable[..., None]
    error: Callable[..., None]
    info: Callable[..., None]
    warning: Callable[..., None]

    def use(self, least: str, write: Callable[..., None]) -> None:
        """Hand events of a level that is at `least` this to `write`, after their level; leave out the others."""
        self.always = write
        for level, rank in _LEVELS.items():
            setattr(self, level, partial(write, level) if rank >= _LEVELS[least] else _leave_out)


def _leave_out(_event: str, **_fields: object) -> None:
    """Write nothing."""


class Logs:
    """The chain: common fields, redaction, the writer. `logger` is for our own events, `level` the least written."""

    def __init__(self, writer: LogWriter, *, level: str, common: Mapping[str, str]) -> None:
        self.writer = writer
        self._common = {key: _presentable(value) for key, value in common.items()}
        self.trace_ids: Callable[[], Mapping[str, str]] = dict  # none, until something traces
        self.logger = LeveledLogger()
        self._has_taken_over = False
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """Write what is of this level or above from now on."""
        self.level = level
        self.logger.use(level, self._write)
        if self._has_taken_over:
            self._set_foreign_level()

    def _set_foreign_level(self) -> None:
        least = _LEVELS[self.level]
        logging.getLogger().setLevel(least)
        for name in _QUIET:
            logging.getLogger(name).setLevel(max(least, logging.WARNING))

    def _write(self, level: str, event: str, /, **fields: object) -> None:
        for key, value in fields.items():
            if isinstance(value, str) and not (  # what nearly all are is looked at here: a call would cost more
                len(value) <= _TEXT_LIMIT and value.isascii() and not ("?" in value or "&" in value or "eyJ" in value)
            ):
                fields[key] = _presentable(value)
        begin = {"timestamp": _timestamp(), "level": level}
        self.writer.put({**begin, **self._common, **self.trace_ids(), **fields, "event": _presentable(event)})

    def foreign(self, record: logging.LogRecord) -> None:
        """Take a record of the standard library's logging."""
        level = record.levelname.lower() if record.levelname.lower() in _LEVELS else "info"
        fields = {"logger": record.name}
        if record.exc_info:
            fields["exception"] = "".join(traceback.format_exception(*record.exc_info))
        self._write(level, record.getMessage(), **fields)

    def take_over(self) -> Callable[[], None]:
        """Send all records of this process through the chain; call the result to undo. For the main program."""
        root = logging.getLogger()
        before, least = root.handlers[:], root.level
        root.handlers[:] = [_LogHandler(self)]
        for name in _QUIET:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
        self._has_taken_over = True
        self._set_foreign_level()
        for name in _MUTE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        logging.captureWarnings(True)

        def undo() -> None:
            root.handlers[:] = before
            root.setLevel(least)
            self._has_taken_over = False
            logging.captureWarnings(False)

        return undo


class _LogHandler(logging.Handler):
    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        self._logs.foreign(record)


def _presentable(text: str) -> str:
    """Make a text presentable: without secrets, not too long, and with nothing that UTF-8 cannot say."""
    text = redact(text)
    if len(text) > _TEXT_LIMIT:
        text = f"{text[:_TEXT_LIMIT]}... ({len(text) - _TEXT_LIMIT} more)"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _one_line(line: bytes) -> bytes:
    """Escape U+2028, U+2029 and U+0085, which JSON lets stand: some readers take them for the end of a line."""
    if not line.isascii():
        for separator, escape in _SEPARATORS:
            line = line.replace(separator, escape)
    return line + b"\n"


def _timestamp() -> str:
    now = time.time()
    return f"{_second(int(now))}.{int(now % 1 * 1000):03}Z"


@lru_cache(maxsize=2)
def _second(now: int) -> str:
    """Return a second as every line of it begins: making one is a tenth of what a line costs the event loop."""
    return dt.datetime.fromtimestamp(now, dt.UTC).isoformat()[:_SECONDS]
