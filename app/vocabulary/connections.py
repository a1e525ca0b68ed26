"""Words of connections: how they begin and end, over WebSockets and over HTTP."""

from enum import StrEnum


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


class HandshakeAnswer(StrEnum):
    """What a client who tried to connect was answered."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


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

    `unread`: its answer was not taken; `no_descriptors`: there were no file descriptors left to serve it with;
    `worker_full`: its game's worker takes no more of what others accept, or not so long a request.
    """

    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    NOT_SUPPORTED = "not_supported"
    TOO_MANY = "too_many"
    NO_DESCRIPTORS = "no_descriptors"
    UNREAD = "unread"
    WORKER_FULL = "worker_full"


class Handover(StrEnum):
    """What became of a connection that was accepted by another worker than its game's.

    `sent` and `taken` are the two sides of one that went well; `full`: its game's worker takes no more, `too_long`: nor
    so much as has come of it; `lost`: it came, but could not be taken.
    """

    SENT = "sent"
    TAKEN = "taken"
    FULL = "full"
    TOO_LONG = "too_long"
    LOST = "lost"


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


class ErrorReason(StrEnum):
    """The reasons of error answers beside those of `HandshakeOutcome` and `HttpRejection`."""

    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    OTHER = "other"


class ClientName(StrEnum):
    """Our own clients, as they name themselves in ``?client=name/version``."""

    PYTHON = "code-racer-python"
    JAVASCRIPT = "code-racer-javascript"
    PAGE = "code-racer-page"
    BOT = "code-racer-bot"
    CANARY = "code-racer-canary"


class DisconnectOrder(StrEnum):
    """Where the ``disconnect`` message before a close frame stands."""

    LAST = "after what waits"
    ALONE = "instead of what waits"
    NONE = "none"


class WsTransport(StrEnum):
    """What carries the frames of a WebSocket; the values of WS_TRANSPORT."""

    LEAN = "lean"
    UVICORN = "uvicorn"
