"""Who may use the HTTP API: the checks that its handlers share."""

from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection

from app.realtime.identity import Identity, Unauthenticated, VerifierUnavailable
from app.vocabulary import HandshakeOutcome
from app.web.auth.authenticator import Authenticator
from app.web.auth.credentials import find_token
from app.web.availability import Availability
from app.web.client_address import client_address
from app.web.error_answers import cannot_verify, refused, unauthorized
from app.web.origins import OriginPolicy
from app.web.rates import ApiRates


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """The checks of a request; each raises RequestRefused if it refuses one."""

    authenticator: Authenticator
    origins: OriginPolicy
    availability: Availability
    rates: ApiRates

    async def authenticate(self, connection: ASGIConnection[Any, Any, Any, Any], *, grace_s: float = 0.0) -> Identity:
        """Identify the player behind a request, and count it as theirs. Raises RequestRefused.

        A token that ended within `grace_s` is taken too.
        """
        try:
            token = find_token(connection.headers, None, ())
            identity = None if token is None else await self.authenticator.verify(token, grace_s=grace_s)
        except Unauthenticated as error:
            raise unauthorized(error) from None
        except VerifierUnavailable as error:
            raise cannot_verify(error) from None
        if identity is None:
            raise unauthorized(Unauthenticated("no token: send Authorization: Bearer <token>"))
        connection.scope["state"]["player_id"] = identity.player_id
        self.rates.player(client_address(connection), identity.player_id)
        ban = self.availability.hub.bans.find(identity.player_id)
        if ban is not None:
            raise refused(HandshakeOutcome.FORBIDDEN, ban.text)
        return identity
