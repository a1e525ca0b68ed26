"""What operators do to a running service. Whatever it is, and whatever comes of it, is told: who, what, whom, why.

Each action is one method, which returns what there is to tell of it. One on what is gone, or that cannot be done now,
raises ActionRefused; one that the event log is in the way of, LogUnavailable. What lasts ends by itself (`Changes`).
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from app.console.answers import ActionRefused, gone, refused
from app.console.drains import OperatorDrain
from app.console.erasing import Eraser, Erasure
from app.console.raised import Changes
from app.console.traced import ID_OF, TraceBegun, traced
from app.eventlog import LogUnavailable
from app.game import Phase, Rejected
from app.realtime import Hub
from app.realtime.cluster.bans import CLOSED, MAX_BANS, Ban, TooManyBans
from app.telemetry.observer import Operated
from app.vocabulary import ActionOutcome, LimitScope, OperatorAction, Rejection

Outcome = dict[str, Any]
MAX_WATCHED: Final = 20
"""Each message looks whether it is of one of them."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, and why."""

    operator: str
    reason: str


@dataclass(frozen=True, slots=True)
class LogLevel:
    """The least level of log lines: what it is, how it is set; by default there are no logs to set it of."""

    get: Callable[[], str] = lambda: ""
    set: Callable[[str], None] | None = None


Tell = Callable[[Operated], None]
"""Takes down what was done, and what came of it."""


