"""Whose a game is."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workers import Inherited, Share

COUNTS = st.integers(1, 64)


@given(st.uuids(version=4), COUNTS)
def test_each_game_is_one_workers_whoever_is_asked(game_id: uuid.UUID, of: int) -> None:
    owners = {Share(number, of).owner(str(game_id)) for number in range(of)}
    assert len(owners) == 1
    assert owners <= set(range(of))


@given(st.uuids(version=4), COUNTS)
def test_an_id_has_one_owner_however_it_is_written(game_id: uuid.UUID, of: int) -> None:
    share = Share(0, of)
    assert share.owner(str(game_id)) == share.owner(str(game_id).upper()) == share.owner(game_id.hex)


@given(COUNTS, st.data())
def test_the_games_that_a_worker_makes_are_its_own(of: int, data: st.DataObject) -> None:
    share = Share(data.draw(st.integers(0, of - 1)), of)
    game_id = share.new_game_id()
    assert share.owner(game_id) == share.number
    assert uuid.UUID(game_id).version == 4


def test_what_is_no_id_is_nobodys() -> None:
    with pytest.raises(ValueError, match="badly formed"):
        Share(0, 2).owner("two-sum")


def test_games_are_spread_evenly() -> None:
    share = Share(0, 4)
    owned = [share.owner(str(uuid.UUID(int=number << 64 | number))) for number in range(4_000)]
    assert {number: owned.count(number) for number in range(4)} == dict.fromkeys(range(4), 1_000)


def test_what_a_worker_is_given_is_read_as_it_was_written() -> None:
    given = Inherited(Share(1, 2), (3, 4), (5,), 6, (7, 8), 9, (10, 11), 12, "/run/x", (13,))
    assert Inherited.decode(given.encode()) == given
    assert sorted(given.descriptors) == list(range(3, 14))
