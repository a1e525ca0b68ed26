"""The rules, one by one."""

import pytest

from app.eventlog.codec import decode_events, encode_events
from app.game import (
    CountdownCancelled,
    Disconnect,
    EndGame,
    FinishReason,
    GameCreated,
    GameFinished,
    Join,
    LeaveGame,
    LeaveReason,
    Phase,
    PlayerLeft,
    Rejected,
    Remove,
    SetReady,
    SubmissionJudged,
    Tick,
    Verdict,
    deadline,
    public_event,
)
from app.game.state import REMEMBERED_REPLACEMENTS
from app.vocabulary import FinishRule, Rejection
from tools.harness.games import Game


def assert_rejected(code: Rejection, call: object, *args: object) -> None:
    with pytest.raises(Rejected) as rejected:
        call(*args)  # type: ignore[operator]
    assert rejected.value.code is code


def test_a_game_starts_when_enough_players_are_in_and_all_are_ready() -> None:
    game = Game(min_players=2, countdown_ms=3000)
    game.join("ann", "bob")
    phases = []
    for milliseconds, ready in ((0, "ann"), (0, "bob"), (2999, ""), (1, "")):
        game.do(SetReady(ready, True)) if ready else game.wait(milliseconds)
        phases.append(game.known.phase)
    assert phases == [Phase.WAITING, Phase.COUNTDOWN, Phase.COUNTDOWN, Phase.RUNNING]


def test_a_single_ready_player_waits_for_min_players() -> None:
    game = Game(min_players=2)
    game.join("ann")
    game.do(SetReady("ann", True))
    assert game.known.phase is Phase.WAITING


def test_not_ready_cancels_the_countdown() -> None:
    game = Game()
    game.join("ann", "bob")
    game.do(SetReady("ann", True))
    game.do(SetReady("bob", True))
    events = game.do(SetReady("ann", False))
    assert isinstance(events[-1], CountdownCancelled)
    assert game.known.phase is Phase.WAITING
    assert game.known.starts_at is None


def test_saying_ready_twice_changes_nothing() -> None:
    game = Game()
    game.join("ann")
    game.do(SetReady("ann", True))
    assert game.do(SetReady("ann", True)) == []


def test_a_full_game_takes_nobody() -> None:
    game = Game(max_players=2)
    game.join("ann", "bob")
    assert_rejected(Rejection.GAME_FULL, game.join, "cay")


def test_a_running_game_takes_no_new_players_but_its_lost_ones_back() -> None:
    game = Game(grace_ms=1000)
    game.start("ann", "bob")
    assert_rejected(Rejection.GAME_RUNNING, game.join, "cay")
    game.do(Disconnect("bob", "c-bob"))
    game.wait(1000)
    assert not game.known.players["bob"].active
    game.join("bob")
    assert game.known.players["bob"].active


def test_first_accepted_is_who_handed_in_first_not_who_was_judged_first() -> None:
    game = Game()
    game.start("ann", "bob")
    game.submit("ann")
    game.submit("bob")
    assert game.types(game.judge("bob", Verdict.ACCEPTED, 8)) == ["SubmissionJudged"]
    assert game.types(game.judge("ann", Verdict.ACCEPTED, 8)) == ["SubmissionJudged", "GameFinished"]
    assert game.known.winner == "ann"
    assert [entry.player_id for entry in game.known.ranking] == ["ann", "bob"]


def test_no_code_is_taken_once_the_race_is_decided() -> None:
    game = Game()
    game.start("ann", "bob", "cay")
    game.submit("ann")
    game.submit("bob")
    game.judge("bob", Verdict.ACCEPTED, 8)
    assert_rejected(Rejection.NOT_ALLOWED, game.submit, "cay")


