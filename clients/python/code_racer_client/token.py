"""The player's token, and how a fresh one is had."""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from code_racer_client.calling_out import CallFailed, call_out
from code_racer_client.errors import ClientError, Disconnected, Refused
from code_racer_client.protocol import CLOSE_TOKEN_EXPIRED, UNAUTHORIZED

RefreshToken = Callable[[], Awaitable[str] | str]

_USABLE: Final = re.compile(r"[A-Za-z0-9._-]+")
"""A JSON Web Token has no other characters (RFC 7515 section 3.1); with some a header could be anything."""


def require_usable(token: object) -> None:
    """Require a token that can be sent. Raises Refused, as a server would, and quotes nothing of it."""
    if not isinstance(token, str) or not _USABLE.fullmatch(token):
        detail = "the token has a character that no token has"
        raise Refused(HTTPStatus.UNAUTHORIZED, detail, reason=UNAUTHORIZED)


class NotRenewed(ClientError):  # noqa: N818 - it says what happened
    """There is no fresh token now: the application's code raised `error`. It is asked again."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"no fresh token: {type(error).__name__}")
        self.error = error


class Token:
    """Holds the token that is sent, and replaces it with what `refresh` makes, if there is one."""

    def __init__(self, value: str, refresh: RefreshToken | None) -> None:
        self._value = value
        self._refresh = refresh
        self._is_stale = False
        self._is_fresh_one_tried = False
        self._asked = 0
        self._newest = 0

    @property
    def can_refresh(self) -> bool:
        """Whether a fresh token can be had."""
        return self._refresh is not None

    def begin(self) -> None:
        """Note that the application connects anew: where the last end was about the token, a fresh one is had first."""
        self._is_fresh_one_tried = False

    def accepted(self) -> None:
        """Note that the server took the token: should it refuse one later, a fresh one is tried again."""
        self._is_stale = self._is_fresh_one_tried = False

    async def current(self) -> str:
        """Return the token to connect with, a fresh one where the last was no good.

        Raises:
            NotRenewed: there is no fresh one now.
            Refused: the application says that there will be none, or it cannot be sent.
        """
        if self._is_stale:
            await self.refresh()
        require_usable(self._value)
        return self._value

    async def refresh(self) -> None:
        """Replace the token by a fresh one. Raises NotRenewed and Refused."""
        if self._refresh is None:
            return
        self._asked = asked = self._asked + 1
        try:
            fresh = await call_out(self._refresh)
        except CallFailed as failed:
            if isinstance(failed.error, Refused):
                self._is_fresh_one_tried = True
                raise failed.error from None
            raise NotRenewed(failed.error) from None
        require_usable(fresh)  # else the one before it is kept
        if asked > self._newest:  # else one that was asked for later has come already
            self._newest, self._value = asked, fresh
            self._is_stale = False

    def may_be_replaced(self, error: ClientError) -> bool:
        """Note how a connection ended; return whether it was about the token and a fresh one may help: once."""
        refused = isinstance(error, Refused) and error.status == HTTPStatus.UNAUTHORIZED and error.final
        expired = isinstance(error, Disconnected) and error.code == CLOSE_TOKEN_EXPIRED
        if not (refused or expired):
            return False
        is_first = not self._is_fresh_one_tried
        self._is_stale = self._is_fresh_one_tried = True
        return is_first and self.can_refresh
