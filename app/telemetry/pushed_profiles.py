"""Continuous profiling: what the process does is pushed to Pyroscope, where one is set, by Grafana's own library.

The library samples from a thread that is none of Python's, and pushes from another; it belongs to the process. It is an
extra of the package (`code-racer[pyroscope]`), as it is large and few have a Pyroscope.
"""

import contextlib
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from app import __version__
from app.settings import CannotStartError, TelemetrySettings
from app.vocabulary import Environment


@contextlib.contextmanager
def pushed_profiles(settings: TelemetrySettings, environment: Environment, replica: str) -> Iterator[None]:
    """Push profiles while in the block, where PYROSCOPE_SERVER_ADDRESS is set.

    Raises CannotStartError: the library is not installed.
    """
    if not settings.pyroscope_server_address:
        yield
        return
    pyroscope = _library()
    pyroscope.configure(
        application_name="code-racer",
        server_address=settings.pyroscope_server_address.rstrip("/"),
        tags={"service_version": __version__, "environment": environment, "replica": replica},
    )
    try:
        yield
    finally:
        # It pushes what there is, and would wait for a server that does not answer.
        ending = threading.Thread(target=pyroscope.shutdown, name="profiles-flush", daemon=True)
        ending.start()
        ending.join(settings.trace_flush_timeout_s)


def _library() -> Any:  # noqa: ANN401 - it has no types
    try:
        return import_module("pyroscope")
    except ImportError:
        raise CannotStartError(
            "PYROSCOPE_SERVER_ADDRESS is set, and its library is not installed: pip install 'code-racer[pyroscope]'"
        ) from None
