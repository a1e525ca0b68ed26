"""The connection to the NATS servers: requests bounded in time, subscriptions, and what is wrong with it.

The client library reconnects for ever, by itself; while it does, nothing is sent into the void: requests wait for the
connection, within their time.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final

import nats.errors
import nkeys
from nats.aio.client import RawCredentials
from nats.aio.subscription import Subscription as NatsSubscription

from app.aio.cancellation import end
from app.eventlog.nats.batch import Collector, StoredBatch
from app.eventlog.nats.client import Hear, QuickClient, message
from app.eventlog.nats.inbox import Gathering, Got, OneReply, ReplyInbox
from app.eventlog.nats.tls import read_user, tls_context
from app.eventlog.port import LogListener, LogUnavailable
from app.settings import EventLogSettings, SettingsError
from app.vocabulary import LogTrouble

PING_INTERVAL_S: Final = 2
"""With two unanswered pings a frozen server is noticed after some 6 s; the library's own 120 would be minutes."""
RECONNECT_WAIT_S: Final = 0.1
CONNECT_TIMEOUT_S: Final = 2
REOPEN_WAIT_S: Final = 1.0
CLOSE_TIMEOUT_S: Final = 2.0
MIN_SERVER: Final = (2, 11)
"""The first with batched reads of the last of many subjects, and messages with a time to live."""
MAX_OUTGOING_BYTES: Final = 1_000_000
"""Where so much waits to be sent, what may be lost is not added to it."""
REFUSALS: Final = ("authorization", "authentication", "permissions violation")


class LinkSubscription:
    """A running subscription; it outlives the client it was made with."""

    __slots__ = ("_link", "_now", "_receive", "subject")

    def __init__(self, subject: str, receive: Hear, link: "NatsLink") -> None:
        self.subject = subject
        self._receive = receive
        self._link = link
        self._now: NatsSubscription | None = None

    async def begin(self, client: QuickClient) -> None:
        """Subscribe with a client that is connected."""
        self._now = await client.receive(self.subject, self._take)

    def close(self) -> None:
        """Stop receiving; closing twice is allowed."""
        if self._now is not None:
            self._link.forget(self, self._now)
            self._now = None

    def _take(self, subject: str, headers: bytes, data: bytes) -> None:
        if self._now is not None:
            self._receive(subject, headers, data)


