"""The vocabulary: the closed lists of words that the wire, the settings, the metrics and the logs share.

A word stands here once, is the value of a label, of a log field or of a setting, and is never renamed: dashboards,
alerts and clients know it. This module imports nothing of ours, so that every other may import it.
"""

from enum import StrEnum

# ------------------------------------------------------------------------------------ a connection


class HandshakeOutcome(StrEnum):
    """How an attempt to connect ended."""

    ACCEPTED = "accepted"
    INVALID_GAME_ID = "invalid_game_id"
    UNAUTHORIZED = "unauthorized"
    ORIGIN_REFUSED = "origin_refused"
    NO_SUCH_GAME = "no_such_game"
    GAME_FULL = "game_full"
    GAME_RUNNING = "game_running"
    GAME_OVER = "game_over"
    LEFT = "left"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    DRAINING = "draining"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal_error"
    ABANDONED = "abandoned"
    BAD_REQUEST = "bad_request"
    NO_SUCH_PATH = "no_such_path"


class HttpRoute(StrEnum):
    """Whose a request over HTTP is: a template of the API's, a group, or `other`: a path that nobody serves so."""

    GUESTS = "/api/guests"
    TICKETS = "/api/tickets"
    GAMES = "/api/games"
    GAME = "/api/games/{game_id}"
    SUBMISSION = "/api/games/{game_id}/submissions/{attempt}"
    PLAYER = "/api/games/{game_id}/players/{player_id}"
    PROBLEMS = "/api/problems"
    SOCKET = "/ws/{game_id}"
    SCHEMA = "schema"
    OPS = "ops"
    PAGE = "page"
    OTHER = "other"


class HttpRejection(StrEnum):
    """Why a request was refused before it reached the application.

    `unread`: its answer was not taken; `no_descriptors`: there were no file descriptors left to serve it with.
    """

    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    NOT_SUPPORTED = "not_supported"
    TOO_MANY = "too_many"
    NO_DESCRIPTORS = "no_descriptors"
    UNREAD = "unread"


class Initiator(StrEnum):
    """Who ended the connection: `network` where the peer vanished without a close frame."""

    CLIENT = "client"
    SERVER = "server"
    NETWORK = "network"


class ClientClass(StrEnum):
    """What kind of program connects, by its user agent, where it is no release that the configuration knows."""

    CANARY = "canary"
    BROWSER = "browser"
    PYTHON = "python"
    NODE = "node"
    GO = "go"
    APP = "app"
    NONE = "none"
    OTHER = "other"


class Reconnect(StrEnum):
    """What a client does after a close."""

    NO = "no"
    YES = "yes"
    RESUME = "resume"
    NEW_TOKEN = "new_token"  # noqa: S105 - an instruction, not a token


class ResumeOutcome(StrEnum):
    """How a reconnect with ``last_seq`` went."""

    RESUMED = "resumed"
    SNAPSHOT = "snapshot"


class PingOutcome(StrEnum):
    """How a protocol ping ended; `abandoned`: the connection closed with it unanswered."""

    ANSWERED = "answered"
    TIMEOUT = "timeout"
    ABANDONED = "abandoned"


class AuthKind(StrEnum):
    """What a token in an ``auth`` message was for."""

    LOGIN = "login"
    REFRESH = "refresh"


class KeyRefresh(StrEnum):
    """How a fetch of the signing keys (JWKS) ended."""

    FETCHED = "fetched"
    FAILED = "failed"


# ------------------------------------------------------------------------------------ messages


class ErrorCode(StrEnum):
    """Codes of ``error`` messages, a closed set."""

    INVALID_JSON = "invalid_json"
    INVALID_DATA = "invalid_data"
    UNKNOWN_TYPE = "unknown_type"
    NOT_ALLOWED = "not_allowed"
    BATCH_TOO_LARGE = "batch_too_large"
    GAME_FULL = "game_full"
    GAME_RUNNING = "game_running"
    GAME_OVER = "game_over"
    AUTH_FAILED = "auth_failed"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class ClientTrouble(StrEnum):
    """What the messages of a connection were refused for; each is counted once a connection."""

    NOT_UNDERSTOOD = "not_understood"
    TOO_FAST = "too_fast"


class MessageOutcome(StrEnum):
    """How a message was answered: `error` is a fault of the server, `rejected` one of the client."""

    OK = "ok"
    REJECTED = "rejected"
    ERROR = "error"


class OutboxDepth(StrEnum):
    """How much waits in one outbox, in bytes."""

    EMPTY = "empty"
    TO_4_KIB = "to_4KiB"
    TO_64_KIB = "to_64KiB"
    TO_1_MIB = "to_1MiB"
    MORE = "more"


class Reader(StrEnum):
    """Whether a member's socket took a frame at once (`prompt`), or the frame had to wait for it (`slow`)."""

    PROMPT = "prompt"
    SLOW = "slow"


# ------------------------------------------------------------------------------------ games


class Phase(StrEnum):
    """Where a game is; it only moves forward, but for a cancelled countdown."""

    WAITING = "waiting"
    COUNTDOWN = "countdown"
    RUNNING = "running"
    FINISHED = "finished"


class Verdict(StrEnum):
    """What the judge says of a submission."""

    ACCEPTED = "accepted"
    WRONG_ANSWER = "wrong_answer"
    RUNTIME_ERROR = "runtime_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    JUDGE_ERROR = "judge_error"


