"""The ``welcome`` of a connection: the game as it is, who the player is, what the replica allows."""

from dataclasses import dataclass

from app.game import GameState, snapshot
from app.protocol import BATCH, CLIENT_TYPES, PlayerCard, WelcomeData
from app.realtime.connection.session import Session


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the welcome says besides the game, the same for all: the replica and its limits."""

    replica: str
    heartbeat_s: float
    limits: dict[str, float]

    def message(self, session: Session, name: str, state: GameState, resumed: bool, server_time: int) -> WelcomeData:
        """Make the message to one member, whose player is called `name`; `server_time` in epoch milliseconds."""
        return WelcomeData(
            connection_id=session.connection_id,
            player=PlayerCard(session.player_id, name),
            game=snapshot(state),
            last_seq=state.seq,
            resumed=resumed,
            heartbeat_s=self.heartbeat_s,
            limits=self.limits,
            server_time=server_time,
            replica=self.replica,
            accepts=[*CLIENT_TYPES, BATCH],
        )
