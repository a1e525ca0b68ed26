"""What all tests share."""

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # no test passes or fails by how fast the machine was
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the service does."""
    return "asyncio"
