"""The OpenTelemetry Collector with the shipped configuration: the traces and the logs of races arrive behind it, whole.

And one that dies, stalls or answers 429 harms nobody: players are answered, what is lost is counted, nothing waits.
"""

import datetime as dt
import json
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.proof.backends import COLLECTOR, SHIPPED, VICTORIA_LOGS, tell
from tests.proof.built import built
from tests.proof.record import Record
from tests.proof.watched import QUEUE, Stage, traced
from tools.harness.collector import CollectedSpan, Collector
from tools.harness.player import Player
from tools.harness.server import ServerProcess

MAY_MISS: Final = ("Loki", "Tempo")
NOT_HERE: Final = "its licence (AGPL) keeps it from being built here; its file is parsed and compared, and unproven"
PINGS: Final = 400
FULL: Final = 8 * QUEUE
RACES: Final = 12
"""So many that their lines fill the file more than once."""


def prove(record: Record) -> None:
    """Start all of it, race, and ask."""
    tell(record, COLLECTOR, VICTORIA_LOGS)
    done = subprocess.run(
        [built(COLLECTOR), "validate", f"--config={SHIPPED}"], capture_output=True, text=True, check=False
    )
    record.asked(
        f"does it take {SHIPPED.name}, without a warning?",
        (done.stdout + done.stderr).strip() or "yes",
        held=done.returncode == 0 and not done.stdout + done.stderr,
    )
    with tempfile.TemporaryDirectory() as folder, Collector("grpc") as tempo, ExitStack() as stack:
        stage = Stage(Path(folder), stack, tempo.endpoint.removeprefix("http://"))
        stage.race()
        _traces(record, tempo)
        _logs(record, stage, tempo)
        _restarts(record, stage)
        _troubles(record, stage)
    with tempfile.TemporaryDirectory() as folder:
        _refusing(record, Path(folder))
    for name in MAY_MISS:
        record.not_run(name, NOT_HERE)


# ---------------------------------------------------------------- what arrives


def _traces(record: Record, tempo: Collector) -> None:
    """Look for the trace of the submission, and for what it links to, at a stand-in that takes OTLP as Tempo does."""
    tempo.wait(lambda spans: _whole(_of_submission(spans)))
    spans = _of_submission(tempo.spans)
    known = {span.span_id for span in spans}
    orphans = [span.name for span in spans if span.parent_id and span.parent_id not in known]
    links = {link for span in spans for link in span.links}
    ends = {span.name for span in tempo.spans if (span.trace_id, span.span_id) in links}
    record.asked(
        "does the trace of a submission come through it whole?",
        f"{len(spans)} spans of one trace, {len(orphans)} without their parent, {len(links)} links, to "
        + ", ".join(sorted(ends)),
        held=not orphans and len(links) == 2 and ends == {"ws.handshake"},
    )


def _of_submission(spans: list[CollectedSpan]) -> list[CollectedSpan]:
    traces = {span.trace_id for span in spans if span.name == "game.submit_code"}
    return [span for span in spans if span.trace_id in traces]


def _whole(spans: list[CollectedSpan]) -> bool:
    """Whether those are there that a submission's end makes: they come in several batches."""
    names = Counter(span.name for span in spans)
    return (names["game.fan_out"], names["ws.deliver"], names["judge.submission"]) == (3, 6, 1)


def _logs(record: Record, stage: Stage, tempo: Collector) -> None:
    """Ask VictoriaLogs for the lines, and compare them with the file and with the metrics."""
    metrics = stage.settle()
    lines = stage.arrived()
    record.asked(
        "is each line there once, as it was written?",
        f"{len(lines)} lines, {len(stage.written())} written",
        held=Counter(one["_msg"] for one in lines) == Counter(stage.written()),
    )
    wrong = [one["_msg"] for one in lines if not _is_told_beside(one)]
    record.asked(
        "have they the time, the level, the trace and the replica that they tell?",
        f"{len(lines) - len(wrong)} of {len(lines)}",
        held=not wrong,
    )
    ours = '{service.name="code-racer"}'
    events = stage.store.counts(ours, "event")
    counted = {
        "ws.opened": _sum(metrics, "ws_handshakes_total", "accepted"),
        "ws.refused": _sum(metrics, "ws_handshakes_total") - _sum(metrics, "ws_handshakes_total", "accepted"),
        "ws.closed": _sum(metrics, "ws_closes_total"),
        "message.rejected": _sum(metrics, "ws_errors_total"),
        "submission.judged": _sum(metrics, "submissions_total"),
        "game.finished": _sum(metrics, "game_transitions_total", "finished"),
    }
    record.asked(
        "do lines and metrics count the same?",
        ", ".join(f"{name} {events.get(name, 0)}/{number:.0f}" for name, number in counted.items()),
        held=all(events.get(name, 0) == number for name, number in counted.items()),
    )
    levels = stage.store.counts(ours, "level")
    told = {level: _sum(metrics, "log_records_total", level) for level in levels}
    record.asked(
        "and of each level?",
        ", ".join(f"{level} {levels[level]}/{number:.0f}" for level, number in told.items()),
        held=bool(levels) and all(levels[level] == number for level, number in told.items()),
    )
    with_trace = next(json.loads(one["_msg"])["trace_id"] for one in lines if "trace_id" in json.loads(one["_msg"]))
    tempo.wait(lambda spans: any(span.trace_id == with_trace for span in spans))
    names = {span.name for span in tempo.spans if span.trace_id == with_trace}
    record.asked("does a line's trace_id lead to its trace?", f"to {', '.join(sorted(names))}", held=bool(names))


