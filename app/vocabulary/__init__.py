"""The vocabulary: the closed lists of words that the wire, the settings, the metrics and the logs share.

A word stands here once, is the value of a label, of a log field or of a setting, and is never renamed: dashboards,
alerts and clients know it. Each module has the words of its area and imports nothing of ours, so that every other may
import them.
"""

from app.vocabulary.canary import CanaryOutcome
from app.vocabulary.connections import (
    AuthKind,
    ClientClass,
    ClientName,
    DisconnectOrder,
    ErrorReason,
    Handover,
    HandshakeAnswer,
    HandshakeOutcome,
    HttpRejection,
    HttpRoute,
    Initiator,
    KeyRefresh,
    PingOutcome,
    Reconnect,
    ResumeOutcome,
    WsTransport,
)
from app.vocabulary.event_log import AppendOutcome, LogOp, LogTrouble
from app.vocabulary.games import (
    Difficulty,
    FinishReason,
    FinishRule,
    FunnelStep,
    Language,
    LeaveReason,
    MemberStatus,
    Phase,
    PlayerStanding,
    ReadyStatus,
    Rejection,
    Stop,
    Verdict,
)
from app.vocabulary.hot import HotKind, HotMeasure
from app.vocabulary.limits import LimitMode, LimitScope, OverloadCause
from app.vocabulary.messages import ClientTrouble, ErrorCode, MessageOutcome, OutboxDepth, Reader
from app.vocabulary.operators import (
    ActionOutcome,
    ConnectionSort,
    ConnectionState,
    GameSort,
    OperatorAction,
    Right,
    SortOrder,
)
from app.vocabulary.runtime import DrainPhase, Environment, ReadinessCheck
from app.vocabulary.spans import LateCause, SpanExport, SpanName
from app.vocabulary.workers import WorkerEnd, WorkerState

__all__ = [
    "ActionOutcome",
    "AppendOutcome",
    "AuthKind",
    "CanaryOutcome",
    "ClientClass",
    "ClientName",
    "ClientTrouble",
    "ConnectionSort",
    "ConnectionState",
    "Difficulty",
    "DisconnectOrder",
    "DrainPhase",
    "Environment",
    "ErrorCode",
    "ErrorReason",
    "FinishReason",
    "FinishRule",
    "FunnelStep",
    "GameSort",
    "Handover",
    "HandshakeAnswer",
    "HandshakeOutcome",
    "HotKind",
    "HotMeasure",
    "HttpRejection",
    "HttpRoute",
    "Initiator",
    "KeyRefresh",
    "Language",
    "LateCause",
    "LeaveReason",
    "LimitMode",
    "LimitScope",
    "LogOp",
    "LogTrouble",
    "MemberStatus",
    "MessageOutcome",
    "OperatorAction",
    "OutboxDepth",
    "OverloadCause",
    "Phase",
    "PingOutcome",
    "PlayerStanding",
    "Reader",
    "ReadinessCheck",
    "ReadyStatus",
    "Reconnect",
    "Rejection",
    "ResumeOutcome",
    "Right",
    "SortOrder",
    "SpanExport",
    "SpanName",
    "Stop",
    "Verdict",
    "WorkerEnd",
    "WorkerState",
    "WsTransport",
]
