"""What all tests share."""

import httpx
import pytest
from hypothesis import HealthCheck, settings

from tools.harness.server import STEP_TIMEOUT_S

# No test passes or fails by how fast the machine was.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
for phase in ("connect", "read", "write", "pool"):  # of every request that names no other; the library's own is 5 s
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, phase, STEP_TIMEOUT_S)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the service does."""
    return "asyncio"
