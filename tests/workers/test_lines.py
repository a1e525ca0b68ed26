"""Lines of several processes in one pipe."""

import io
import json
from pathlib import Path
from select import PIPE_BUF

from app.telemetry.log_sinks import FileSink
from app.telemetry.logs import LogWriter


class Pipe(io.RawIOBase):
    """Keeps what each write was given."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override] # of bytes alone
        """Take all."""
        self.writes.append(bytes(data))
        return len(data)


def test_lines_are_written_whole_and_no_more_than_a_pipe_takes_at_once() -> None:
    pipe = Pipe()
    writer = LogWriter(pipe, render="json", file=None, queue_size=1_000)
    writer.share_stream()
    sizes = [100, 1_000, 3_900, 10, 2_000, 2_200, 50] * 20
    for size in sizes:
        writer.put({"level": "info", "text": "x" * size})
    writer.close()
    assert all(write.endswith(b"\n") and len(write) <= PIPE_BUF for write in pipe.writes)
    assert [len(json.loads(line)["text"]) for line in b"".join(pipe.writes).splitlines()] == sizes


def test_a_longer_line_is_one_write_of_its_own(tmp_path: Path) -> None:
    pipe = Pipe()
    writer = LogWriter(pipe, render="json", file=FileSink(tmp_path / "log", 0), queue_size=1_000)
    writer.share_stream()
    for size in (10, 2 * PIPE_BUF, 20):
        writer.put({"level": "info", "text": "x" * size})
    writer.close()
    assert all(write.endswith(b"\n") for write in pipe.writes)
    assert len((tmp_path / "log").read_bytes()) == len(b"".join(pipe.writes))