class NatsLink:
    """Keeps one connection, made anew where it ends (`lost` meanwhile); `listener` is told what happens to it."""

    def __init__(self, settings: EventLogSettings, replica: str) -> None:
        self.listener = LogListener()
        self._settings = settings
        self._replica = replica
        self._tls = tls_context(settings)
        self._user = read_user(settings)
        self._credentials = RawCredentials(self._user.credentials)
        self._client: QuickClient | None = None
        self._is_closed = True
        self._connected = asyncio.Event()
        self.lost = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscriptions: set[LinkSubscription] = set()
        self._fault = ""
        self._refusal = ""
        self._denied = 0
        self._refused = asyncio.Event()
        self._inbox = ReplyInbox()
        self.server_version = (0, 0)

    # ---------------------------------------------------------------- life

    async def open(self) -> None:
        """Connect to any of the servers. Raises LogUnavailable."""
        await self._connect()
        self._is_closed = False

    def reread_user(self) -> None:
        """Read the files again that say who connects: who connects from now on is who they say.

        The connection that is there stays; with a .creds file, where it is lost the library makes the next one so.

        Raises:
            SettingsError: one cannot be used; those before stay.
        """
        self._user = read_user(self._settings)
        self._credentials.data = self._user.credentials

    async def _connect(self) -> None:
        client = QuickClient(self.report)
        self._fault = self._refusal = ""
        try:
            async with asyncio.timeout(self._settings.ready_timeout_s):
                await self._connect_or_be_refused(client)
                await client.receive(f"{self._inbox.subject}.*", self._inbox.take)
                for subscription in tuple(self._subscriptions):
                    if subscription in self._subscriptions:  # else it was closed while another one began
                        await subscription.begin(client)
        except (OSError, TimeoutError, nats.errors.Error, nkeys.NkeysError) as error:
            await _close(client)
            detail = self._refusal or self._fault or f"{type(error).__name__} {error}".strip()
            raise LogUnavailable(f"cannot connect to NATS: {detail}", _connecting_trouble(detail)) from None
        version = client.connected_server_version
        if (version.major, version.minor) < MIN_SERVER:
            await _close(client)
            text = f"the NATS server is {version.major}.{version.minor}, at least 2.11 is needed"
            raise LogUnavailable(text, LogTrouble.MISCONFIGURED)
        self._client = client
        self.server_version = (version.major, version.minor)
        self._set_connected(True)

    async def _connect_or_be_refused(self, client: QuickClient) -> None:
        """Connect, or raise AuthorizationError: the library tries again what is refused, and says nothing."""
        self._refused.clear()
        connecting = asyncio.ensure_future(client.connect(**self._options()))
        refused = asyncio.ensure_future(self._refused.wait())
        try:
            await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise nats.errors.AuthorizationError
            await connecting
        finally:
            connecting.cancel()
            refused.cancel()

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        with contextlib.suppress(SettingsError):  # a file of no use: the one before stays
            self.reread_user()
        return {
            "servers": settings.event_log_url.split(","),
            "name": f"code-racer {self._replica}",
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
            "closed_cb": self._on_closed,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "reconnect_time_wait": RECONNECT_WAIT_S,
            "max_reconnect_attempts": -1,
            "ping_interval": PING_INTERVAL_S,
            "max_outstanding_pings": 2,
            "no_echo": True,
            "tls": self._tls,
            "user": settings.nats_user or None,
            "password": settings.nats_password.get_secret_value() or None,
            "user_credentials": self._credentials if self._user.credentials else None,
            "nkeys_seed_str": self._user.nkey_seed or None,
        }

    async def close(self) -> None:
        """End the connection; what is under way fails at once, and so does what is asked from now on."""
        self._is_closed = True
        self.lost.set()
        self._connected.set()  # who waits for it is told that there will be none
        self._inbox.end()
        await end(self._tasks)
        if self._client is not None:
            await _close(self._client)
            self._client = None

    # ---------------------------------------------------------------- asking

    async def request(
        self,
        subject: str,
        payload: bytes,
        timeout_s: float,
        headers: dict[str, str] | None = None,
        ahead: bytes = b"",
    ) -> bytes:
        """Ask, and wait for the one answer; `ahead` (`message`) is sent just before, and not answered.

        Raises:
            LogUnavailable: NO_LEADER where nobody is there to answer, FULL where the servers take no message so large;
                otherwise it may have been done all the same.
        """
        return await self._ask(subject, payload, timeout_s, OneReply(), headers, ahead)

    async def batch(self, subject: str, payload: bytes, timeout_s: float) -> StoredBatch:
        """Ask, and gather the answers, one message each, up to the one that says that there are no more."""
        return await self._ask(subject, payload, timeout_s, Collector())

    async def _ask(
        self,
        subject: str,
        payload: bytes,
        timeout_s: float,
        gathering: Gathering[Got],
        headers: dict[str, str] | None = None,
        ahead: bytes = b"",
    ) -> Got:
        client = await self._ready(timeout_s)
        if len(payload) > client.max_payload:
            raise LogUnavailable(f"{len(payload)} bytes on {subject} are too many for one message", LogTrouble.FULL)
        denied = self._denied

        def ask(reply: str) -> None:
            client.send(ahead + message(subject, payload, reply, headers))

        try:
            return await self._inbox.to(ask, gathering, timeout_s)
        except TimeoutError:
            self.require_open()
            trouble = LogTrouble.DENIED if self._denied != denied else LogTrouble.TIMEOUT
            raise LogUnavailable(f"no answer on {subject} within {timeout_s:g} s", trouble) from None
        except nats.errors.Error as error:
            raise LogUnavailable(f"{type(error).__name__} on {subject}: {error}", LogTrouble.UNREACHABLE) from None

    def publish(self, subject: str, payload: bytes) -> None:
        """Publish what may be lost; dropped where too much waits already."""
        client = self._client
        if client is None or not self._connected.is_set() or client.pending_data_size > MAX_OUTGOING_BYTES:
            self.listener.on_broadcast_dropped()
            return
        client.send(message(subject, payload))

    async def subscribe(self, subject: str, receive: Hear) -> LinkSubscription:
        """Call `receive` with every message from now on. Raises LogUnavailable."""
        client = await self._ready(self._settings.nats_timeout_s)
        subscription = LinkSubscription(subject, receive, self)
        try:
            await subscription.begin(client)
        except (OSError, nats.errors.Error) as error:
            raise LogUnavailable(f"{type(error).__name__} on {subject}: {error}", LogTrouble.UNREACHABLE) from None
        self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: LinkSubscription, now: NatsSubscription) -> None:
        """End a subscription."""
        self._subscriptions.discard(subscription)
        self._spawn(_unsubscribe(now), "nats unsubscribe")

    def report(self, where: str, error: BaseException) -> None:
        """Report a fault of a subscriber to the listener."""
        self.listener.on_fault(where, error)

    # ---------------------------------------------------------------- inside

    def _set_connected(self, is_connected: bool) -> None:
        true, false = (self._connected, self.lost) if is_connected else (self.lost, self._connected)
        true.set()
        false.clear()

    async def _ready(self, timeout_s: float) -> QuickClient:
        """Wait for the client to be connected. Raises LogUnavailable."""
        self.require_open()
        if not self._connected.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._connected.wait()
            except TimeoutError:
                self.require_open()
                raise LogUnavailable(f"no connection to NATS: {self._fault}", LogTrouble.UNREACHABLE) from None
            self.require_open()
        if self._client is None:
            raise _not_open()
        return self._client

    def require_open(self) -> None:
        """Raise LogUnavailable where nobody is to be asked any more, or not yet."""
        if self._is_closed:
            raise _not_open()

    async def _reopen(self) -> None:
        """Connect anew where the library has given up, as it does where the server refuses the credentials."""
        while True:
            await asyncio.sleep(REOPEN_WAIT_S)
            try:
                await self._connect()
            except LogUnavailable as error:
                self.listener.on_trouble(error.trouble, str(error))
            except Exception as error:  # noqa: BLE001 - whoever gave up here would never be connected again
                self.listener.on_fault("nats reopen", error)
            else:
                self.listener.on_restored()
                return

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.listener.on_trouble(LogTrouble.OTHER, f"{task.get_name()}: {type(error).__name__}")

    async def _on_error(self, error: Exception) -> None:
        self._fault = f"{type(error).__name__} {error}".strip()
        if any(word in self._fault.lower() for word in REFUSALS):  # the library has no types for all of them
            self._denied += 1
            self._refusal = self._fault
            self._refused.set()
            self.listener.on_trouble(LogTrouble.DENIED, self._fault)
            if self._client is not None and not self._connected.is_set():  # it would try for ever as whom it was
                self._spawn(_close(self._client), "nats refused")
        elif not isinstance(error, (nats.errors.Error, OSError, TimeoutError)):  # of what receives: a fault of ours
            self.listener.on_trouble(LogTrouble.OTHER, type(error).__name__)

    async def _on_disconnected(self) -> None:
        if self._connected.is_set() and not self._is_closed:
            self._set_connected(False)
            self.listener.on_trouble(LogTrouble.UNREACHABLE, self._fault or "the connection to NATS was lost")

    async def _on_reconnected(self) -> None:
        self._fault = ""
        self._set_connected(True)
        self.listener.on_restored()

    async def _on_closed(self) -> None:
        client, self._client = self._client, None
        if self._is_closed or client is None:  # one that never was connected: whoever tried knows
            return
        self._set_connected(False)
        error = client.last_error
        detail = f"{type(error).__name__} {error}" if error else "the connection to NATS has ended"
        self.listener.on_trouble(_connecting_trouble(detail), detail)
        self._spawn(self._reopen(), "nats reopen")


async def _close(client: QuickClient) -> None:
    """Close within a time: the library would wait for a peer that does not answer, and send to one that is gone."""
    if not client.is_connected:
        client.forget()
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await client.close()


async def _unsubscribe(subscription: NatsSubscription) -> None:
    with contextlib.suppress(nats.errors.Error):  # the connection has ended, and all subscriptions with it
        await subscription.unsubscribe()


def _not_open() -> LogUnavailable:
    return LogUnavailable("the event log is not open", LogTrouble.UNREACHABLE)


def _connecting_trouble(detail: str) -> LogTrouble:
    refused = any(word in detail.lower() for word in REFUSALS)
    return LogTrouble.DENIED if refused else LogTrouble.UNREACHABLE