def test_the_end_does_not_wait_for_ever_for_the_judge() -> None:
    game = Game(judge_grace_ms=30_000)
    game.start("ann", "bob")
    game.submit("ann")
    game.submit("bob")
    game.judge("bob", Verdict.ACCEPTED, 8)
    assert deadline(game.known) == game.now + 30_000
    events = game.wait(30_000)
    assert [type(event) for event in events] == [SubmissionJudged, GameFinished]
    assert isinstance(events[0], SubmissionJudged)
    assert events[0].verdict is Verdict.JUDGE_ERROR
    assert game.known.winner == "bob"


def test_all_done_goes_on_until_every_active_player_has_solved_it() -> None:
    game = Game(finish=FinishRule.ALL_DONE)
    game.start("ann", "bob", "cay")
    game.submit("ann")
    game.judge("ann", Verdict.ACCEPTED, 8)
    assert_rejected(Rejection.NOT_ALLOWED, game.submit, "ann")
    game.submit("bob")
    game.judge("bob", Verdict.ACCEPTED, 8)
    assert game.known.phase is Phase.RUNNING
    events = game.do(LeaveGame("cay"))
    assert isinstance(events[-1], GameFinished)
    assert events[-1].reason is FinishReason.ALL_DONE
    assert [entry.player_id for entry in events[-1].ranking] == ["ann", "bob", "cay"]


def test_the_time_limit_ends_the_game_with_a_ranking_and_no_winner() -> None:
    game = Game(time_limit_ms=60_000)
    game.start("ann", "bob")
    game.submit("ann")
    game.judge("ann", Verdict.WRONG_ANSWER, 3)
    game.submit("bob")
    game.judge("bob", Verdict.WRONG_ANSWER, 5)
    events = game.wait(60_000)
    assert isinstance(events[-1], GameFinished)
    assert events[-1].reason is FinishReason.TIME_LIMIT
    assert events[-1].winner is None
    assert [entry.player_id for entry in events[-1].ranking] == ["bob", "ann"]


def test_code_in_time_is_judged_even_when_time_runs_out() -> None:
    game = Game(time_limit_ms=60_000)
    game.start("ann", "bob")
    game.submit("ann")
    assert game.wait(60_000) == []
    assert_rejected(Rejection.NOT_ALLOWED, game.submit, "bob")
    game.judge("ann", Verdict.ACCEPTED, 8)
    assert game.known.winner == "ann"


def test_one_submission_at_a_time() -> None:
    game = Game()
    game.start("ann", "bob")
    game.submit("ann")
    assert_rejected(Rejection.NOT_ALLOWED, game.submit, "ann")


@pytest.mark.parametrize("verdict", [Verdict.UNSUPPORTED, Verdict.JUDGE_ERROR])
def test_a_verdict_that_is_not_the_solutions_fault_costs_no_try(verdict: Verdict) -> None:
    game = Game()
    game.start("ann", "bob")
    game.submit("ann")
    game.judge("ann", verdict)
    assert game.known.players["ann"].tries == 0
    assert game.known.players["ann"].attempts == 1


@pytest.mark.parametrize(("free_verdicts", "tries"), [(None, 0), (0, 4), (3, 1), (4, 0)])
def test_free_verdicts_are_free_for_so_many_times(free_verdicts: int | None, tries: int) -> None:
    game = Game(free_verdicts=free_verdicts)
    game.start("ann", "bob")
    for verdict in (Verdict.UNSUPPORTED, Verdict.JUDGE_ERROR) * 2:
        game.submit("ann")
        game.judge("ann", verdict)
    assert game.known.players["ann"].tries == tries
    game.submit("bob")
    game.judge("bob", Verdict.UNSUPPORTED)
    assert game.known.players["bob"].tries == int(free_verdicts == 0)


def test_a_game_from_before_there_was_the_rule_folds_as_it_did() -> None:
    created = encode_events(Game().events).replace(b',"free_verdicts":null', b"")
    assert b"free_verdicts" not in created
    (event,) = decode_events(created)
    assert isinstance(event, GameCreated)
    assert event.rules.free_verdicts is None


