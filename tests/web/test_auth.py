"""Tokens, origins and address limits, at their edges."""

import json
import math
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_encode
from litestar.datastructures import Headers

from app.rate_limits import address_key
from app.realtime.identity import Identity, Unauthenticated
from app.web.auth.authenticator import Authenticator
from app.web.auth.credentials import find_token
from app.web.auth.issuer import TokenIssuer
from app.web.auth.keys import SharedSecrets
from app.web.auth.player import clean_name
from app.web.origins import OriginPolicy
from tools.harness.server import SECRET
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio
PREVIOUS = "the-key-before-this-one-was-" + "p" * 32
STRICT = Authenticator(SharedSecrets(SECRET, PREVIOUS), issuer="races", audience="players", leeway_s=0)


def strict_token(secret: str = SECRET, **claims: Any) -> str:
    return token("ann", 60, secret, **({"iss": "races", "aud": "players"} | claims))


async def test_a_token_that_was_issued_is_verified() -> None:
    issued, expires_at = TokenIssuer(SECRET, "races", "players").issue("ann", "Ann", 60)
    identity = await STRICT.verify(issued)
    assert (identity.player_id, identity.name, identity.expires_at) == ("ann", "Ann", expires_at)


async def test_the_previous_secret_is_valid_during_a_rotation_and_no_other() -> None:
    assert (await STRICT.verify(strict_token(PREVIOUS))).player_id == "ann"
    with pytest.raises(Unauthenticated, match="signature"):
        await STRICT.verify(strict_token("x" * 64))
    with pytest.raises(Unauthenticated, match="expired") as ended:
        await STRICT.verify(strict_token(PREVIOUS, exp=time.time() - 1))
    assert ended.value.player_id == "ann", "it is known whose it was"
    without = Authenticator(SharedSecrets(SECRET), "races", "players", 0)
    with pytest.raises(Unauthenticated, match="signature"):
        await without.verify(strict_token(PREVIOUS))


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"aud": "others"}, "audience"),
        ({"aud": None}, "aud"),
        ({"iss": "others"}, "issuer"),
        ({"iss": None}, "iss"),
        ({"exp": time.time() - 1}, "expired"),
    ],
)
async def test_issuer_and_audience_are_checked_where_configured(claims: dict[str, Any], says: str) -> None:
    with pytest.raises(Unauthenticated, match=says):
        await STRICT.verify(strict_token(**claims))


