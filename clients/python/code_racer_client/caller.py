"""Calls of the application's functions in a thread of its own, for a client without asyncio."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from code_racer_client.calling_out import CallFailed, call
from code_racer_client.errors import ClientError


class Caller:
    """Calls functions one after the other, in a thread that begins with the first.

    It is a daemon, as those of a ThreadPoolExecutor are not: what never returns keeps no program from ending.
    """

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], object]] | None] = SimpleQueue()

    def call(self, function: Callable[[], object]) -> Future[Any]:
        """Have a function called; return the future of what it returns or raises."""
        answer: Future[Any] = Future()
        self._calls.put((answer, function))
        if self._thread.ident is None:
            self._thread.start()
        return answer

    def end(self) -> None:
        """Call nothing more; the thread ends once what it calls has returned."""
        self._calls.put(None)

    def _work(self) -> None:
        for answer, function in iter(self._calls.get, None):
            if answer.set_running_or_notify_cancel():
                _call(answer, function)


def _call(answer: Future[Any], function: Callable[[], object]) -> None:
    try:
        answer.set_result(call(function))
    except CallFailed as failed:
        answer.set_exception(failed.error)
    except SystemExit:  # which in a thread is for that thread alone
        answer.set_exception(ClientError("sys.exit ends no program from here"))
