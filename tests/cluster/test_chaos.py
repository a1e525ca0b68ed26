"""One seed of the chaos, another every day, for a minute (`make chaos`: ten, for two)."""

import datetime as dt
import os

import pytest

from tests.cluster.chaos import main

SEED = os.environ.get("CHAOS_SEED", str(dt.datetime.now(dt.UTC).date().toordinal()))
SECONDS = os.environ.get("CHAOS_SECONDS", "60")


@pytest.mark.timeout(900)
def test_whatever_fails_no_event_is_lost_or_seen_twice_and_every_race_is_won() -> None:
    assert main(["--seed", SEED, "--seconds", SECONDS]) == 0
