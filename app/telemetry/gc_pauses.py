"""How long the garbage collector holds the process up."""

import contextlib
import gc
import time
from collections.abc import Iterator
from typing import Any

from app.telemetry.observer import Observer


@contextlib.contextmanager
def measured_gc(observer: Observer) -> Iterator[None]:
    """Tell `observer` of every run of the collector during the block."""
    began = 0.0

    def note(phase: str, _info: dict[str, Any]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        elif began:
            observer.gc_pause(time.perf_counter() - began)

    gc.callbacks.append(note)
    try:
        yield
    finally:
        gc.callbacks.remove(note)