class Actions:
    """Acts on one replica, and where a player or a game is meant, on all that share the event log."""

    def __init__(self, hub: Hub, drain: OperatorDrain, eraser: Eraser, log_level: LogLevel, tell: Tell) -> None:
        self._hub = hub
        self._eraser = eraser
        self._tell = tell
        self._drain = drain
        self._level = log_level
        self._here = hub.replicas.instance
        self.changes = Changes()

    def counts(self) -> dict[OperatorAction, int]:
        """Count what is changed now, by the action that did it."""
        timed = (OperatorAction.LOG_LEVEL, OperatorAction.TRACE, OperatorAction.LIMIT_DRY_RUN)
        return {
            OperatorAction.BAN: len(self._hub.bans),
            OperatorAction.DRAIN: int(self._drain.is_on),
            **{action: self.changes.count(action) for action in timed},
        }

    @property
    def log_level(self) -> str:
        """From which level on log lines are written now; empty where none are."""
        return self._level.get()

    @property
    def bans(self) -> list[Ban]:
        """The players who are let in no more."""
        return self._hub.bans.active

    # ---------------------------------------------------------------- connections and players

    def close_connection(self, by: Acting, connection_id: str, *, comes_back: bool) -> Outcome:
        """Close one connection of this replica."""
        with self.told(OperatorAction.CLOSE_CONNECTION, connection_id, by):
            session = self._hub.connections.find(connection_id)
            if session is None:
                raise gone(self._where_else(connection_id))
            self._hub.connections.put_out(session, CLOSED, comes_back=comes_back)
            return {"player_id": session.player_id or None, "comes_back": comes_back}

    def _where_else(self, connection_id: str) -> str:
        if self._hub.replicas.is_anothers(connection_id):
            return f"it is none of this replica's: ask the one of instance {connection_id.rpartition('-')[0]}"
        return "there is no such connection, or none any more"

    def close_player(self, by: Acting, player_id: str, *, comes_back: bool) -> Outcome:
        """Close all connections of a player, on all replicas."""
        with self.told(OperatorAction.CLOSE_PLAYER, player_id, by):
            everywhere = self._hub.circle.players.count(player_id)
            here = self._hub.bans.close(player_id, comes_back=comes_back)
            if not max(everywhere, here):
                raise gone("this player has no connection")
            return {"closed": here, "elsewhere": max(0, everywhere - here), "comes_back": comes_back}

    async def remove_player(self, by: Acting, player_id: str, game_id: str) -> Outcome:
        """Put a player out of a game for good."""
        with self.told(OperatorAction.REMOVE_PLAYER, player_id, by, detail=game_id):
            state = await self._hub.rooms.state(game_id)
            if state is None or player_id not in state.players:
                raise gone("there is no such game, or the player is not in it")
            await self._hub.rooms.remove(game_id, player_id)
            return {"game_id": game_id}

    async def ban(self, by: Acting, player_id: str, for_s: float | None) -> Ban:
        """Let a player in no more, on whichever replica, for a time or for good; what is open of theirs is closed."""
        detail = "for good" if for_s is None else f"for {for_s:g} s"
        with self.told(OperatorAction.BAN, player_id, by, detail=detail):
            try:
                return await self._hub.bans.ban(player_id, for_s, by.reason, by.operator)
            except TooManyBans:
                raise refused(f"there are {MAX_BANS} bans, as many as are kept: lift one first") from None

    async def unban(self, by: Acting, player_id: str) -> Ban:
        """Let a player in again."""
        with self.told(OperatorAction.UNBAN, player_id, by):
            ban = await self._hub.bans.lift(player_id)
            if ban is None:
                raise gone("this player is not banned")
            return ban

    @property
    def is_of_a_part(self) -> bool:
        """Whether the games here are a part of all, the others in event logs of other workers."""
        return self._hub.rooms.share.of > 1 and not self._hub.is_shared

    async def erase(self, by: Acting, player_id: str) -> Erasure:
        """Erase a player's name and code in the games that are kept; the answer says what stays."""
        with self.told(OperatorAction.ERASE, player_id, by):
            erasure = await self._eraser.erase(player_id)
            if erasure is None:
                raise gone("no game that is kept here knows this player")
            return erasure

    # ---------------------------------------------------------------- games

    async def end_game(self, by: Acting, game_id: str) -> Outcome:
        """End a game of this event log; its ranking is as things stand."""
        with self.told(OperatorAction.END_GAME, game_id, by):
            if not await self._hub.rooms.end(game_id):
                raise gone("there is no such game; it may have ended and been removed")
            return {"state": Phase.FINISHED}

    # ---------------------------------------------------------------- the replica

    def drain(self, by: Acting, for_s: float) -> Outcome:
        """Have all connections go elsewhere, and take none, for a time; the process stays."""
        with self.told(OperatorAction.DRAIN, self._here, by, detail=f"for {for_s:g} s"):
            if self._hub.rooms.share.of > 1:
                raise refused(
                    "this is one worker of several, whose port they share: newcomers would come here still, and be"
                    " refused. Send players away with shed, or drain the whole service: take its address out of the"
                    " load balancer, or stop it"
                )
            if self._hub.draining and not self._drain.is_on:
                raise refused("this replica is going away")
            self._drain.begin()
            raised = self.changes.note(OperatorAction.DRAIN, "", for_s, by.operator, self._drain.stop)
            return {"connections": len(self._hub.connections), "until": raised.until}

    def undrain(self, by: Acting) -> Outcome:
        """Take connections again."""
        with self.told(OperatorAction.UNDRAIN, self._here, by):
            if not self._drain.is_on:
                raise gone("this replica is not drained by an operator")
            self.changes.undo(OperatorAction.DRAIN, "")
            return {"connections": len(self._hub.connections)}

    def shed(self, by: Acting, share: float) -> Outcome:
        """End a share of the connections, the newest: they come back after a while, also elsewhere."""
        with self.told(OperatorAction.SHED, f"{share:g}", by):
            if not len(self._hub.connections):
                raise gone("there are no connections")
            return {"closed": self._hub.connections.shed(share)}

    # ---------------------------------------------------------------- for a time

    def set_log_level(self, by: Acting, level: str, for_s: float) -> Outcome:
        """Write log lines from another level on, for a time."""
        with self.told(OperatorAction.LOG_LEVEL, level, by, detail=f"for {for_s:g} s"):
            set_level = self._level.set
            if set_level is None:
                raise refused("this service writes no logs")
            self.changes.undo(OperatorAction.LOG_LEVEL, "")
            before = self._level.get()
            set_level(level)
            raised = self.changes.note(OperatorAction.LOG_LEVEL, "", for_s, by.operator, lambda: set_level(before))
            return {"level": level, "then": before, "until": raised.until}

    async def trace(self, by: Acting, attribute: str, value: str, for_s: float) -> TraceBegun:
        """Trace all that a player, a game or a connection of this replica does, for a time.

        A player may come later; a game must be known, a connection open.
        """
        tracer = self._hub.observer.tracer
        watched = (attribute, value)
        what = f"{attribute}={value}"
        with self.told(OperatorAction.TRACE, what, by, detail=f"for {for_s:g} s"):
            if not tracer.can_watch:
                raise refused("nothing is traced here: see OTEL_EXPORTER_OTLP_ENDPOINT")
            if len(tracer.watched) >= MAX_WATCHED and watched not in tracer.watched:
                raise refused(f"{MAX_WATCHED} are traced already, as many as may be")
            connections = sum(ID_OF[attribute](one) == value for one in self._hub.connections)
            if attribute == "connection.id" and not connections:
                raise gone(self._where_else(value))
            if attribute == "game.id" and await self._hub.rooms.state(value) is None:
                raise gone("there is no such game; it may have ended and been removed")
            tracer.watched.add(watched)
            undo = partial(tracer.watched.discard, watched)
            raised = self.changes.note(OperatorAction.TRACE, what, for_s, by.operator, undo)
            return traced(attribute, raised.until, connections)

    def set_dry_run(self, by: Acting, scope: LimitScope, for_s: float, *, dry_run: bool) -> Outcome:
        """Have a limit only counted for a time, or enforced; the other again by itself."""
        mode = "dry run" if dry_run else "enforced"
        with self.told(OperatorAction.LIMIT_DRY_RUN, scope, by, detail=f"{mode} for {for_s:g} s"):
            if scope is LimitScope.MESSAGE_SIZE:
                raise refused("the size of messages is set when connections open: use LIMITS_DRY_RUN and restart")
            is_undone = self.changes.undo(OperatorAction.LIMIT_DRY_RUN, scope)
            policy = self._hub.policy
            if (scope in policy.dry_run) is dry_run:
                if is_undone:
                    return {"dry_run": dry_run, "until": None}
                raise refused(f"this limit is {mode} already")
            policy.dry_run ^= {scope}

            def undo() -> None:
                policy.dry_run ^= {scope}

            raised = self.changes.note(OperatorAction.LIMIT_DRY_RUN, scope, for_s, by.operator, undo)
            return {"dry_run": dry_run, "until": raised.until}

    # ---------------------------------------------------------------- telling it

    @contextlib.contextmanager
    def told(self, action: OperatorAction, subject: str, by: Acting, detail: str | None = None) -> Iterator[None]:
        """Tell of an action, whatever comes of it. Raises ActionRefused for what a game's rules forbid."""
        outcome = ActionOutcome.FAILED
        try:
            yield
            outcome = ActionOutcome.DONE
        except ActionRefused as error:
            outcome, detail = error.outcome, error.text
            raise
        except Rejected as rejected:
            outcome = ActionOutcome.GONE if rejected.code is Rejection.GAME_OVER else ActionOutcome.REFUSED
            detail = rejected.message
            raise ActionRefused(outcome, rejected.message) from None
        except LogUnavailable as error:
            detail = str(error)
            raise
        finally:
            self._tell(Operated(by.operator, action, subject, by.reason, outcome, detail))
