"""What all tests share."""

import signal
from functools import cache
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tools.harness.server import STEP_TIMEOUT_S
from tools.harness.slices import summary

# No test passes or fails by how fast the machine was.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
# A shell that starts the tests in its background leaves Ctrl+C ignored, for all that they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)
for phase in ("connect", "read", "write", "pool"):  # of every request that names no other; the library's own is 5 s
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, phase, STEP_TIMEOUT_S)
# Each request that has no client makes one, which reads all the certificates of the world: once is enough.
httpx._transports.default.create_ssl_context = cache(httpx._config.create_ssl_context)  # type: ignore[attr-defined] # theirs


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of tools/run-tests.sh, which runs the tests in two parts."""
    parser.addoption("--alone", choices=("never", "only"), help="without the tests marked alone, or those only")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file without such tests where only those are run: all of them take a quarter of a minute."""
    if config.getoption("alone") == "only" and collection_path.match("test_*.py"):
        return "pytest.mark.alone" not in collection_path.read_text("utf-8") or None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the other part; begin with the longest files, so that nobody waits for them at the end."""
    if chosen := config.getoption("alone"):
        out = [item for item in items if (item.get_closest_marker("alone") is None) == (chosen == "only")]
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in set(out)]
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)


def pytest_report_header() -> str:
    """Say which part of the long suites is run."""
    return summary()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the service does."""
    return "asyncio"
