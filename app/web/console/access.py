"""Who may look and act in the operators' console: each request is checked before its handler is asked.

A request without a token is taken from this machine alone, where its Host is local too (another site's name may be made
to lead here), and in production only to look. A token is OPS_TOKEN, OPS_READ_TOKEN, which only looks, or an operator's
own (`Operators`). There are no
cookies, so no other site acts by somebody's browser; what could be sent from a form is refused all the same.
"""

import hmac
import math
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

from litestar.connection import ASGIConnection
from litestar.exceptions import SerializationException
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter
from msgspec import Meta, Struct

from app.rate_limits import LimitPolicy, RatePerKey, address_key
from app.realtime.cluster.bans import Bans
from app.realtime.identity import Unauthenticated, VerifierUnavailable
from app.settings import OperatorSettings
from app.vocabulary import HandshakeOutcome, LimitScope, Right
from app.web.auth.authenticator import Authenticator
from app.web.auth.credentials import find_token
from app.web.client_address import client_address, is_from_here
from app.web.error_answers import cannot_verify, refusal, refused, unauthorized
from app.web.json_request import AnyRequest

BY_OPS_TOKEN: Final = "ops-token"  # noqa: S105 - how whoever brings it is called
BY_OPS_READ_TOKEN: Final = "ops-read-token"  # noqa: S105 - the same
IN_DEVELOPMENT: Final = "development"
ON_THIS_MACHINE: Final = "local"
OPERATOR_HEADER: Final = "x-operator"
RIGHT_HEADER: Final = "x-operator-right"
REASON_HEADER: Final = "x-reason"
MAX_REASON: Final = 200
MAX_OPERATOR: Final = 128
_BAD_TOKENS_PER_MINUTE: Final = 10
_BURST_S: Final = 10
"""A page that is opened, or a bundle, asks at once for what may be asked for in so many seconds."""
_OPERATOR: Final = "operator"
READING: Final = ("GET", "HEAD")
_LOCAL_HOSTS: Final = {"localhost", "127.0.0.1", "::1"}
_TOKEN: Final = re.compile(r"eyJ[\w-]{8,}\.")
"""The beginning of any JSON Web Token."""
OpsConnection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks, by the name that is logged, and what they may do."""

    name: str
    right: Right

    def require(self, right: Right) -> None:
        """Refuse who may not. Raises RequestRefused."""
        if right is Right.ACT and self.right is not Right.ACT:
            raise refusal(
                HTTPStatus.FORBIDDEN,
                "this needs the right to act: send Authorization: Bearer with OPS_TOKEN's or yours",
            )


class OperatorAccess:
    """Finds out who asks; where the environment is not production, it `is_open` to whoever comes to a local Host."""

    def __init__(
        self,
        settings: OperatorSettings,
        authenticator: Authenticator,
        bans: Bans,
        policy: LimitPolicy,
        *,
        is_open: bool,
    ) -> None:
        self._tokens_of_all = [
            (secret.get_secret_value().encode(), name, right)
            for secret, name, right in (
                (settings.ops_token, BY_OPS_TOKEN, Right.ACT),
                (settings.ops_read_token, BY_OPS_READ_TOKEN, Right.READ),
            )
        ]
        self._authenticator = authenticator
        self._bans = bans
        self._policy = policy
        self._is_open = is_open
        self._bad_tokens = RatePerKey(_BAD_TOKENS_PER_MINUTE / 60, _BAD_TOKENS_PER_MINUTE)
        per_second = settings.ops_requests_per_second
        self._requests = RatePerKey(per_second, math.ceil(per_second * _BURST_S))

    async def check(self, connection: OpsConnection, handler: BaseRouteHandler) -> None:
        """Require the right that a handler needs: as it says by `right`, else to read for GET and to act for the rest.

        Raises RequestRefused.
        """
        scope: Any = connection.scope
        acts = scope["method"] not in READING
        right = handler.opt.get("right", Right.ACT if acts else Right.READ)
        scope["state"][_OPERATOR] = operator = await self.require(connection, right)
        self._count(connection, operator)
        if acts and connection.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send it with Content-Type: application/json")

    def _count(self, connection: OpsConnection, operator: Operator) -> None:
        """Count a request of an operator at an address: a script in a loop holds up no other. Raises RequestRefused."""
        client = client_address(connection)
        wait_s = self._requests.take(f"{operator.name} {address_key(client)}", time.monotonic())
        wait_ms = math.ceil(1000 * wait_s)
        if wait_s and self._policy.refuses(LimitScope.OPS_REQUESTS_PER_OPERATOR, wait_ms, client=client):
            text = "too many requests of this operator from this address (OPS_REQUESTS_PER_SECOND)"
            raise refused(HandshakeOutcome.RATE_LIMITED, text, wait_ms)

    async def require(self, connection: OpsConnection, right: Right) -> Operator:
        """Find out who asks, and refuse who may not. Raises RequestRefused."""
        _require_own_site(connection)
        try:
            token = find_token(connection.headers, None, ())
        except Unauthenticated as error:
            raise unauthorized(error) from None
        operator = self._without_token(connection, right) if token is None else await self._of(connection, token)
        operator.require(right)
        return operator

    def _without_token(self, connection: OpsConnection, right: Right) -> Operator:
        if _is_local(connection.headers.get("host", "")):
            if self._is_open:
                return Operator(IN_DEVELOPMENT, Right.ACT)
            if right is Right.READ and is_from_here(client_address(connection), connection.headers):
                return Operator(ON_THIS_MACHINE, Right.READ)
        raise unauthorized(
            Unauthenticated("no token: send Authorization: Bearer with OPS_TOKEN's or an operator's own")
        )

    async def _of(self, connection: OpsConnection, token: str) -> Operator:
        """Return whom a token stands for; who brings bad ones waits. Raises RequestRefused.

        A token of all never waits: behind a tunnel all have one address, and a forgotten page must lock out nobody.
        """
        for secret, name, right in self._tokens_of_all:
            if secret and hmac.compare_digest(token.encode(), secret):
                return _named_by(connection, name, right)
        address, now = address_key(client_address(connection)), time.monotonic()
        if wait_s := self._bad_tokens.look(address, now):
            raise refused(
                HandshakeOutcome.RATE_LIMITED, "too many bad tokens from this address", math.ceil(1000 * wait_s)
            )
        try:
            identity = await self._authenticator.verify(token)
        except Unauthenticated as error:
            self._bad_tokens.take(address, now)
            raise unauthorized(error) from None
        except VerifierUnavailable as error:
            raise cannot_verify(error) from None
        connection.scope["state"]["player_id"] = identity.player_id  # whoever is refused is logged
        if not identity.is_operator:
            raise refusal(HTTPStatus.FORBIDDEN, "this token is no operator's; see OPERATORS and OPERATORS_CLAIM")
        if ban := self._bans.find(identity.player_id):  # or a token that leaked would go on acting, and lift its ban
            raise refused(HandshakeOutcome.FORBIDDEN, ban.text)
        return Operator(identity.player_id, Right.ACT)


def _named_by(connection: OpsConnection, token: str, most: Right) -> Operator:
    """Return who brings a token of all: many may, so they say their name, which is no proof; and may ask for less."""
    name = unquote(connection.headers.get(OPERATOR_HEADER, ""))
    right = Right.READ if connection.headers.get(RIGHT_HEADER) == Right.READ else most
    if not name or name == token:
        return Operator(token, right)
    if _holds_token(connection, name):
        raise refusal(HTTPStatus.BAD_REQUEST, f"{OPERATOR_HEADER} is logged: it must hold no token")
    if len(name) > MAX_OPERATOR or not name.isprintable():
        raise refusal(HTTPStatus.BAD_REQUEST, f"{OPERATOR_HEADER} is a name of at most {MAX_OPERATOR} characters")
    suffix = f" ({token})"
    return Operator(name.removesuffix(suffix) + suffix, right)


def _holds_token(connection: OpsConnection, text: str) -> bool:
    """Tell whether a text has a JSON Web Token in it, or what the request itself brings as a token."""
    own = connection.headers.get("authorization", "").rpartition(" ")[2]
    return _TOKEN.search(text) is not None or bool(own and own in text)


def _require_own_site(connection: OpsConnection) -> None:
    """Refuse what another site's page asks for. Raises RequestRefused."""
    origin, site = connection.headers.get("origin"), connection.headers.get("sec-fetch-site", "none")
    is_own = origin is None or urlsplit(origin).netloc == connection.headers.get("host")
    if not is_own or site not in {"none", "same-origin"}:
        raise refused(HandshakeOutcome.ORIGIN_REFUSED, "the console answers its own page, and programs, alone")


