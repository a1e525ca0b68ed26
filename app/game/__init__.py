"""The rules of a race, pure: `decide` turns a command into events, `evolve` folds events into state.

Clock and randomness come in as arguments; there is no I/O, no logging and no measuring in here.
"""

from app.game.budget import unbounded
from app.game.commands import (
    Command,
    Create,
    Disconnect,
    EndGame,
    Join,
    LeaveGame,
    PlayerCommand,
    RecordVerdict,
    Remove,
    SetReady,
    Submit,
    Tick,
)
from app.game.erasing import erased
from app.game.events import (
    EVENTS,
    CodeSubmitted,
    CountdownCancelled,
    CountdownStarted,
    GameCreated,
    GameEvent,
    GameFinished,
    GameStarted,
    PlayerDisconnected,
    PlayerJoined,
    PlayerLeft,
    PlayerReady,
    PlayerReconnected,
    Rules,
    SubmissionJudged,
)
from app.game.joining import misses_end, refusal
from app.game.public import public_event, public_result, snapshot
from app.game.rejection import Rejected
from app.game.rules import deadline, decide
from app.game.state import GameState, Player, evolve, fold
from app.protocol import Problem, RankingEntry, StartedPlayer, TestReport, VisibleTest
from app.vocabulary import FinishReason, LeaveReason, Phase, Verdict

__all__ = [
    "EVENTS",
    "CodeSubmitted",
    "Command",
    "CountdownCancelled",
    "CountdownStarted",
    "Create",
    "Disconnect",
    "EndGame",
    "FinishReason",
    "GameCreated",
    "GameEvent",
    "GameFinished",
    "GameStarted",
    "GameState",
    "Join",
    "LeaveGame",
    "LeaveReason",
    "Phase",
    "Player",
    "PlayerCommand",
    "PlayerDisconnected",
    "PlayerJoined",
    "PlayerLeft",
    "PlayerReady",
    "PlayerReconnected",
    "Problem",
    "RankingEntry",
    "RecordVerdict",
    "Rejected",
    "Remove",
    "Rules",
    "SetReady",
    "StartedPlayer",
    "SubmissionJudged",
    "Submit",
    "TestReport",
    "Tick",
    "Verdict",
    "VisibleTest",
    "deadline",
    "decide",
    "erased",
    "evolve",
    "fold",
    "misses_end",
    "public_event",
    "public_result",
    "refusal",
    "snapshot",
    "unbounded",
]