def test_a_verdict_from_before_it_told_the_tries_is_told_without_them() -> None:
    game = Game()
    game.start("ann", "bob")
    game.submit("ann")
    judged = encode_events(game.judge("ann", Verdict.INVALID))
    (event,) = decode_events(judged.replace(b',"attempts":1', b""))
    assert encode_events([event]) == judged.replace(b',"attempts":1', b"") != judged
    assert isinstance(event, SubmissionJudged)
    assert public_event(event).attempts is None  # type: ignore[attr-defined] # of the type that says so


def test_a_lost_player_leaves_after_the_grace() -> None:
    game = Game(grace_ms=30_000)
    game.start("ann", "bob")
    game.do(Disconnect("ann", "c-ann"))
    assert game.wait(29_999) == []
    events = game.wait(1)
    assert isinstance(events[0], PlayerLeft)


def test_all_whom_a_process_has_lost_are_lost_at_once_after_what_was_due() -> None:
    game = Game(min_players=3, waiting_ttl_ms=60_000, grace_ms=10_000)
    game.join("ann", "bob", "cid")
    game.do(Disconnect("cid", "c-cid"))
    game.now += 10_000
    lost = (Disconnect("bob", "stale"), Disconnect("cid", "c-cid"), Disconnect("ann", "c-ann"))
    assert game.types(game.do(Tick(lost))) == ["PlayerLeft", "PlayerDisconnected"]
    assert [player.connection_id for player in game.known.active_players] == [None, "c-bob"]
    game.now += 60_000
    assert game.types(game.do(Tick((Disconnect("bob", "c-bob"),)))) == ["PlayerLeft", "GameFinished"]


def test_a_player_back_in_time_stays() -> None:
    game = Game(grace_ms=30_000)
    game.start("ann", "bob")
    game.do(Disconnect("ann", "c-ann"))
    game.do(Join("ann", "Ann", "c-2"))
    assert game.wait(30_000) == []
    assert game.known.players["ann"].connection_id == "c-2"


def test_the_end_of_a_replaced_connection_is_no_loss() -> None:
    game = Game()
    game.join("ann")
    game.do(Join("ann", "Ann", "c-2"))
    assert game.do(Disconnect("ann", "c-ann")) == []


def test_a_running_game_that_all_have_left_is_abandoned() -> None:
    game = Game()
    game.start("ann", "bob")
    game.do(LeaveGame("ann"))
    events = game.do(LeaveGame("bob"))
    assert isinstance(events[-1], GameFinished)
    assert events[-1].reason is FinishReason.ABANDONED


def test_a_game_that_never_starts_expires() -> None:
    game = Game(waiting_ttl_ms=1000)
    events = game.wait(1000)
    assert isinstance(events[-1], GameFinished)
    assert events[-1].reason is FinishReason.EXPIRED


def test_a_repeated_message_id_is_applied_once() -> None:
    game = Game()
    game.start("ann", "bob")
    first = game.submit("ann", cause="m1")
    game.judge("ann", Verdict.WRONG_ANSWER)
    assert game.submit("ann", cause="m1") == []
    assert game.known.players["ann"].seen["m1"] == first[0].seq


def test_only_the_last_256_message_ids_are_remembered() -> None:
    game = Game()
    game.join("ann")
    for number in range(300):
        game.do(SetReady("ann", number % 2 == 0, f"m{number}"))
    assert len(game.known.players["ann"].seen) == 256
    assert "m43" not in game.known.players["ann"].seen
    assert "m44" in game.known.players["ann"].seen


def test_attempts_are_bounded() -> None:
    game = Game(max_attempts=1)
    game.start("ann", "bob")
    game.submit("ann")
    game.judge("ann", Verdict.WRONG_ANSWER)
    assert_rejected(Rejection.NOT_ALLOWED, game.submit, "ann")


