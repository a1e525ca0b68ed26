"""All replicas, as one of them finds them when its operators ask: each tells its card, and its address.

Nothing is told while nobody looks, but one card when a replica begins. Cards go the way of what replicas tell each
other besides the games (`Coordination.broadcast`), so an address is as trustworthy as the event log is. Another replica
is asked over HTTP, by OPS_TOKEN, which says whom it is asked for and what they may do.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from app.aio.fetching import Fetched, FetchFailed, FetchRequest, fetch
from app.eventlog import Coordination, LogUnavailable
from app.realtime import Hub
from app.settings import OperatorSettings
from app.telemetry.bulkhead import Bulkhead

TOPIC: Final = "operators"
RETRY_S: Final = 1.0
ANSWER_S: Final = 1.0
"""So long is waited for the cards of the others, and so long they are good."""
MAX_CARDS: Final = 256
MAX_ANSWER_BYTES: Final = 8_388_608
EVERYWHERE: Final = {"", "::", "0.0.0.0"}  # noqa: S104 - to compare with


class ReplicaCard(Struct, frozen=True, kw_only=True):
    """What a replica tells the others of itself; `address` is host:port of its console, empty where it has none.

    `member` is how it is known to those who serve the same players (`Circle`), `worker` its number among workers.
    """

    member: str
    instance: str
    replica: str
    address: str
    version: str
    revision: str
    connections: int
    draining: bool
    worker: int = 0


class ReplicaRow(Struct, frozen=True, kw_only=True):
    """A replica as another knows it: what it told `seen_s` ago, and why not now."""

    replica: str
    instance: str
    address: str
    version: str
    revision: str
    connections: int
    draining: bool
    seen_s: float
    error: str | None = None


class _Note(Struct, frozen=True, omit_defaults=True):
    """Tells a card, and `asks` for everybody's."""

    card: ReplicaCard
    asks: bool = False


class OnBehalf(Struct, frozen=True):
    """Whom another replica is asked for: their name and right."""

    operator: str
    right: str


