"""The bytes of every message of the server: clients in the field rely on them, order and spelling included."""

import json
from typing import Final

import pytest

from app.protocol import (
    SENT_TYPES,
    AckData,
    DisconnectData,
    ErrorData,
    EventData,
    PlayerCard,
    PlayerProgressData,
    PongData,
    Problem,
    RankingEntry,
    ServerData,
    StartedPlayer,
    TestReport,
    TokenExpiringData,
    VisibleTest,
    WelcomeData,
    encode_event,
    encode_message,
)
from app.protocol import server as wire
from app.vocabulary import ErrorCode, FinishReason, FinishRule, LeaveReason, MemberStatus, Phase, ReadyStatus, Verdict

PROBLEM: Final = Problem("sum", "Sum", "easy", "Add.", "def solve(a, b): ...", [VisibleTest([1, 2], 3)])
PROBLEM_TEXT: Final = (
    '{"id":"sum","title":"Sum","difficulty":"easy","statement":"Add.","starter":"def solve(a, b): ...",'
    '"tests":[{"args":[1,2],"expected":3}]}'
)
RANKING: Final = [RankingEntry(1, "ann", "Ann", True, 3, 1, 2500), RankingEntry(2, "bob", "Bob", False, 0, 0, None)]
RANKING_TEXT: Final = (
    '[{"rank":1,"player_id":"ann","name":"Ann","accepted":true,"tests_passed":3,"attempts":1,"solved_ms":2500},'
    '{"rank":2,"player_id":"bob","name":"Bob","accepted":false,"tests_passed":0,"attempts":0,"solved_ms":null}]'
)
AT: Final = 1_700_000_000_000
EVENTS: Final[list[tuple[EventData, str]]] = [
    (wire.GameCreatedData("g", "ann", at=AT), '{"game_id":"g","host_id":"ann","at":1700000000000}'),
    (wire.PlayerJoinedData("ann", "Änn", at=AT), '{"player_id":"ann","name":"Änn","at":1700000000000}'),
    (wire.PlayerReadyData("ann", ReadyStatus.READY, at=AT), '{"player_id":"ann","status":"ready","at":1700000000000}'),
    (
        wire.PlayerReadyData("ann", ReadyStatus.NOT_READY, at=AT),
        '{"player_id":"ann","status":"not_ready","at":1700000000000}',
    ),
    (wire.CountdownStartedData(AT + 3_000, at=AT), '{"starts_at":1700000003000,"at":1700000000000}'),
    (wire.CountdownCancelledData(at=AT), '{"at":1700000000000}'),
    (
        wire.GameStartedData(PROBLEM, AT, AT + 60_000, [StartedPlayer("ann", "Ann")], at=AT),
        (
            f'{{"problem":{PROBLEM_TEXT},"starts_at":1700000000000,"ends_at":1700000060000,'
            '"players":[{"player_id":"ann","name":"Ann"}],"at":1700000000000}'
        ),
    ),
    (
        wire.CodeSubmittedData("ann", 2, "python", 81, at=AT),
        '{"player_id":"ann","attempt":2,"language":"python","size":81,"at":1700000000000}',
    ),
    (
        wire.SubmissionJudgedData("ann", 2, Verdict.WRONG_ANSWER, 1, 3, 40, 1, at=AT),
        (
            '{"player_id":"ann","attempt":2,"verdict":"wrong_answer","tests_passed":1,"tests_total":3,"duration_ms":40,'
            '"attempts":1,"at":1700000000000}'
        ),
    ),
    (
        wire.PlayerDisconnectedData("ann", AT + 30_000, at=AT),
        '{"player_id":"ann","grace_until":1700000030000,"at":1700000000000}',
    ),
    (wire.PlayerReconnectedData("ann", at=AT), '{"player_id":"ann","at":1700000000000}'),
    (
        wire.PlayerLeftData("ann", LeaveReason.REMOVED, at=AT),
        '{"player_id":"ann","reason":"removed","at":1700000000000}',
    ),
    (
        wire.GameFinishedData(FinishReason.FIRST_ACCEPTED, "ann", RANKING, at=AT),
        f'{{"reason":"first_accepted","winner":"ann","ranking":{RANKING_TEXT},"at":1700000000000}}',
    ),
]
SNAPSHOT: Final = wire.GameSnapshot(
    game_id="g",
    state=Phase.WAITING,
    host_id="ann",
    created_at=AT,
    min_players=2,
    max_players=8,
    time_limit_s=900.0,
    finish=FinishRule.ALL_DONE,
    problem=wire.ProblemCard("sum", "Sum", "easy"),
    players=[wire.PlayerState("ann", "Ann", MemberStatus.ACTIVE, True, False, 1, 2, False, True, 3)],
    starts_at=None,
    ends_at=None,
    reason=None,
    winner=None,
    ranking=[],
)
SNAPSHOT_TEXT: Final = (
    '{"game_id":"g","state":"waiting","host_id":"ann","created_at":1700000000000,"min_players":2,"max_players":8,'
    '"time_limit_s":900.0,"finish":"all_done","problem":{"id":"sum","title":"Sum","difficulty":"easy"},'
    '"players":[{"player_id":"ann","name":"Ann","status":"active","ready":true,"connected":false,"attempts":1,'
    '"tests_passed":2,"accepted":false,"judging":true,"tests_total":3}],'
    '"starts_at":null,"ends_at":null,"reason":null,"winner":null,"ranking":[]}'
)
MESSAGES: Final[list[tuple[ServerData, str]]] = [
    (
        WelcomeData(
            "c", PlayerCard("ann", "Ann"), SNAPSHOT, 3, True, 20.0, {"max_batch": 50}, AT, "r", ["ready", "batch"]
        ),
        (
            f'{{"connection_id":"c","player":{{"player_id":"ann","name":"Ann"}},"game":{SNAPSHOT_TEXT},"last_seq":3,'
            '"resumed":true,"heartbeat_s":20.0,"limits":{"max_batch":50},"server_time":1700000000000,"replica":"r",'
            '"accepts":["ready","batch"]}'
        ),
    ),
    (PlayerProgressData("ann"), '{"player_id":"ann"}'),
    (PlayerProgressData("ann", lines=3), '{"player_id":"ann","lines":3}'),
    (PlayerProgressData("ann", 33.5, 4), '{"player_id":"ann","percent":33.5,"lines":4}'),
    (
        wire.SubmissionResultData(1, Verdict.ACCEPTED, "", [TestReport("1, 2", "3", "3", True)]),
        (
            '{"attempt":1,"verdict":"accepted","detail":"",'
            '"tests":[{"input":"1, 2","expected":"3","got":"3","passed":true}]}'
        ),
    ),
    (PongData(1, AT), '{"timestamp":1,"server_time":1700000000000}'),
    (PongData(1.5, AT), '{"timestamp":1.5,"server_time":1700000000000}'),
    (AckData("a"), '{"id":"a"}'),
    (AckData("a", 7), '{"id":"a","seq":7}'),
    (ErrorData(ErrorCode.INVALID_JSON, "no"), '{"code":"invalid_json","message":"no"}'),
    (
        ErrorData(ErrorCode.RATE_LIMITED, "no", "a", 0, 200),
        '{"code":"rate_limited","message":"no","id":"a","index":0,"retry_after_ms":200}',
    ),
    (TokenExpiringData(AT), '{"expires_at":1700000000000}'),
    (
        DisconnectData(1012, "draining", "deploy", True, 1500),
        '{"code":1012,"reason":"draining","message":"deploy","reconnect":true,"retry_after_ms":1500}',
    ),
]


@pytest.mark.parametrize(("data", "text"), EVENTS, ids=lambda one: getattr(one, "type", ""))
def test_the_bytes_of_a_durable_event(data: EventData, text: str) -> None:
    assert encode_event(data, 9) == f'{{"type":"{data.type}","data":{text},"seq":9}}'.encode()


@pytest.mark.parametrize(("data", "text"), MESSAGES, ids=lambda one: getattr(one, "type", ""))
def test_the_bytes_of_a_message_about_the_moment(data: ServerData, text: str) -> None:
    assert encode_message(data) == f'{{"type":"{data.type}","data":{text}}}'.encode()


def test_every_message_stands_here() -> None:
    assert {data.type for data, _ in (*EVENTS, *MESSAGES)} == set(SENT_TYPES)
    assert all(json.loads(text) for _, text in (*EVENTS, *MESSAGES))
