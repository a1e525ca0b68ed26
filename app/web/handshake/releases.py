"""Which client connects: a release that the configuration knows, else the class of its user agent. A closed list."""

import re
from collections.abc import Iterable
from typing import Final

from app.protocol import OWN_RELEASES
from app.vocabulary import ClientClass, ClientName
from app.web.asked import Asked

_CLASSES: Final = (
    (re.compile(r"mozilla/", re.IGNORECASE), ClientClass.BROWSER),
    (re.compile(r"python|websocket-client|aiohttp", re.IGNORECASE), ClientClass.PYTHON),
    (re.compile(r"node|undici|\bws/", re.IGNORECASE), ClientClass.NODE),
    (re.compile(r"\bgo-|gorilla", re.IGNORECASE), ClientClass.GO),
    (re.compile(r"java|okhttp|cfnetwork|dart", re.IGNORECASE), ClientClass.APP),
)


_CANARY: Final = f"{ClientName.CANARY}/"


def known_releases(configured: Iterable[str]) -> tuple[str, ...]:
    """Return the releases counted by themselves: those `configured`, and our own clients of this version.

    A canary is a class whatever its version: an alert has to leave it out.
    """
    ours = (release for name, release in OWN_RELEASES.items() if name is not ClientName.CANARY)
    return tuple(dict.fromkeys((*ours, *configured)))


class Releases:
    """Names clients; nothing that a client sends becomes a name unless it is `known`."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = {name: name for name in known}

    def name(self, connection: Asked) -> str:
        """Return the release that ``?client=`` says, where it is known, else a class: that of the user agent."""
        said = connection.query_params.get("client", "")
        if said.startswith(_CANARY):
            return ClientClass.CANARY
        known = self._known.get(said)
        return known if known is not None else user_agent_class(connection.headers.get("user-agent") or "")


def user_agent_class(agent: str) -> ClientClass:
    """Return the class of a user agent."""
    if not agent:
        return ClientClass.NONE
    return next((one for pattern, one in _CLASSES if pattern.search(agent[:256])), ClientClass.OTHER)
