"""Tokens, origins and address limits, at their edges."""

import time
from typing import Any

import jwt
import pytest
from litestar.datastructures import Headers

from app.web.auth import Authenticator, AuthError, clean_name, find_token
from app.web.limits import MAX_ADDRESSES, AddressLimit
from app.web.origins import OriginPolicy
from tests.support.server import SECRET

STRICT = Authenticator(SECRET, issuer="races", audience="players", leeway_s=0)


def token(**claims: Any) -> str:
    good = {"sub": "ann", "exp": time.time() + 60, "iss": "races", "aud": "players"}
    return jwt.encode({key: value for key, value in (good | claims).items() if value is not None}, SECRET)


def test_a_token_that_was_issued_is_verified() -> None:
    identity = STRICT.verify(STRICT.issue("ann", "Ann", 60))
    assert (identity.player_id, identity.name) == ("ann", "Ann")


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
def test_issuer_and_audience_are_checked_where_configured(claims: dict[str, Any], says: str) -> None:
    with pytest.raises(AuthError, match=says):
        STRICT.verify(token(**claims))


def test_an_audience_is_no_matter_where_none_is_configured() -> None:
    assert Authenticator(SECRET, "", "", 0).verify(token()).player_id == "ann"


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


def test_origins_match_exactly_and_production_knows_no_localhost() -> None:
    policy = OriginPolicy(frozenset({"https://race.example"}), development=False)
    ask = {"scheme": "wss", "host": "api.example"}
    assert policy.allows("https://race.example", **ask)
    assert policy.allows(None, **ask)
    for origin in ("http://race.example", "https://race.example:8443", "https://race.example.evil", "http://localhost"):
        assert not policy.allows(origin, **ask)
    assert not policy.allows("https://api.example", **ask)


def test_a_bucket_refills_steadily() -> None:
    now = 0.0
    limit = AddressLimit(60, clock=lambda: now)
    assert [limit.wait_s("a") for _ in range(60)] == [0.0] * 60
    assert limit.wait_s("a") == pytest.approx(1.0)
    assert limit.wait_s("b") == 0
    now = 1.0
    assert limit.wait_s("a") == 0


def test_the_table_of_addresses_is_bounded() -> None:
    limit = AddressLimit(1)
    for number in range(MAX_ADDRESSES + 10):
        limit.wait_s(str(number))
    assert len(limit._buckets) == MAX_ADDRESSES
