"""One seed of the chaos, another every day, for a minute (`make chaos`: ten, for two)."""

import os

import pytest

from tests.cluster.chaos import main
from tools.harness.slices import seed

SECONDS = os.environ.get("CHAOS_SECONDS", "60")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_whatever_fails_no_event_is_lost_or_seen_twice_and_every_race_is_won() -> None:
    assert main(["--seed", str(seed()), "--seconds", SECONDS]) == 0
