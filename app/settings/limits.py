"""How much one connection, player, game or address may do."""

from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from app.settings.section import Listed, Section, some_of
from app.vocabulary import LimitScope

LIMIT_SCOPES: Final = tuple(scope.value for scope in LimitScope)


class LimitSettings(Section):
    """Rates and sizes of what comes over WebSockets; LIMITS_DRY_RUN names those that refuse nothing yet."""

    max_connections: int = Field(20_000, ge=1, description="connections of this replica; more are refused (503)")
    max_connections_per_address: int = Field(
        200, ge=1, description="connections per client address (IPv6: per /64); off in development"
    )
    max_connections_per_player: int = Field(10, ge=1, description="connections per player, over all games")
    handshakes_per_second: float = Field(500.0, ge=0, description="attempts to connect, all together; 0: no limit")
    handshake_burst: int = Field(2_000, ge=1, description="attempts to connect at once")
    max_replacements_per_minute: int = Field(
        5, ge=1, le=20, description="a player's connections that take over from one still up, per game"
    )
    messages_per_second: float = Field(50.0, ge=0, description="messages per connection; 0: no limit")
    message_burst: int = Field(200, ge=50, description="messages of a connection at once; a batch counts each")
    bytes_per_second: float = Field(131_072, ge=0, description="payload bytes per connection; 0: no limit")
    bytes_burst: int = Field(524_288, ge=1_024, description="payload bytes of a connection at once")
    control_frames_per_second: float = Field(
        250.0,
        ge=0,
        description="frames per connection that complete no message (ping, pong, parts); over it the client is read"
        " so fast and no faster; 0: no limit",
    )
    control_frame_burst: int = Field(2_000, ge=1, description="such frames of a connection at once")
    max_rate_limited_per_minute: int = Field(
        100, ge=1, description="more refused messages, or pauses in reading control frames, close with 4429"
    )
    rate_limit_retry_s: float = Field(5.0, ge=0, description="who is closed with 4429 is told to come back after this")
    max_message_bytes: int = Field(65_536, ge=1_024, le=16_777_216, description="longest message of a client")
    max_batch: int = Field(50, ge=1, le=1_000, description="messages in one batch")
    max_pending_messages: int = Field(32, ge=1, description="messages of one connection read ahead of handling")
    progress_interval_s: float = Field(
        0.2, ge=0, le=60, description="a player's progress is shown to the others at most so often, the newest; 0: each"
    )
    progress_deliveries_per_second: float = Field(
        10_000.0, ge=0, description="progress sent in one game, counted for each receiver; the rest waits; 0: no limit"
    )
    commands_per_second: float = Field(
        2.0, ge=0, description="ready, submit_code and leave of a player in a game; 0: no limit"
    )
    command_burst: int = Field(20, ge=1, description="such messages of a player at once")
    entries_per_minute: float = Field(
        30.0, ge=0, description="a player's connections to one game; more are refused (429); 0: no limit"
    )
    entry_burst: int = Field(20, ge=1, description="connections of a player to one game at once, one after the other")
    event_deliveries_per_second: float = Field(
        40_000.0,
        ge=0,
        description="what the players of one game cause: two events a message or connection, counted for each"
        " receiver; a game of 1,000 wants more; 0: no limit",
    )
    event_delivery_burst: int = Field(400_000, ge=1, description="the same at once")
    max_invalid_messages_per_minute: int = Field(10, ge=1, description="more of them close the connection (4400)")
    max_players_per_game: int = Field(100, ge=1, le=1_000, description="the most a game's max_players can be")
    max_events_per_game: int = Field(
        50_000,
        ge=160,
        description="events of one game, at least 20 a seat; half of them are anybody's, half in equal shares",
    )
    max_code_bytes_per_player: int = Field(
        1_048_576, ge=1_024, description="code of one player in one game, all submissions together"
    )
    max_comers_per_game: int = Field(
        500, ge=1, description="different players that come to one game over its life; its max_players may"
    )
    max_games_per_player: int = Field(50, ge=1, description="open games a player has made, on this replica")
    limits_dry_run: Listed = Field(
        (), description=f"limits that count and log but refuse nothing: all, or some of {', '.join(LIMIT_SCOPES)}"
    )

    @field_validator("limits_dry_run")
    @classmethod
    def _scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return LIMIT_SCOPES if value == ("all",) else some_of(value, LIMIT_SCOPES)

    @model_validator(mode="after")
    def _bursts_let_the_largest_pass(self) -> Self:
        if self.message_burst < self.max_batch:
            raise ValueError("MESSAGE_BURST: must be at least MAX_BATCH, or no full batch would ever pass")
        if self.bytes_burst < self.max_message_bytes:
            raise ValueError("BYTES_BURST: must be at least MAX_MESSAGE_BYTES, or no long message would ever pass")
        return self