def test_a_stranger_may_do_nothing() -> None:
    game = Game()
    game.start("ann", "bob")
    assert_rejected(Rejection.NOT_ALLOWED, game.submit, "eve")
    assert game.do(LeaveGame("eve")) == []


def test_who_leaves_by_two_connections_leaves_once() -> None:
    game = Game()
    game.join("ann", "bob")
    game.do(LeaveGame("ann"))
    assert game.do(LeaveGame("ann")) == []


def test_who_was_removed_is_out_and_stays_out() -> None:
    game = Game()
    game.join("ann", "bob")
    (left,) = game.do(Remove("ann"))
    assert isinstance(left, PlayerLeft)
    assert left.reason is LeaveReason.REMOVED
    with pytest.raises(Rejected) as rejected:
        game.do(Join("ann", "Ann", "c-2"))
    assert rejected.value.code is Rejection.REMOVED
    with pytest.raises(Rejected):
        game.do(Remove("ann"))
    with pytest.raises(Rejected):
        game.do(Remove("nobody"))


def test_a_race_all_but_the_removed_have_finished_ends() -> None:
    game = Game(finish=FinishRule.ALL_DONE)
    game.start("ann", "bob")
    game.submit("bob")
    game.judge("bob", Verdict.ACCEPTED, 8)
    assert game.types(game.do(Remove("ann"))) == ["PlayerLeft", "GameFinished"]


def test_a_race_that_is_ended_has_a_ranking_and_gives_up_what_is_judged_yet() -> None:
    game = Game(finish=FinishRule.ALL_DONE)
    game.start("ann", "bob")
    game.submit("bob")
    game.judge("bob", Verdict.ACCEPTED, 8)
    game.submit("ann")
    judged, finished = game.do(EndGame())
    assert isinstance(judged, SubmissionJudged)
    assert judged.verdict is Verdict.JUDGE_ERROR
    assert isinstance(finished, GameFinished)
    assert (finished.reason, finished.winner, finished.stayed) == (FinishReason.ENDED, "bob", 2)
    assert [entry.player_id for entry in finished.ranking] == ["bob", "ann"]
    assert_rejected(Rejection.GAME_OVER, game.do, EndGame())


@pytest.mark.parametrize("ready", [0, 2], ids=["waiting", "countdown"])
def test_a_game_that_has_not_begun_can_be_ended(ready: int) -> None:
    game = Game()
    game.join("ann", "bob")
    for player in ("ann", "bob")[:ready]:
        game.do(SetReady(player, True))
    (finished,) = game.do(EndGame())
    assert isinstance(finished, GameFinished)
    assert (finished.reason, finished.winner, finished.stayed) == (FinishReason.ENDED, None, 0)


def test_only_takeovers_of_a_connection_that_is_up_are_remembered_as_such() -> None:
    game = Game()
    game.join("ann")
    game.do(Disconnect("ann", "c-ann"))
    game.do(Join("ann", "Ann", "c-1"))
    assert game.known.players["ann"].replaced_at == ()
    for number in range(2, 40):
        game.now += 1
        game.do(Join("ann", "Ann", f"c-{number}"))
    times = game.known.players["ann"].replaced_at
    assert times == tuple(range(game.now - REMEMBERED_REPLACEMENTS + 1, game.now + 1))


def test_an_event_says_whether_it_is_the_players_first() -> None:
    game = Game(min_players=2)
    joined = game.do(Join("ann", "Ann", "c1"))
    ready = [game.do(SetReady("ann", status)) for status in (True, False, True)]
    game.do(LeaveGame("ann"))
    again = game.do(Join("ann", "Ann", "c2"))
    firsts = [getattr(events[0], "first", None) for events in (joined, *ready, again, game.do(SetReady("ann", True)))]
    assert firsts == [True, True, False, False, False, False]
    assert list(decode_events(encode_events(ready[0]))) == ready[0], "it is in the log"
