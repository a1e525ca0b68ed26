"""The client's address is written as `ipaddress` writes it, or unknown; a game's id as `uuid` does."""

import ipaddress
import uuid
from typing import Any

import pytest
from litestar.connection import ASGIConnection

from app.web.client_address import client_address
from app.web.error_answers import RequestRefused
from app.web.handshake.admission import HandshakeTarget, _game_id

ADDRESSES = ["192.0.2.7", "255.255.255.255", "::1", "2001:DB8::0:1", "::ffff:192.0.2.7", "fe80::1%eth0"]
NO_ADDRESSES = [
    "",
    "unix:",
    "192.0.2",
    "192.0.2.07",
    "192.0.2.256",
    " 192.0.2.7",
    "192.0.2.7\n",
    "1\u0662.0.0.1",
    "1\0",
    "0x7f.1",
]
GAME = "0b5d9a52-6c1e-4f0e-9f59-6f1f5c1d2a3b"


def seen_from(client: tuple[str, int] | None) -> str:
    scope: dict[str, Any] = {"type": "websocket", "client": client, "headers": [], "app": None}
    return client_address(ASGIConnection(scope))  # type: ignore[arg-type] # as much of a scope as is read


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_has_one_way_to_be_written(text: str) -> None:
    assert seen_from((text, 1)) == str(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_unknown(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        ipaddress.ip_address(text)
    assert seen_from((text, 1)) == "unknown"


def test_whoever_has_no_address_is_unknown() -> None:
    assert seen_from(None) == "unknown"


@pytest.mark.parametrize(
    "text", [GAME, GAME.upper(), GAME.replace("-", ""), f"{{{GAME}}}", f"urn:uuid:{GAME}", GAME.replace("0", "\u0660")]
)
def test_a_game_id_has_one_way_to_be_written(text: str) -> None:
    assert HandshakeTarget(_game_id(text), None).game_id == GAME == str(uuid.UUID(text))


@pytest.mark.parametrize("text", ["", "x", GAME[:-1], GAME + "\n", GAME + "0", GAME.replace("b", "g")])
def test_what_is_no_uuid_is_no_game_id(text: str) -> None:
    with pytest.raises(RequestRefused):
        _game_id(text)
