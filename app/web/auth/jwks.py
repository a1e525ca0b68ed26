"""Signing keys from an identity provider (JSON Web Key Set, RFC 7517), fetched in the background.

A handshake only reads what has been fetched. A token that names an unknown key asks for one more fetch, at most
every JWKS_COOLDOWN_S, and waits for that at most JWKS_TIMEOUT_S; nobody else waits. A provider that is down changes
nothing until the keys are older than JWKS_MAX_AGE_S; then no token is believed, and clients are told to try again.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

from jwt import PyJWK

from app.realtime.identity import VerifierUnavailable
from app.settings import AuthSettings
from app.telemetry.observer import Observer
from app.vocabulary import KeyRefresh
from app.web.auth.key_set import KeySetFetch

FIRST_RETRY_S: Final = 1.0
FETCH_TIMEOUTS: Final = 2
"""A fetch may take so many times the time that one read may."""


class JwksKeys:
    """Keeps the keys that a provider publishes; `run` fetches for ever, its owner starts and ends it."""

    def __init__(self, settings: AuthSettings, observer: Observer) -> None:
        self.algorithms = settings.jwt_algorithms
        self.have_ids = True
        self._settings = settings
        self._observer = observer
        self._keys: tuple[PyJWK, ...] = ()
        self._fetched_at: float | None = None
        self._first_fetch = asyncio.Event()
        self._asked_at = -settings.jwks_cooldown_s
        self._fetching: asyncio.Task[None] | None = None
        self._under_way: KeySetFetch | None = None

    @property
    def count(self) -> int:
        """How many keys are believed now."""
        return len(self._keys) if self._is_fresh else 0

    @property
    def age_s(self) -> float:
        """How long ago the keys were fetched; 0 before the first time."""
        return 0.0 if self._fetched_at is None else time.monotonic() - self._fetched_at

    @property
    def _is_fresh(self) -> bool:
        return self._fetched_at is not None and self.age_s <= self._settings.jwks_max_age_s

    async def wait_fetched(self) -> None:
        """Wait until keys have been fetched for the first time."""
        await self._first_fetch.wait()

    async def candidates(self, key_id: str | None, algorithm: str) -> Sequence[str | PyJWK]:
        """Find the keys a token may be signed with; where there are none, fetch. Raises VerifierUnavailable."""
        found = self._find(key_id, algorithm)
        if not found and self._may_ask():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._fetch()), self._settings.jwks_timeout_s)
            found = self._find(key_id, algorithm)
        if not self._is_fresh:
            raise VerifierUnavailable("the signing keys cannot be fetched now")
        return found

    async def run(self) -> None:
        """Fetch at once, then again and again; while there are no keys at all, more often."""
        refresh_s = self._settings.jwks_refresh_s
        try:
            while True:
                await asyncio.shield(self._fetch())
                await asyncio.sleep(refresh_s if self._is_fresh else min(FIRST_RETRY_S, refresh_s))
        finally:
            if self._under_way is not None:
                self._under_way.end()

    def _find(self, key_id: str | None, algorithm: str) -> tuple[PyJWK, ...]:
        if not self._is_fresh:
            return ()
        named = (key for key in self._keys if key_id is None or key.key_id == key_id)
        return tuple(key for key in named if key.algorithm_name == algorithm)

    def _may_ask(self) -> bool:
        now = time.monotonic()
        if self._fetching is not None:
            return True  # there is a fetch under way to wait for
        if now - self._asked_at < self._settings.jwks_cooldown_s:
            return False
        self._asked_at = now
        return True

    def _fetch(self) -> asyncio.Task[None]:
        """Return the one fetch that is under way; begin it where there is none."""
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch_once(), name="signing keys")
        return self._fetching

    async def _fetch_once(self) -> None:
        self._under_way = fetch = KeySetFetch(self._settings)
        # a socket's timeout is per read: what drips is ended, as the next fetch waits for the end of this one
        ending = asyncio.get_running_loop().call_later(FETCH_TIMEOUTS * self._settings.jwks_timeout_s, fetch.end)
        try:
            key_set = await asyncio.to_thread(fetch.run)
        except Exception as error:  # noqa: BLE001 - whatever a provider answers, it is asked again
            outcome, detail = KeyRefresh.FAILED, type(error).__name__
        else:
            self._keys = tuple(key for key in key_set.keys if self._is_usable(key))
            self._fetched_at = time.monotonic()
            self._first_fetch.set()
            outcome, detail = KeyRefresh.FETCHED, f"{len(self._keys)} keys"
        finally:
            ending.cancel()
            self._fetching = self._under_way = None
        self._observer.signing_keys(outcome, detail)

    def _is_usable(self, key: PyJWK) -> bool:
        return key.algorithm_name in self.algorithms and key.public_key_use in {None, "sig"}