def signed(claims: object, header: dict[str, Any] | None = None) -> str:
    """Any claims (bytes as they are) and header, rightly signed: PyJWT would not make most of these."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    head = json.dumps({"alg": "HS256", "typ": "JWT"} | (header or {})).encode()
    text = base64url_encode(head) + b"." + base64url_encode(payload)
    algorithm = jwt.get_algorithm_by_name("HS256")
    return b".".join([text, base64url_encode(algorithm.sign(text, SECRET.encode()))]).decode()


NOW, LATER = time.time(), time.time() + 86_400
PLAIN = Authenticator(SharedSecrets(SECRET), "", "", leeway_s=5)
WRONG_CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"exp": 10**400}, "exp must be a number, seconds since 1970"),
    ({"exp": 1000 * NOW}, "exp must be a number, seconds since 1970"),  # milliseconds
    ({"exp": str(LATER)}, "exp must be a number"),
    ({"exp": True}, "exp must be a number"),
    ({"exp": [NOW]}, "exp must be a number"),
    ({"exp": math.inf}, "exp must be a number"),
    ({"exp": math.nan}, "exp must be a number"),
    ({"exp": -1}, "expired"),
    ({"exp": None}, "no exp claim"),
    ({"iat": LATER}, "not valid yet: its iat is ahead of the clock"),
    ({"nbf": LATER}, "not valid yet: its nbf is ahead of the clock"),
    ({"iat": "yesterday"}, "iat must be a number"),
    ({"nbf": {}}, "nbf must be a number"),
    ({"nbf": -(10**400)}, "nbf must be a number"),
    ({"sub": 5}, "sub must be a string of 1 to 128"),
    ({"sub": ""}, "sub must be a string of 1 to 128"),
    ({"sub": "x" * 129}, "sub must be a string of 1 to 128"),
    ({"sub": "a\nb"}, "sub must be a string of 1 to 128"),
    ({"sub": "\ud800"}, "sub must be a string of 1 to 128"),
    ({"sub": None}, "no sub claim"),
]


@pytest.mark.parametrize(("claims", "says"), WRONG_CLAIMS)
async def test_what_is_wrong_with_a_claim_is_said(claims: dict[str, Any], says: str) -> None:
    with pytest.raises(Unauthenticated, match=says):
        await PLAIN.verify(signed({"sub": "ann", "exp": LATER} | claims))


@pytest.mark.parametrize(
    "claims",
    [{"nbf": None, "iat": None}, {"jti": 7, "aud": 5, "iss": []}, {"name": ["Ann"]}, {"exp": LATER + 0.5}],
)  # fmt: skip
async def test_claims_that_do_no_harm_are_taken(claims: dict[str, Any]) -> None:
    assert (await PLAIN.verify(signed({"sub": "ann", "exp": LATER} | claims))).name == "ann"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_clock_may_be_off_by_the_leeway(claim: str) -> None:
    claims = {"sub": "ann", "exp": LATER, claim: time.time() + 30}
    assert await Authenticator(SharedSecrets(SECRET), "", "", leeway_s=300).verify(signed(claims))
    with pytest.raises(Unauthenticated, match="not valid yet"):
        await PLAIN.verify(signed(claims))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (signed({}, {"alg": "none"}), "algorithm is not HS256"),
        (signed({}, {"alg": "RS256"}), "algorithm is not HS256"),
        (signed({}, {"alg": ["HS256"]}), "algorithm is not HS256"),
        (signed({}, {"alg": None}), "algorithm is not HS256"),
        (signed({}, {"kid": 5}), r"header \(kid, crit or b64\)"),
        (signed({}, {"crit": ["marked"]}), r"header \(kid, crit or b64\)"),
        (signed({}, {"b64": False}), "malformed|header"),
        (signed([]), "malformed"),
        (signed(b'{"exp":' + b"9" * 5000 + b"}"), "malformed"),
        (signed(b"[" * 6000), "malformed"),
        (signed(b"\xff"), "malformed"),
        ("x" * 8193, "longer than 8192"),
        ("é.é.é", "letters that no JSON Web Token has"),
        ("\ud800", "letters that no JSON Web Token has"),
        (signed({}).replace(".", "=.", 1), "malformed"),
        (signed({}) + "===", "malformed"),
        (signed({}) + ".x", "malformed"),
        (signed({})[:-2], "malformed|signature"),
        ("", "malformed"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_token_is_said_without_quoting_it(text: str, says: str) -> None:
    with pytest.raises(Unauthenticated, match=says) as refused:
        await PLAIN.verify(text)
    assert "marked" not in str(refused.value)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS | st.sampled_from([10**400, -(10**400), NOW, LATER]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def named(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON))


@given(
    claims=named("sub", "exp", "nbf", "iat", "iss", "aud", "jti", "name") | JSON,
    header=named("alg", "kid", "crit", "b64", "typ"),
)
@pytest.mark.parametrize("authenticator", [PLAIN, STRICT], ids=["plain", "strict"])
async def test_any_signed_token_is_an_identity_or_refused(
    authenticator: Authenticator, claims: object, header: dict[str, Any]
) -> None:
    """Also where the header is a right one: most that are made up are not."""
    for head in (header, {}):
        for body in (claims, {"sub": "ann", "exp": LATER, **claims} if isinstance(claims, dict) else claims):
            try:
                assert isinstance(await authenticator.verify(signed(body, head)), Identity)
            except Unauthenticated as refused:
                assert str(refused).startswith("the token")


async def test_an_audience_is_no_matter_where_none_is_configured() -> None:
    assert (await Authenticator(SharedSecrets(SECRET), "", "", 0).verify(strict_token())).player_id == "ann"


@pytest.mark.parametrize(
    ("name", "shown"),
    [(" Ann ", "Ann"), ("x" * 100, "x" * 40), ("\x00\n", "player"), ("A\u202eB", "AB"), ("한국", "한국")],
)
def test_names_are_fit_to_be_shown(name: str, shown: str) -> None:
    assert clean_name(name) == shown


def test_the_first_way_to_send_a_token_wins() -> None:
    header = Headers({"authorization": "Bearer one"})
    offered = ["code-racer.v1", "bearer.two"]
    assert find_token(header, "three", offered) == "one"
    assert find_token(Headers(), "three", offered) == "two"
    assert find_token(Headers(), "three", ["bearer.two"]) == "three"


def test_two_authorization_headers_are_refused() -> None:
    with pytest.raises(Unauthenticated, match="one Authorization"):
        find_token(Headers([(b"authorization", b"Bearer one"), (b"authorization", b"Bearer two")]), None, [])


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_is_counted_as_one_household(address: str, key: str) -> None:
    assert address_key(address) == key


def test_origins_match_exactly_and_production_knows_no_localhost() -> None:
    policy = OriginPolicy(frozenset({"https://race.example"}), development=False)
    ask = {"scheme": "wss", "host": "api.example"}
    assert policy.allows("https://race.example", **ask)
    assert policy.allows(None, **ask)
    for origin in ("http://race.example", "https://race.example:8443", "https://race.example.evil", "http://localhost"):
        assert not policy.allows(origin, **ask)
    assert not policy.allows("https://api.example", **ask)