class Fleet:
    """Knows the cards of all replicas; `card` makes this one's."""

    def __init__(
        self, hub: Hub, coordination: Coordination, card: Callable[[str], ReplicaCard], settings: OperatorSettings
    ) -> None:
        self._circle = hub.circle
        self._rooms = hub.rooms
        self._is_log_shared = hub.is_shared
        self._reached = hub.log_health.wait_reached
        self._coordination = coordination
        self._card = card
        self._settings = settings
        self._bulkhead = Bulkhead(hub.observer.fault, "operators")
        self._address = settings.ops_address
        self._cards: dict[str, tuple[ReplicaCard, float]] = {}
        self._answered: set[str] = set()
        self._all_answered = asyncio.Event()
        self._is_located = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")
        self._decode = msgspec.json.Decoder(_Note).decode

    def listens_at(self, host: str, port: int | None) -> None:
        """Note where the console is served, if it is: others are told that, unless OPS_ADDRESS says otherwise."""
        if not self._address and port is not None:
            name = _own_address() if host in EVERYWHERE else host
            self._address = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
        self._is_located.set()

    @property
    def own(self) -> ReplicaCard:
        """The card of this replica."""
        return self._card(self._address)

    async def run(self) -> None:
        """Hear the others, and tell them this card, once: there may be others only where the log is shared."""
        if not self._coordination.shared:
            return
        await self._reached()
        await self._is_located.wait()
        while True:
            try:
                subscription = await self._coordination.subscribe(TOPIC, self._receive)
            except LogUnavailable:
                await asyncio.sleep(RETRY_S)
            else:
                break
        try:
            self._tell(asks=True)
            await asyncio.Event().wait()
        finally:
            subscription.close()

    async def rows(self) -> list[ReplicaRow]:
        """List all replicas that live, this one first."""
        await self._ask()
        now = time.monotonic()
        rows = [_row(self.own, 0.0)]
        for card, seen in sorted(self._living(), key=lambda one: one[0].replica):
            late = f"it did not answer within {ANSWER_S:g} s" if card.member not in self._answered else None
            rows.append(_row(card, now - seen, late))
        return rows

    async def others(self) -> list[ReplicaCard]:
        """List the other replicas that live."""
        await self._ask()
        return [card for card, _ in self._living()]

    async def find(self, name: str) -> ReplicaCard | None:
        """Find a replica by its name or its instance."""
        own = self.own
        if name in {own.replica, own.instance}:
            return own
        return next((card for card in await self.others() if name in {card.replica, card.instance}), None)

    async def of_game(self, game_id: str) -> ReplicaCard | None:
        """Find who has a game: of workers with an event log each the one it belongs to, if it lives, else this one."""
        own, share = self.own, self._rooms.share
        owner = own.worker if self._is_log_shared else share.owner(game_id)
        if owner == own.worker:
            return own
        return next((card for card in await self.others() if card.worker == owner), None)

    async def call(
        self, card: ReplicaCard, asked: FetchRequest, whom: OnBehalf, timeout_s: float | None = None
    ) -> Fetched:
        """Ask another replica what an operator asked this one; `asked.url` is the path and the query.

        Raises FetchFailed.
        """
        if not card.address:
            raise FetchFailed("it has told no address: see OPS_ADDRESS and OPS_PORT")
        headers = {**asked.headers, "x-operator": quote(whom.operator), "x-operator-right": whom.right}
        if token := self._settings.ops_token.get_secret_value():
            headers["authorization"] = f"Bearer {token}"
        at = FetchRequest(f"http://{card.address}{asked.url}", asked.method, headers, asked.body)
        return await fetch(at, timeout_s or self._settings.ops_timeout_s, MAX_ANSWER_BYTES)

    # ---------------------------------------------------------------- cards

    def _living(self) -> list[tuple[ReplicaCard, float]]:
        self._cards = {member: one for member, one in self._cards.items() if self._circle.lives(member)}
        return list(self._cards.values())

    @property
    def _expected(self) -> int:
        """How many others may answer: those known to live, who may have told a card before that is known."""
        return max(self._circle.size - 1, len(self._living()))

    async def _ask(self) -> None:
        """Have the others tell their cards, unless they just did; whoever asks meanwhile waits for the same answers."""
        if self._asking is None:
            if not self._coordination.shared or time.monotonic() - self._asked_at < ANSWER_S:
                return
            self._asking = asyncio.get_running_loop().create_task(self._ask_once(), name="replicas")
        await asyncio.shield(self._asking)

    async def _ask_once(self) -> None:
        self._answered.clear()
        self._all_answered.clear()
        self._tell(asks=True)
        try:
            async with asyncio.timeout(ANSWER_S if self._expected else 0):
                await self._all_answered.wait()
        except TimeoutError:
            pass
        finally:
            self._asked_at = time.monotonic()
            self._asking = None

    def _tell(self, *, asks: bool) -> None:
        with self._bulkhead:
            self._coordination.broadcast(TOPIC, msgspec.json.encode(_Note(self.own, asks)))

    def _receive(self, payload: bytes) -> None:
        note = self._decode(payload)
        member = note.card.member
        if member not in self._cards and len(self._cards) >= MAX_CARDS and len(self._living()) >= MAX_CARDS:
            return
        self._cards[member] = note.card, time.monotonic()
        self._answered.add(member)
        if len(self._answered) >= self._expected:
            self._all_answered.set()
        if note.asks:
            self._tell(asks=False)


def _own_address() -> str:
    """Find the address from which this machine reaches others, as its routes say; nothing is sent."""
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as route:
            route.connect((far, 9))
            return str(route.getsockname()[0])
    return socket.gethostname()


def _row(card: ReplicaCard, seen_s: float, error: str | None = None) -> ReplicaRow:
    return ReplicaRow(
        replica=card.replica,
        instance=card.instance,
        address=card.address,
        version=card.version,
        revision=card.revision,
        connections=card.connections,
        draining=card.draining,
        seen_s=seen_s,
        error=error,
    )
