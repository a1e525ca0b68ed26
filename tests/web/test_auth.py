"""Tokens, origins and address limits, at their edges."""

import time
from typing import Any

import jwt
import pytest
from litestar.datastructures import Headers

from app.realtime.identity import TokenRefused
from app.web.auth import Authenticator, Issuer, SharedSecrets, clean_name, find_token
from app.web.limits import address_key
from app.web.origins import OriginPolicy
from tests.support.server import SECRET

pytestmark = pytest.mark.anyio
PREVIOUS = "the-key-before-this-one-was-" + "p" * 32
STRICT = Authenticator(SharedSecrets(SECRET, PREVIOUS), issuer="races", audience="players", leeway_s=0)


def token(secret: str = SECRET, **claims: Any) -> str:
    good = {"sub": "ann", "exp": time.time() + 60, "iss": "races", "aud": "players"}
    return jwt.encode({key: value for key, value in (good | claims).items() if value is not None}, secret)


async def test_a_token_that_was_issued_is_verified() -> None:
    issued, expires_at = Issuer(SECRET, "races", "players").issue("ann", "Ann", 60)
    identity = await STRICT.verify(issued)
    assert (identity.player_id, identity.name, identity.expires_at) == ("ann", "Ann", expires_at)


async def test_the_previous_secret_is_valid_during_a_rotation_and_no_other() -> None:
    assert (await STRICT.verify(token(PREVIOUS))).player_id == "ann"
    with pytest.raises(TokenRefused, match="signature"):
        await STRICT.verify(token("x" * 64))
    with pytest.raises(TokenRefused, match="expired"):
        await STRICT.verify(token(PREVIOUS, exp=time.time() - 1))
    without = Authenticator(SharedSecrets(SECRET), "races", "players", 0)
    with pytest.raises(TokenRefused, match="signature"):
        await without.verify(token(PREVIOUS))


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
    with pytest.raises(TokenRefused, match=says):
        await STRICT.verify(token(**claims))


async def test_an_audience_is_no_matter_where_none_is_configured() -> None:
    assert (await Authenticator(SharedSecrets(SECRET), "", "", 0).verify(token())).player_id == "ann"


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
    with pytest.raises(TokenRefused, match="one Authorization"):
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
