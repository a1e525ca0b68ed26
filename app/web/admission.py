"""Admission: everything that is checked before a connection is taken, in the order of protocol.md.

The WebSocket handshake and a plain GET of the same URL ask the same question and get the same answer.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from litestar.connection import ASGIConnection

from app.eventlog import LogUnavailable
from app.game import GameState, Phase
from app.realtime import Hub, Room
from app.telemetry.observer import HandshakeOutcome, ResumeOutcome
from app.web.auth import Authenticator, AuthError, Identity, find_token
from app.web.errors import Problem, ProblemError
from app.web.origins import OriginPolicy

Connection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who asks for which game, and from where the connection resumes."""

    identity: Identity
    game_id: str
    last_seq: int | None


@dataclass(frozen=True, slots=True)
class Admission:
    """The checks; `retry_after_ms` is told while the service is going down."""

    authenticator: Authenticator
    origins: OriginPolicy
    hub: Hub
    retry_after_ms: Callable[[], int]

    def identify(self, connection: Connection, game_id: str, subprotocols: Sequence[str]) -> Admitted:
        """All that can be told without the game. Raises ProblemError."""
        query = connection.query_params
        key = _game_id(game_id)
        last_seq = _last_seq(query.get("last_seq"))
        self.require_origin(connection)
        identity = self.authenticate(connection, query.get("token"), subprotocols)
        if self.hub.draining:
            raise _refuse(
                HTTPStatus.SERVICE_UNAVAILABLE,
                HandshakeOutcome.DRAINING,
                "the service is restarting; come back in a moment",
                self.retry_after_ms(),
            )
        return Admitted(identity, key, last_seq)

    def require_origin(self, connection: Connection) -> None:
        """Refuse foreign origins. Raises ProblemError."""
        headers = connection.headers
        if not self.origins.allows(
            headers.get("origin"), scheme=str(connection.scope["scheme"]), host=headers.get("host")
        ):
            raise _refuse(
                HTTPStatus.FORBIDDEN,
                HandshakeOutcome.ORIGIN_REFUSED,
                "this origin is not allowed; add it to CORS_ALLOWED_ORIGINS",
            )

    def authenticate(
        self, connection: Connection, query_token: str | None = None, subprotocols: Sequence[str] = ()
    ) -> Identity:
        """The player behind a request. Raises ProblemError."""
        try:
            return self.authenticator.verify(find_token(connection.headers, query_token, subprotocols))
        except AuthError as error:
            raise _refuse(
                HTTPStatus.UNAUTHORIZED, HandshakeOutcome.UNAUTHORIZED, f"Authentication required: {error}"
            ) from None

    @staticmethod
    def require_place(room: Room | None, admitted: Admitted) -> Room:
        """The game must exist and take this player. Raises ProblemError."""
        if room is None:
            raise _refuse(
                HTTPStatus.NOT_FOUND,
                HandshakeOutcome.NO_SUCH_GAME,
                "no such game; it may have ended and been removed",
            )
        state = room.known
        if state.phase is Phase.FINISHED:
            _require_missed_events(state, admitted)
        elif admitted.identity.player_id not in state.players:
            _require_open_seat(state)
        return room


def resume_outcome(room: Room, last_seq: int | None) -> ResumeOutcome | None:
    """How the connection will resume."""
    return room.resume_point(last_seq)[1]


def now_ms() -> int:
    """Epoch milliseconds."""
    return int(time.time() * 1000)


def unavailable(error: LogUnavailable) -> ProblemError:
    """The answer while the event log cannot be reached."""
    return _refuse(
        HTTPStatus.SERVICE_UNAVAILABLE,
        HandshakeOutcome.UNAVAILABLE,
        f"the event log is unavailable ({type(error).__name__}); try again",
        1_000,
    )


def _refuse(
    status: HTTPStatus, outcome: HandshakeOutcome, detail: str, retry_after_ms: int | None = None
) -> ProblemError:
    return ProblemError(Problem(status, detail, outcome, retry_after_ms))


def _game_id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise _refuse(
            HTTPStatus.BAD_REQUEST, HandshakeOutcome.INVALID_GAME_ID, "the game id in the path is no UUID"
        ) from None


def _last_seq(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(2**63)):
        raise _refuse(
            HTTPStatus.BAD_REQUEST, HandshakeOutcome.INVALID_GAME_ID, "last_seq must be a whole number, 0 or more"
        )
    return int(text)


def _require_missed_events(state: GameState, admitted: Admitted) -> None:
    """A finished game only takes its own players who have not seen its end yet."""
    behind = admitted.last_seq is not None and admitted.last_seq < state.seq
    if not behind or admitted.identity.player_id not in state.players:
        raise _refuse(HTTPStatus.CONFLICT, HandshakeOutcome.GAME_OVER, "the game is over")


def _require_open_seat(state: GameState) -> None:
    if state.phase is not Phase.WAITING:
        raise _refuse(HTTPStatus.CONFLICT, HandshakeOutcome.GAME_RUNNING, "the race has begun; it takes no new players")
    if len(state.active_players) >= state.rules.max_players:
        raise _refuse(
            HTTPStatus.CONFLICT, HandshakeOutcome.GAME_FULL, f"the game has its {state.rules.max_players} players"
        )
