"""The worker's process: ``python -m app.sandbox LIMITS``, jobs on standard input, answers on standard output.

It ends with whoever started it: at the end of its input it ends its whole process group, in the middle of a run too.
"""

import contextlib
import os
import queue
import resource
import signal
import sys
import threading
from typing import Final

from app.sandbox.jobs import PREFIX_BYTES, Answer, Limits, SandboxJob, decode_job, decode_limits, framed
from app.sandbox.runner import Runner, SandboxLost

MAX_LAST_WORDS: Final = 200
NICENESS: Final = 10
"""Submitted code gets the processor that the service leaves."""
ADDRESS_SPACE_BYTES: Final = 1_073_741_824
"""The last resort, beside four times what a submission may take: more than this is refused by the kernel."""


def main() -> None:
    """Run jobs until the input ends."""
    try:
        _run(decode_limits(sys.argv[1]))
    except Exception as error:  # noqa: BLE001 - the last words of a process; nobody reads its standard error
        _say(Answer(failed=f"{type(error).__name__}: {error}"[:MAX_LAST_WORDS]))
    finally:
        _end()


def _run(limits: Limits) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a service manager tells all at once, and the service still drains
    _restrain(limits)
    jobs: queue.SimpleQueue[SandboxJob] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs,), name="jobs", daemon=True).start()
    with Runner(limits) as runner:
        _say(Answer())
        while True:
            _say(_answer(runner, jobs.get()))


def _answer(runner: Runner, job: SandboxJob) -> Answer:
    try:
        return Answer(runner.run(job))
    except SandboxLost as lost:
        return Answer(failed=str(lost))
    except Exception as error:  # noqa: BLE001 - a fault of ours, told; its text may be of the code
        return Answer(failed=f"a fault in the worker: {type(error).__name__}")


def _say(answer: Answer) -> None:
    sys.stdout.buffer.write(framed(answer))
    sys.stdout.buffer.flush()


def _read(jobs: "queue.SimpleQueue[SandboxJob]") -> None:
    """Read jobs, beside the one that runs: so the end is noticed at once."""
    try:
        with open(sys.stdin.fileno(), "rb", closefd=False) as stream:
            while len(prefix := stream.read(PREFIX_BYTES)) == PREFIX_BYTES:
                jobs.put(decode_job(stream.read(int.from_bytes(prefix, "big"))))
    finally:
        _end()


def _end() -> None:
    """End this process and all that it has started; nothing of it waits for anything."""
    if os.getpgrp() == os.getpid():  # else it was started by hand, from a group that is not its own
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


def _restrain(limits: Limits) -> None:
    """Give way to the service; take no more memory than could ever be right, leave no core dumps."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = ADDRESS_SPACE_BYTES + 4 * limits.memory_bytes
    with contextlib.suppress(ValueError):  # where the system knows no such limit, or has a lower one already
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