class FinishReason(StrEnum):
    """Why a game ended."""

    FIRST_ACCEPTED = "first_accepted"
    ALL_DONE = "all_done"
    TIME_LIMIT = "time_limit"
    ABANDONED = "abandoned"
    EXPIRED = "expired"


class LeaveReason(StrEnum):
    """Why a player is out of the game."""

    LEFT = "left"
    GRACE_EXPIRED = "grace_expired"
    REMOVED = "removed"


class PlayerStanding(StrEnum):
    """What a player of a game is up to."""

    WAITING = "waiting"
    READY = "ready"
    RACING = "racing"
    DONE = "done"
    LOST = "lost"


class FunnelStep(StrEnum):
    """How far players come."""

    JOINED = "joined"
    READY = "ready"
    STARTED = "started"
    FINISHED = "finished"


# ------------------------------------------------------------------------------------ limits


class LimitScope(StrEnum):
    """What a limit is about; the settings of LIMITS_DRY_RUN."""

    CONNECTIONS = "connections"
    CONNECTIONS_PER_ADDRESS = "connections_per_address"
    CONNECTIONS_PER_PLAYER = "connections_per_player"
    HANDSHAKES = "handshakes"
    REPLACEMENTS = "replacements"
    MESSAGES = "messages"
    BYTES = "bytes"
    CONTROL_FRAMES = "control_frames"
    MESSAGE_SIZE = "message_size"
    BATCH_SIZE = "batch_size"
    INVALID_MESSAGES = "invalid_messages"
    COMMANDS = "commands"
    ENTRIES = "entries"
    EVENT_DELIVERIES = "event_deliveries"
    PLAYERS_PER_GAME = "players_per_game"
    EVENTS_PER_GAME = "events_per_game"
    GAMES_PER_PLAYER = "games_per_player"
    GUESTS = "guests"
    HTTP_CONNECTIONS = "http_connections"
    HTTP_CONNECTIONS_PER_ADDRESS = "http_connections_per_address"
    API_REQUESTS_PER_ADDRESS = "api_requests_per_address"
    API_REQUESTS_PER_PLAYER = "api_requests_per_player"
    GAMES_PER_ADDRESS = "games_per_address"
    SUBMISSIONS_PER_PLAYER = "submissions_per_player"


class LimitMode(StrEnum):
    """Whether an exceeded limit refused anything."""

    ENFORCED = "enforced"
    DRY_RUN = "dry_run"


class OverloadCause(StrEnum):
    """Why new connections are refused."""

    LOOP_LAG = "loop_lag"
    MEMORY = "memory"


# ------------------------------------------------------------------------------------ the event log


class LogOp(StrEnum):
    """What the event log is asked to do."""

    OPEN = "open"
    APPEND = "append"
    READ = "read"
    SUBSCRIBE = "subscribe"
    OPEN_GAMES = "open_games"
    EXPIRE = "expire"
    CLAIM = "claim"
    COUNT = "count"
    BEHIND = "behind"
    PROBE = "probe"
    REPLICAS = "replicas"
    USAGE = "usage"


class LogTrouble(StrEnum):
    """What is wrong with the event log."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    NO_LEADER = "no_leader"
    NO_STREAM = "no_stream"
    FULL = "full"
    DENIED = "denied"
    MISCONFIGURED = "misconfigured"
    BUSY = "busy"
    SLOW_CONSUMER = "slow_consumer"
    OTHER = "other"


class AppendOutcome(StrEnum):
    """How the event log answered an append."""

    ACCEPTED = "accepted"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"


# ------------------------------------------------------------------------------------ the process


class ReadyGate(StrEnum):
    """What can fail on all replicas at once; it makes a replica unready only where READY_GATES names it."""

    EVENT_LOG = "event_log"
    OVERLOAD = "overload"
    SIGNING_KEYS = "signing_keys"


class DrainPhase(StrEnum):
    """Where a drain is."""

    DELAY = "delay"
    GAMES = "games"
    CLOSING = "closing"
    SCRAPE = "scrape"
    DONE = "done"


# ------------------------------------------------------------------------------------ traces


class SpanName(StrEnum):
    """The spans besides those of messages (`message_span`)."""

    HANDSHAKE = "ws.handshake"
    REQUEST = "http.request"
    CREATE = "game.create"
    JOIN = "game.join"
    DISCONNECT = "game.disconnect"
    REMOVE = "game.remove"
    TICK = "game.tick"
    DECIDE = "game.decide"
    APPEND = "event_log.append"
    FAN_OUT = "game.fan_out"
    DELIVER = "ws.deliver"
    JUDGE = "judge.submission"
    JUDGE_RUN = "judge.run"


class LateCause(StrEnum):
    """Why a message that was not sampled got its span after all."""

    ERROR = "error"
    REJECTED = "rejected"
    SLOW = "slow"


class SpanExport(StrEnum):
    """What became of a span: the collector took it, did not, or it found the queue full."""

    EXPORTED = "exported"
    FAILED = "failed"
    DROPPED = "dropped"


# ------------------------------------------------------------------------------------ the canary


class CanaryOutcome(StrEnum):
    """How a race of the canary ended."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    LOST = "lost"
    TIMEOUT = "timeout"
    WRONG = "wrong"
