"""Where browsers may come from: an exact list, the same for WebSocket and API."""

import re
from dataclasses import dataclass
from typing import Final

from litestar.config.cors import CORSConfig

from app.settings import ServerSettings
from app.vocabulary import HandshakeOutcome
from app.web.asked import Asked
from app.web.error_answers import refused

LOCALHOST: Final = r"https?://(localhost|127\.0\.0\.1)(:\d{1,5})?"
_LOCALHOST: Final = re.compile(LOCALHOST)


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """Exact origins; in development also localhost and the service's own address."""

    allowed: frozenset[str]
    development: bool

    def require(self, connection: Asked) -> None:
        """Refuse a request from another origin. Raises RequestRefused.

        A page's GET of its own address has no Origin (Fetch, section 3.2), though its WebSocket there has one: such a
        page comes from the host that it asks, by http or by https, as a proxy may hide which.
        """
        headers, scheme = connection.headers, str(connection.scope["scheme"])
        origin, host = headers.get("origin"), headers.get("host")
        is_own_page = origin is None and headers.get("sec-fetch-site") == "same-origin"
        origins = (f"https://{host}", f"http://{host}") if is_own_page else (origin,)
        if not any(self.allows(one, scheme=scheme, host=host) for one in origins):
            text = "this origin is not allowed; add it to CORS_ALLOWED_ORIGINS"
            raise refused(HandshakeOutcome.ORIGIN_REFUSED, text)

    def allows(self, origin: str | None, *, scheme: str, host: str | None) -> bool:
        """Tell whether a request from `origin` is taken; without one it is not from a browser.

        `scheme` and `host` are the request's own (ws and wss count as http and https).
        """
        if origin is None or origin in self.allowed:
            return True
        if not self.development:
            return False
        own = f"{scheme.replace('ws', 'http')}://{host}"
        return origin == own or _LOCALHOST.fullmatch(origin) is not None


def cors_config(settings: ServerSettings) -> CORSConfig:
    """Configure which origins browsers let read the API's answers."""
    return CORSConfig(
        allow_origins=sorted(settings.allowed_origins),
        allow_origin_regex=LOCALHOST if settings.is_development else None,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["authorization", "content-type"],
        max_age=600,
    )
