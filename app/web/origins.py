"""Where browsers may come from: an exact list, the same for WebSocket and API."""

import re
from dataclasses import dataclass
from typing import Final

LOCALHOST: Final = r"https?://(localhost|127\.0\.0\.1)(:\d{1,5})?"
_LOCALHOST: Final = re.compile(LOCALHOST)


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """Exact origins; in development also localhost and the service's own address."""

    allowed: frozenset[str]
    development: bool

    def allows(self, origin: str | None, *, scheme: str, host: str | None) -> bool:
        """Whether a request from `origin` is taken; without one it is not from a browser.

        `scheme` and `host` are the request's own (ws and wss count as http and https).
        """
        if origin is None or origin in self.allowed:
            return True
        if not self.development:
            return False
        own = f"{scheme.replace('ws', 'http')}://{host}"
        return origin == own or _LOCALHOST.fullmatch(origin) is not None
