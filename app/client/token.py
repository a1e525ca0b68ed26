"""The player's token, and how a fresh one is had."""

import inspect
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from app.client.errors import ClientError, Disconnected, Refused
from app.protocol import Close

RefreshToken = Callable[[], Awaitable[str] | str]


class Token:
    """Holds the token that is sent (`value`), and replaces it with what `refresh` makes, if there is one."""

    def __init__(self, value: str, refresh: RefreshToken | None) -> None:
        self.value = value
        self._refresh = refresh
        self._is_fresh_one_tried = False

    @property
    def can_refresh(self) -> bool:
        """Whether a fresh token can be had."""
        return self._refresh is not None

    def accepted(self) -> None:
        """Note that the server took the token: should it refuse one later, a fresh one is tried again."""
        self._is_fresh_one_tried = False

    async def refresh(self) -> None:
        """Replace the token by a fresh one."""
        if self._refresh is not None:
            token = self._refresh()
            self.value = await token if inspect.isawaitable(token) else token

    async def refresh_after(self, error: ClientError) -> bool:
        """Replace a token that was refused or has expired; return whether there is a fresh one to try, once."""
        refused = isinstance(error, Refused) and error.status == HTTPStatus.UNAUTHORIZED
        expired = isinstance(error, Disconnected) and error.code == Close.TOKEN_EXPIRED.code
        if not (refused or expired) or self._refresh is None or self._is_fresh_one_tried:
            return False
        self._is_fresh_one_tried = True
        await self.refresh()
        return True
