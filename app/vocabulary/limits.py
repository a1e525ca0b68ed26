"""Words of limits and of overload."""

from enum import StrEnum


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
    OPS_REQUESTS_PER_OPERATOR = "ops_requests_per_operator"


class LimitMode(StrEnum):
    """Whether an exceeded limit refused anything."""

    ENFORCED = "enforced"
    DRY_RUN = "dry_run"


class OverloadCause(StrEnum):
    """Why new connections are refused."""

    LOOP_LAG = "loop_lag"
    MEMORY = "memory"
