"""A token that was verified before is believed no longer than it would be if it were not remembered."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from jwt import PyJWK

from app.realtime.identity import Unauthenticated, VerifierUnavailable
from app.web.auth import authenticator as module
from app.web.auth.authenticator import Authenticator
from app.web.auth.keys import SharedSecrets
from app.web.auth.verified_tokens import MAX_REMEMBERED, VerifiedTokens
from tools.harness.jwks import SigningKey
from tools.harness.server import SECRET
from tools.harness.tokens import token

pytestmark = pytest.mark.anyio
OTHER = "another-key-than-the-one-that-signs-" + "o" * 32


@dataclass
class PublishedKeys:
    """Keys with ids, as a provider publishes them; None: they are too old to be believed."""

    keys: tuple[PyJWK, ...] | None
    algorithms: tuple[str, ...] = ("RS256",)
    have_ids: bool = True
    count: int = 1
    age_s: float = 0.0

    async def candidates(self, key_id: str | None, algorithm: str) -> Sequence[str | PyJWK]:
        if self.keys is None:
            raise VerifierUnavailable("the signing keys cannot be fetched now")
        return tuple(key for key in self.keys if (key.key_id, key.algorithm_name) == (key_id, algorithm))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were computed."""
    seen: list[str] = []
    decode = jwt.decode

    def counting(text: str, *arguments: Any, **named: Any) -> dict[str, Any]:
        seen.append(text)
        return decode(text, *arguments, **named)

    monkeypatch.setattr(jwt, "decode", counting)
    return seen


def plain(*secrets: str, **settings: Any) -> Authenticator:
    return Authenticator(SharedSecrets(*secrets or (SECRET,)), "", "", 0, **settings)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the authenticator takes for the time, to be set."""
    now = [time.time()]
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now[0]))
    return now


async def test_a_token_that_comes_again_is_not_decoded_again(decoded: list[str]) -> None:
    service, text = plain(), token("ann", 60)
    assert await service.verify(text) == await service.verify(text)
    assert decoded == [text]


async def test_a_remembered_token_expires_as_ever(clock: list[float], decoded: list[str]) -> None:
    service, text = plain(), token("ann", 60)
    ends = (await service.verify(text)).expires_at
    clock[0] = ends - 0.001
    await service.verify(text)
    clock[0] = ends
    with pytest.raises(Unauthenticated, match="has expired"):
        await service.verify(text)
    assert decoded == [text]


async def test_the_leeway_counts_for_a_remembered_token(clock: list[float]) -> None:
    service, text = replace(plain(), leeway_s=30), token("ann", 60)
    ends = (await service.verify(text)).expires_at
    clock[0] = ends + 29
    await service.verify(text)
    clock[0] = ends + 30
    with pytest.raises(Unauthenticated, match="has expired"):
        await service.verify(text)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_clock_set_back_makes_a_remembered_token_not_valid_yet(claim: str, clock: list[float]) -> None:
    claims: dict[str, Any] = {claim: clock[0]}
    service, text = plain(), token("ann", 600, **claims)
    await service.verify(text)
    clock[0] -= 60
    with pytest.raises(Unauthenticated, match=f"not valid yet: its {claim}"):
        await service.verify(text)


async def test_a_remembered_token_ends_with_the_secret_that_signed_it() -> None:
    service, text = plain(SECRET), token("ann", 60)
    await service.verify(text)
    rotated = replace(service, keys=SharedSecrets(OTHER))
    assert rotated.verified is service.verified
    with pytest.raises(Unauthenticated, match="signature does not match"):
        await rotated.verify(text)


async def test_during_a_rotation_the_secret_before_holds_and_then_no_more() -> None:
    service, text = plain(SECRET), token("ann", 60)
    await service.verify(text)
    during = replace(service, keys=SharedSecrets(OTHER, SECRET))
    assert (await during.verify(text)).player_id == "ann"
    with pytest.raises(Unauthenticated, match="signature does not match"):
        await replace(service, keys=SharedSecrets(OTHER)).verify(text)


async def test_a_remembered_token_ends_with_the_published_key() -> None:
    key = SigningKey("one", "RS256")
    published = PublishedKeys((PyJWK(key.public),))
    service, text = Authenticator(published, "", "", 0), key.token("ann")
    await service.verify(text)
    published.keys = (PyJWK(SigningKey("two", "RS256").public),)
    with pytest.raises(Unauthenticated, match="signing key is not known here"):
        await service.verify(text)


async def test_another_key_under_the_same_id_does_not_stand_for_the_one_before() -> None:
    published = PublishedKeys((PyJWK((key := SigningKey("one", "RS256")).public),))
    service, text = Authenticator(published, "", "", 0), key.token("ann")
    await service.verify(text)
    published.keys = (PyJWK(SigningKey("one", "RS256").public),)
    with pytest.raises(Unauthenticated, match="signature does not match"):
        await service.verify(text)


async def test_published_keys_that_are_too_old_let_no_remembered_token_in() -> None:
    key = SigningKey("one", "RS256")
    published = PublishedKeys((PyJWK(key.public),))
    service, text = Authenticator(published, "", "", 0), key.token("ann")
    await service.verify(text)
    published.keys = None
    with pytest.raises(VerifierUnavailable):
        await service.verify(text)


async def test_what_one_service_remembers_is_nothing_to_another() -> None:
    text = token("ann", 60, iss="races", aud="players")
    races = Authenticator(SharedSecrets(SECRET), "races", "players", 0)
    await races.verify(text)
    with pytest.raises(Unauthenticated, match="another audience"):
        await Authenticator(SharedSecrets(SECRET), "races", "others", 0).verify(text)
    with pytest.raises(Unauthenticated, match="another issuer"):
        await Authenticator(SharedSecrets(SECRET), "others", "players", 0).verify(text)


@pytest.mark.parametrize(
    "text", [token("ann", -1), token("ann", 60, OTHER), token("", 60), "x.y.z"], ids=["old", "forged", "no one", "bad"]
)
async def test_what_is_refused_is_not_remembered(text: str) -> None:
    service = plain()
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await service.verify(text)
    assert len(service.verified) == 0


async def test_a_token_that_differs_in_one_letter_is_verified_by_itself() -> None:
    service, text = plain(), token("ann", 60)
    await service.verify(text)
    with pytest.raises(Unauthenticated, match="signature does not match"):
        await service.verify(text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:])


async def test_so_many_are_remembered_and_the_first_is_forgotten_first(decoded: list[str]) -> None:
    service = plain(verified=VerifiedTokens(2))
    texts = [token(name, 60) for name in ("ann", "bob", "cem")]
    for text in (*texts, *texts[1:], texts[0]):
        await service.verify(text)
    assert len(service.verified) == 2
    assert decoded == [*texts, texts[0]]
    assert MAX_REMEMBERED >= 1_000


async def test_no_token_is_kept() -> None:
    service, text = plain(), token("ann", 60)
    await service.verify(text)
    kept = repr(service.verified.__dict__)
    assert "player_id='ann'" in kept
    assert not any(part in kept for part in text.split("."))
