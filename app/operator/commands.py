"""The commands that ask or act, one a line: what each is called, whom it asks, and how its answer is shown.

The one place that knows the paths of the operators' API.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.operator.tables import REST
from app.vocabulary import ConnectionSort, ConnectionState, GameSort, HotKind, HotMeasure, LimitScope, Phase


class Reach(StrEnum):
    """Which replicas a question or an action is for."""

    LIST = "list"
    """All, as one list: the replica that is asked gathers it."""
    EACH = "each"
    """Each; what they know of one subject is put together."""
    OWNER = "owner"
    """The one that has the subject."""
    ONE = "one"
    """The one that is asked, or is named."""
    ANY = "any"
    """Whichever answers: it does it for all."""


class OptionKind(StrEnum):
    """How the value of an option is read."""

    TEXT = "text"
    COUNT = "count"
    NUMBER = "number"
    SHARE = "share"
    TIME = "time"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class OpsOption:
    """An option: `field` is what the API calls it, `--name` the command line."""

    field: str
    help: str
    kind: OptionKind = OptionKind.TEXT
    name: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False

    @property
    def flag(self) -> str:
        """What is typed."""
        return f"--{self.name or self.field.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class OpsCommand:
    """A view (GET) or an action: `subject` is the positional argument, which stands in the path as {} or is a field."""

    name: str
    help: str
    path: str
    reach: Reach
    options: tuple[OpsOption, ...] = ()
    subject: str = ""
    """What the positional argument is called; empty: there is none."""
    subject_field: str = ""
    """The field of the body that it is, where it does not stand in the path."""
    subject_choices: tuple[str, ...] = ()
    method: str = "GET"
    columns: tuple[str, ...] = ()
    more: str = ""
    """The path of what else is shown of the subject, as a table of its last word: the last rows, or as asked."""
    more_options: tuple[OpsOption, ...] = ()
    """The options that are for that."""
    by_name: str = ""
    """The path of the list that is searched for who has the subject as a name, where nothing is known of such an id."""
    order: str = ""
    """By which field, the greatest first, the rows of several replicas are put together."""
    is_gathered: bool = False
    """The one that answers asks the others for what they have of the subject."""
    owned: str = ""
    """What only the owner answers, so that the others are not told to act."""
    owned_option: str = ""
    """The option that names what has an owner; without it the command is for whom `reach` says."""
    takes_long: bool = False
    """Whether the one that answers may itself wait for others for OPS_LONG_TIMEOUT_S."""

    @property
    def acts(self) -> bool:
        """Whether it changes something, and so needs a reason."""
        return self.method != "GET"


_AFTER: Final = OpsOption("after", "events behind this one (seq), not the last ones", OptionKind.NUMBER)
_LAST: Final = OpsOption("limit", "events at most (200)", OptionKind.COUNT)
_LIMIT: Final = OpsOption("limit", "rows at most (50)", OptionKind.COUNT)
_PLAYER: Final = OpsOption("player", "of this player (id)")
_WHO: Final = OpsOption("player", "whose id or name has this part")
_FOR: Final = OpsOption("for_s", "how long, like 90s, 10m, 2h, 7d", OptionKind.TIME, name="for")
_CONNECTION: Final = OpsOption("connection", "of this connection")
_GAME: Final = OpsOption("game", "of this game")

VIEWS: Final = (
    OpsCommand("replicas", "the replicas: version, connections, drain", "/replicas", Reach.ONE,
               columns=("replica", "instance", "version", "revision", "connections", "draining", "address", "seen_s",
                        "error")),
    OpsCommand("replica", "what one replica is doing", "/replica", Reach.ONE),
    OpsCommand("settings", "the settings, secrets as fingerprints", "/settings", Reach.ONE,
               columns=("name", "value", "is_default")),
    OpsCommand(
        "connections", "who is connected, what is worst off first", "/connections", Reach.LIST,
        (_WHO, OpsOption("address", "whose address begins so"), OpsOption("client", "whose client begins so"),
         _GAME, OpsOption("state", "in this state", choices=tuple(ConnectionState)),
         OpsOption("sort", "what comes first; hurt: what is worst off", choices=tuple(ConnectionSort)), _LIMIT),
        columns=("connection_id", "player_id", "state", "age_s", "messages_in", "errors", "outbox_bytes", "rtt_s",
                 "last_error", "name", "client", "address", "game_id", "replica"),
    ),
    OpsCommand("connection", "one connection", "/connections/{}", Reach.OWNER, subject="CONNECTION"),
    OpsCommand(
        "games", "the games", "/games", Reach.LIST,
        (OpsOption("phase", "in this phase", choices=tuple(Phase)), _WHO,
         OpsOption("sort", "what comes first; hurt: what is worst off", choices=tuple(GameSort)), _LIMIT),
        columns=("game_id", "phase", "players", "members", "events_per_minute", "overdue_s", "judging", "events",
                 "spectators", "problem", "replica"),
    ),
    OpsCommand("game", "one game, with its players, connections and events", "/games/{}", Reach.OWNER,
            subject="GAME", more="/games/{}/events", more_options=(_AFTER, _LAST), is_gathered=True),
    OpsCommand("players", "who has this id or name, or a part of it", "/players", Reach.LIST, (_LIMIT,),
            subject="PART", subject_field="player",
            columns=("player_id", "name", "connections", "game_id", "replica")),
    OpsCommand("player", "one player, by id or name: connections, games, and how her last ones ended", "/players/{}",
            Reach.LIST, subject="PLAYER", by_name="/players"),
    OpsCommand("closes", "who was disconnected or refused lately, and why", "/closes", Reach.LIST, (_PLAYER, _LIMIT),
            columns=("at", "player_id", "code", "reason", "detail", "name", "initiator", "duration_s", "client",
                     "address", "replica")),
    OpsCommand("hot", "who causes most", "/hot", Reach.LIST, (
        OpsOption("by", "by what", choices=tuple(HotMeasure)),
        OpsOption("kind", "added up for each", choices=tuple(HotKind)),
    ), order="count"),
    OpsCommand("slow", "the slowest messages, with their traces", "/slow", Reach.LIST, order="duration_s"),
    OpsCommand("tasks", "where the tasks of a replica are, grouped", "/diagnostics/tasks", Reach.ONE),
    OpsCommand("bans", "who is banned, until when, by whom", "/bans", Reach.ANY, (_LIMIT,)),
    OpsCommand("changes", "who changed what, and why", "/actions", Reach.LIST, (_LIMIT,),
            columns=("at", "operator", "action", "subject", "outcome", "reason", "detail", "replica")),
    OpsCommand("alerts", "the alerts that fire", "/alerts", Reach.ANY,
               columns=("name", "severity", "since", "summary")),
    OpsCommand("log", "the last log lines", "/log", Reach.LIST, (
        OpsOption("event", "of events that begin so, like ws. or operator.acted"),
        OpsOption("level", "of this level", choices=("debug", "info", "warning", "error", "critical")), _LIMIT,
    ), columns=("timestamp", "level", "event", REST), order="timestamp"),
)  # fmt: skip

ACTIONS: Final = (
    OpsCommand("close", "close a connection", "/connections/{}/close", Reach.OWNER,
            (OpsOption("comes_back", "advise the client not to come back", OptionKind.FLAG, name="stay-away"),),
            subject="CONNECTION", method="POST", owned="/connections/{}"),
    OpsCommand("close-player", "close all connections of a player", "/players/{}/close", Reach.ANY,
            (OpsOption("comes_back", "advise her client not to come back", OptionKind.FLAG, name="stay-away"),),
            subject="PLAYER", method="POST"),
    OpsCommand("remove", "remove a player from a game", "/players/{}/remove", Reach.ANY,
            (OpsOption("game_id", "the game", name="game", is_required=True),), subject="PLAYER", method="POST"),
    OpsCommand("ban", "ban a player on every replica, for good without --for", "/bans/{}", Reach.ANY, (_FOR,),
            subject="PLAYER", method="PUT"),
    OpsCommand("unban", "end a ban", "/bans/{}", Reach.ANY, subject="PLAYER", method="DELETE"),
    OpsCommand("erase", "erase what is kept of a player; says what cannot be", "/players/{}/erase", Reach.ANY,
            subject="PLAYER", method="POST", takes_long=True),
    OpsCommand("end", "end a game", "/games/{}/end", Reach.ANY, subject="GAME", method="POST"),
    OpsCommand("drain", "have a replica send its players to the others for a time", "/drain", Reach.ONE, (_FOR,),
            method="POST"),
    OpsCommand("undrain", "take that back", "/drain", Reach.ONE, method="DELETE"),
    OpsCommand("shed", "close a share of a replica's connections, which come back elsewhere", "/shed", Reach.ONE,
            subject="SHARE", subject_field="share", method="POST"),
    OpsCommand("log-level", "change the log level for a time", "/log-level", Reach.ONE, (_FOR,), subject="LEVEL",
            subject_field="level", subject_choices=("debug", "info", "warning", "error", "critical"), method="PUT"),
    OpsCommand("trace", "trace all of one player, game or connection for a time", "/trace", Reach.ANY, (
        _PLAYER, _GAME, _CONNECTION, _FOR,
    ), method="PUT", owned="/connections/{}", owned_option="connection"),
    OpsCommand("limit-dry-run", "have a limit only count for a time, or decide again", "/limits/{}", Reach.ONE, (
        OpsOption("dry_run", "let it decide again", OptionKind.FLAG, name="off"), _FOR,
    ), subject="SCOPE", subject_choices=tuple(LimitScope), method="PUT"),
)  # fmt: skip

COLUMNS: Final = {one.name: one.columns for one in VIEWS} | {
    "ends": next(one.columns for one in VIEWS if one.name == "closes"),
    "named": next(one.columns for one in VIEWS if one.name == "players"),
    "events": ("seq", "at", "type", "player_id", REST),
}
"""By the names of lists, wherever one stands."""
COMMANDS: Final = {one.name: one for one in (*VIEWS, *ACTIONS)}