def _is_told_beside(line: dict[str, Any]) -> bool:
    own = json.loads(line["_msg"])
    return bool(
        dt.datetime.fromisoformat(line["_time"]) == dt.datetime.fromisoformat(own["timestamp"])
        and line.get("severity_text") == own["level"]
        and line.get("trace_id", "") == own.get("trace_id", "")
        and line.get("service.instance.id") == own["replica"]
    )


def _sum(metrics: dict[str, float], family: str, having: str = "") -> float:
    return sum(value for key, value in metrics.items() if key.startswith(f"code_racer_{family}") and having in key)


def _restarts(record: Record, stage: Stage) -> None:
    """Fill files, stop the collector, and what stands behind it, while lines are written."""
    put_aside = stage.file.with_name(f"{stage.file.name}.1")
    before = put_aside.stat().st_ino if put_aside.exists() else 0
    for _ in range(RACES):
        stage.race()
    stage.settle()
    _nothing_lost(record, stage, "by files that are put aside as they have LOG_FILE_MAX_BYTES")
    assert put_aside.stat().st_ino != before, "no file was put aside"
    stage.collector.process.end(signal.SIGTERM)
    stage.race()
    stage.collector.process.start()
    stage.collector.wait()
    stage.race()
    stage.settle()
    _nothing_lost(record, stage, "by a restart of the collector")
    stage.store.process.end(signal.SIGTERM)
    stage.race()
    stage.settle()
    stage.store.process.start()
    stage.store.wait()
    _nothing_lost(record, stage, "by what stands behind it being away")


def _nothing_lost(record: Record, stage: Stage, how: str) -> None:
    lines, written = stage.arrived(), stage.written()
    record.asked(
        f"is a line lost or repeated {how}?",
        f"{len(lines)} lines, {len(written)} written",
        held=Counter(one["_msg"] for one in lines) == Counter(written),
    )


# ---------------------------------------------------------------- trouble


def _troubles(record: Record, stage: Stage) -> None:
    """Play while all is well, while the collector stalls, and while it is dead."""
    _played(record, stage.server, "while the collector is well", lost=False)
    stage.collector.process.send(signal.SIGSTOP)
    _played(record, stage.server, "while it stalls (SIGSTOP)", lost=True)
    stage.collector.process.end(signal.SIGKILL)
    _played(record, stage.server, "while it is dead", lost=True)
    began = time.monotonic()
    code = stage.server.stop()
    record.asked("does the server end without it?", f"exit {code} in {time.monotonic() - began:.1f} s", held=code == 0)


def _refusing(record: Record, folder: Path) -> None:
    """The same while it answers 429: a stand-in, as the collector itself says 503 when it has no memory left."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(429)
            self.send_header("retry-after", "30")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write no log line for a request."""

    answering = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    answering.daemon_threads = True
    threading.Thread(target=answering.serve_forever, args=(0.05,), daemon=True).start()
    with traced(folder / "server", f"http://127.0.0.1:{answering.server_port}") as server:
        _played(record, server, "while it answers 429 (a stand-in for it)", lost=True)
    answering.shutdown()
    answering.server_close()


def _played(record: Record, server: ServerProcess, when: str, *, lost: bool) -> None:
    """Send pings one after the other until more spans were made than can wait, and ask what became of all."""
    before = _spans(server)
    ann = server.guest("ann")
    trips: list[float] = []
    with Player(server, server.new_game(ann["token"]), ann["token"], max_queue=None) as player:

        def pings() -> None:
            for number in range(PINGS):
                began = time.perf_counter()
                player.send("ping", {"timestamp": number})
                player.until("pong", timestamp=number)
                trips.append(time.perf_counter() - began)

        pings()
        while lost and sum(_gone(server, before).values()) < QUEUE and len(trips) < FULL:
            pings()
    gone = _gone(server, before)
    record.asked(
        f"how are players answered {when}?",
        f"{len(trips)} pings answered one after the other, {1000 * median(trips):.2f} ms in the middle, "
        f"{1000 * max(trips):.0f} ms at most; spans lost and counted: "
        + (", ".join(f"{number:.0f} {outcome}" for outcome, number in gone.items() if number) or "none"),
        held=bool(sum(gone.values())) == lost,
    )


def _spans(server: ServerProcess) -> dict[str, float]:
    return {outcome: server.metric("trace_spans_total", outcome=outcome) for outcome in ("failed", "dropped")}


def _gone(server: ServerProcess, before: dict[str, float]) -> dict[str, float]:
    return {outcome: number - before[outcome] for outcome, number in _spans(server).items()}