def _is_local(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _LOCAL_HOSTS
    except ValueError:
        return False


def find_operator(request: AnyRequest) -> Operator:
    """Give a handler the operator who asks."""
    operator: Operator = request.scope["state"][_OPERATOR]
    return operator


class ActionBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What each action may be told with its body; the reason may also come as a header."""

    reason: Annotated[str, Meta(max_length=MAX_REASON, description=f"why; required, here or as {REASON_HEADER}")] = ""


Why = Annotated[
    str,
    HeaderParameter(name=REASON_HEADER, description="why, percent-encoded; required, here or as `reason` of the body"),
]


async def find_reason(request: AnyRequest, why: Why = "") -> str:
    """Give a handler why an operator acts: the header, percent-encoded, or `reason` of the body.

    Raises RequestRefused.
    """
    given: object = unquote(why)
    if not given:
        try:
            body = await request.json()
        except SerializationException:
            raise refusal(HTTPStatus.BAD_REQUEST, "the body is no JSON") from None
        given = body.get("reason") if isinstance(body, dict) else None
    if not isinstance(given, str) or not 0 < len(given.strip()) <= MAX_REASON or not given.isprintable():
        raise refusal(
            HTTPStatus.BAD_REQUEST,
            f"say why: `reason` in the body, or {REASON_HEADER}, in 1 to {MAX_REASON} characters",
        )
    if _holds_token(request, given):
        raise refusal(HTTPStatus.BAD_REQUEST, "the reason is logged: it must hold no token")
    return given.strip()
