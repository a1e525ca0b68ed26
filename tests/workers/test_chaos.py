"""One seed of the chaos on one machine, another every day, each fault at least once (`make chaos`: ten)."""

import os

import pytest

from tests.workers.chaos import main
from tools.harness.slices import seed

SECONDS = os.environ.get("CHAOS_SECONDS", "30")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_whatever_fails_on_one_machine_no_event_is_lost_or_seen_twice_and_every_race_is_won() -> None:
    assert main(["--seed", str(seed()), "--seconds", SECONDS]) == 0
