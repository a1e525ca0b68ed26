"""What players are shown: every kind of event has one public message, and nothing secret is in it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.game import EVENTS, GameCreated, Phase, VisibleTest, public_event, snapshot
from app.game.state import _FOLDS
from app.protocol import DURABLE_TYPES, EVENT_DATA, encode_event
from tools.harness.games import CODE, PROBLEM, Game

SECRET = "nobody-may-see-this"
KEPT_BACK = ("code", "connection_id", "detail", "cause", "traceparent")
"""Fields of events that are for nobody but the rules, the judge and the submitter."""
TEXT = st.text(max_size=20)
st.register_type_strategy(VisibleTest, st.builds(VisibleTest, st.lists(st.integers()), TEXT))


def event_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any event of the kind, whose fields to be kept back all say `SECRET`."""
    secret = {name: st.just(SECRET) for name in KEPT_BACK if name in kind.__struct_fields__}
    return st.builds(kind, seq=st.integers(1, 2**53), at=st.integers(0, 2**53), **secret)


def test_every_kind_of_event_is_folded_or_is_about_a_player() -> None:
    others = set(EVENTS) - {GameCreated, *_FOLDS}
    assert all("player_id" in kind.__struct_fields__ for kind in others), "app/game/state.py folds the events of a game"


def test_every_kind_of_event_has_one_message_of_its_own() -> None:
    tags = {kind.__struct_config__.tag for kind in EVENTS}
    assert tags == set(DURABLE_TYPES), "app/protocol/server.py has an EventData of the same type for each event"


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: str(kind.__struct_config__.tag))
@given(data=st.data())
def test_an_event_is_told_as_its_type_says_and_keeps_secrets(kind: type[Any], data: st.DataObject) -> None:
    event = data.draw(event_of(kind))
    told = public_event(event)
    assert (told.type, told.at) == (kind.__struct_config__.tag, event.at)
    text = encode_event(told, event.seq)
    assert SECRET.encode() not in text
    message = msgspec.json.decode(text)
    assert list(message) == ["type", "data", "seq"]
    assert list(message["data"])[-1] == "at"
    assert msgspec.convert(message["data"], EVENT_DATA[told.type]) == told
    assert message["seq"] == event.seq


def test_the_rules_of_a_game_are_not_in_its_first_message() -> None:
    game = Game()
    created = game.events[0]
    assert isinstance(created, GameCreated)
    assert set(msgspec.to_builtins(public_event(created))) == {"game_id", "host_id", "at"}


def test_the_text_of_the_problem_is_shown_once_the_race_has_started() -> None:
    game = Game()
    game.join("ann", "bob")
    assert msgspec.to_builtins(snapshot(game.known).problem) == {"id": "sum", "title": "Sum", "difficulty": "easy"}
    game.start("ann", "bob")
    assert game.known.phase is Phase.RUNNING
    assert msgspec.to_builtins(snapshot(game.known).problem) == msgspec.to_builtins(PROBLEM)


def test_a_snapshot_shows_who_is_being_judged_but_not_what_they_wrote() -> None:
    game = Game()
    game.start("ann", "bob")
    game.submit("bob")
    shown = snapshot(game.known)
    assert {player.player_id: player.judging for player in shown.players} == {"ann": False, "bob": True}
    assert CODE.encode() not in msgspec.json.encode(shown)
