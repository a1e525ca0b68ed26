"""Tokens, keys, doors and signals: what comes by a side door."""

import base64
import hashlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import time
from itertools import repeat
from typing import Any, Final

from tests.attack.fight import CONNECT_TIMEOUT_S, HOST, Act, Fight
from tests.attack.model import Attack, Place
from tools.harness.processes import is_alive
from tools.harness.server import SECRET

_DEPTH: Final = 4_000
_FORBIDDEN: Final = (
    "/metrics", "/metrics/", "/metrics%2f", "/%6detrics", "//metrics", "/./metrics", "/x/../metrics",
    "/metrics/x", "/readyz", "/readyz/?verbose", "/livez/", "/startupz/", "/health/?verbose", "/version/",
    "/version%2F",
)  # fmt: skip


def _segment(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(header: bytes, claims: bytes) -> str:
    """A token with a right signature, whatever is in it (RFC 7515 section 3.1)."""
    text = _segment(header) + b"." + _segment(claims)
    return (text + b"." + _segment(hmac.digest(SECRET.encode(), text, hashlib.sha256))).decode()


_HEADER: Final = b'{"alg":"HS256","typ":"JWT"}'
_NESTED: Final = b"[" * _DEPTH + b"]" * _DEPTH
_SOON: Final = str(int(time.time()) + 3_600).encode()
_TOKENS: Final = {
    "jwt-exp-of-400-digits": ("exp of 400 digits", signed(_HEADER, b'{"sub":"a","exp":1' + b"0" * 400 + b"}"), True),
    "jwt-exp-of-5000-digits": (
        "exp of 5,000 digits",
        signed(_HEADER, b'{"sub":"a","exp":1' + b"0" * 5_000 + b"}"),
        False,
    ),
    "jwt-exp-infinite": ("exp that is Infinity, NaN or 1e999", signed(_HEADER, b'{"sub":"a","exp":1e999}'), False),
    "jwt-nested-claims": (
        "claims of 4,000 nested arrays",
        signed(_HEADER, b'{"sub":"a","exp":' + _SOON + b',"x":' + _NESTED + b"}"),
        False,
    ),
    "jwt-nested-header": (
        "a forged token whose header is 4,000 nested arrays",
        (_segment(b'{"alg":"HS256","x":' + _NESTED + b"}") + b"." + _segment(b"{}") + b".x").decode(),
        False,
    ),
    "jwt-nested-exp": ("exp that is an array", signed(_HEADER, b'{"sub":"a","exp":[[1]]}'), False),
    "jwt-iat-huge": (
        "iat of 400 digits",
        signed(_HEADER, b'{"sub":"a","exp":' + _SOON + b',"iat":1' + b"0" * 400 + b"}"),
        False,
    ),
    "jwt-sub-huge": ("sub of 10 KB", signed(_HEADER, b'{"exp":' + _SOON + b',"sub":"' + b"x" * 10_000 + b'"}'), False),
    "jwt-surrogates": ("sub that is no text", signed(_HEADER, b'{"exp":' + _SOON + b',"sub":"\\ud800"}'), False),
}


def _presents(token: str) -> Act:
    """The token, as a header of a request and of an upgrade, as a query, in the first message."""

    def act(fight: Fight) -> None:
        for _ in fight.paced():
            fight.ask("POST", "/api/games", b"{}", f"Authorization: Bearer {token}")
            one = fight.talker(token=token)
            if one.status == 101:
                fight.tally.seen["came in"] += 1
            one.close()
            fight.ask("GET", f"/ws/{fight.game()}?token={token[:6_000]}")

    return act


def _ask_provider(fight: Fight, mode: str) -> None:
    request = f"GET /mode/{mode} HTTP/1.0\r\n\r\n".encode()
    with socket.create_connection((HOST, fight.aim.data["provider"]), CONNECT_TIMEOUT_S) as sock:
        sock.sendall(request)
        while sock.recv(65_536):
            pass


def _provides(mode: str) -> Act:
    """The provider's answer is hostile for a while; then a new key must be learnt as ever."""

    def act(fight: Fight) -> None:
        if fight.aim.is_sink:
            fight.until_over()
            return
        _ask_provider(fight, mode)
        time.sleep(max(0.0, fight.ends - 3.5 - time.monotonic()))  # the keys change near its end
        _ask_provider(fight, "rotated")
        header = f"Authorization: Bearer {fight.aim.data['later']}"
        while time.monotonic() < fight.ends:
            if fight.ask("POST", "/api/games", b"{}", header)[0] == 201:
                fight.tally.seen["learnt"] += 1
                return
            time.sleep(0.2)

    return act


def _unknown_keys(fight: Fight) -> None:
    """Tokens that name keys which there are not: each asks for a fetch."""
    unknown = fight.aim.data["unknown"]

    def pieces(number: int) -> Any:
        head = "GET /ws/{} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n"
        return repeat(head.format(fight.game(), unknown[number % len(unknown)]).encode())

    fight.pour(lambda _: b"", pieces, waits=False, turns=True, again=True)


def _tries_doors(fight: Fight) -> None:
    """Every way to write what is for machines only."""
    for path in _FORBIDDEN:
        status, body = fight.ask("GET", path)
        if status == 200 and not body.lstrip().startswith(b"<!"):
            fight.tally.seen["open door"] += 1
    fight.tally.seen["tried"] += 1


def _token_in_query(fight: Fight) -> None:
    """More upgrades than nginx lets through, each with a token in its query."""

    def request(number: int) -> bytes:
        head = f"GET /ws/{fight.game()}?token={fight.token(number)} HTTP/1.1\r\nHost: localhost\r\n"
        return (head + "Connection: close\r\n\r\n").encode()

    fight.pour(request, lambda _: iter(()), waits=False, again=True)


def _sends(number: signal.Signals) -> Act:
    """A signal, from somebody who may."""

    def act(fight: Fight) -> None:
        if not fight.aim.is_sink:
            os.kill(fight.aim.data["pid"], number)
            time.sleep(0.5)
            alive = is_alive(fight.aim.data["pid"])
            fight.tally.seen["alive" if alive else "ended"] += 1
        fight.until_over()

    return act


def _second_process(fight: Fight) -> None:
    """A second server on the same file of events."""
    if fight.aim.is_sink:
        fight.until_over()
        return
    folder = fight.aim.data["folder"]
    environment = {key: value for key, value in os.environ.items() if key != "PORT"}
    second = subprocess.Popen(
        [sys.executable, "-m", "app", "serve"],
        cwd=folder,
        env=environment | {"PYTHONPATH": fight.aim.data["code"], "PORT": "0", "JWT_SECRET": SECRET, "LOG_FILE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert second.stdout is not None
    try:
        second.wait(fight.attack.seconds)
        fight.tally.seen["refused" if second.returncode else "ended"] += 1
    except subprocess.TimeoutExpired:
        fight.tally.seen["served"] += 1
    finally:
        second.terminate()
        second.wait(20)
        second.stdout.close()


def _hostile_keys(mode: str, what: str, *, is_named: bool = True) -> Attack:
    return Attack(
        id=f"jwks-{mode}",
        what=what,
        item=2,
        act=_provides(mode),
        place=Place.JWKS,
        connections=1,
        opened=20,
        seconds=7.0,
        expect=("learnt",),
        loud=("keys.failed", "keys.fetched"),
        is_named=is_named,
    )


ATTACKS: Final = (
    *(
        Attack(
            id=id,
            what=f"a token with {what}" if not what.startswith("a ") else what,
            item=8,
            act=_presents(token),
            connections=1,
            opened=60,
            per_second=10.0,
            seconds=1.0,
            expect=("401", "431", "400"),
            never=("500", "came in", "0"),
            is_named=is_named,
        )
        for id, (what, token, is_named) in _TOKENS.items()
    ),
    _hostile_keys("huge", "a key set of 300 MB"),
    _hostile_keys("nested", "a key set of 100,000 nested arrays"),
    _hostile_keys("drip", "a key set that comes a byte every tenth of a second", is_named=False),
    Attack(
        id="jwks-unknown-keys",
        what="tokens that name keys which there are not",
        item=2,
        act=_unknown_keys,
        place=Place.JWKS,
        connections=20,
        opened=10_000,
        most_bytes=8 * 2**20,
        loud=("keys.failed", "keys.fetched"),
        expect=("401", "429", "503"),
    ),
    Attack(
        id="nginx-doors",
        what="sixteen ways to write a path that is for machines only, through the shipped nginx",
        item=7,
        act=_tries_doors,
        place=Place.NGINX,
        opened=20,
        seconds=1.0,
        expect=("tried",),
        never=("500", "open door"),
        is_named=True,
    ),
    Attack(
        id="nginx-tokens",
        what="upgrades with a token in the query, more than the shipped nginx lets through",
        item=7,
        act=_token_in_query,
        place=Place.NGINX,
        connections=20,
        opened=1_500,
        most_bytes=2 * 2**20,
        expect=("429", "503"),
        is_named=True,
    ),
    *(
        Attack(
            id=f"signal-{number.name.lower()}",
            what=f"{number.name}, without a terminal",
            item=8,
            act=_sends(number),
            seconds=1.0,
            expect=("alive",),
            loud=("app.dump", "app.diagnostics", "app.reloaded", "app.signalled"),
            never=("500", "ended"),
            is_named=True,
        )
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    ),
    Attack(
        id="sqlite-second-process",
        what="a second server on the same file of events",
        item=5,
        act=_second_process,
        connections=0,
        seconds=4.0,
        expect=("refused",),
        never=("500", "served"),
        is_named=True,
    ),
)
