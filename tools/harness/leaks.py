"""Where a token may stand in a request, rightly or by mistake: for tests that look for it afterwards."""

import uuid
from collections.abc import Iterator
from pathlib import Path

GAME = f"/ws/{uuid.UUID(int=7)}"


def parts(token: str) -> list[str]:
    """What of a token must be found nowhere: the whole, and its payload and signature alone."""
    return [token, *[part for part in token.split(".")[1:] if len(part) > 8]]


def requests(token: str) -> dict[str, bytes]:
    """Upgrades with a token in each place, by the place."""
    places = {
        "query": (f"{GAME}?token={token}", ""),
        "query of another path": (f"/metrics?x=1&token={token}", ""),
        "query of the page": (f"/?token={token}", ""),
        "ticket": (f"{GAME}?ticket={token}", ""),
        "encoded query": (f"{GAME}%3Ftoken={token}", ""),
        "fragment": (f"{GAME}#token={token}", ""),
        "path": (f"/ws/{token}", ""),
        "path of the API": (f"/api/games/{token}", ""),
        "path of nothing": (f"/{token}/x", ""),
        "absolute form": (f"http://localhost{GAME}?token={token}", ""),
        "authorization": (GAME, f"Authorization: Bearer {token}\r\n"),
        "subprotocol": (GAME, f"Sec-WebSocket-Protocol: code-racer.v1, bearer.{token}\r\n"),
        "cookie": (GAME, f"Cookie: token={token}\r\n"),
        "referer": (GAME, f"Referer: https://race.example.org/?token={token}\r\n"),
        "forwarded": (GAME, f"X-Forwarded-For: {token}\r\nX-Forwarded-Proto: {token}\r\nForwarded: for={token}\r\n"),
        "client": (f"{GAME}?client={token}&last_seq={token}", f"User-Agent: {token}\r\nTraceparent: {token}\r\n"),
        "origin": (GAME, f"Origin: https://{token}\r\n"),
    }
    return {place: upgrade(target, headers) for place, (target, headers) in places.items()}


def malformed(token: str) -> dict[str, bytes]:
    """Requests that are none, with a token in their line, by what is wrong."""
    line = f"GET {GAME}?token={token} HTTP/1.1\r\n"
    post = f"POST /api/guests?token={token} HTTP/1.1\r\nHost: a\r\n"
    return {
        "user": upgrade(f"http://{token}@localhost{GAME}?token={token}", ""),
        "two hosts": upgrade(f"{GAME}?token={token}", "Host: b\r\n"),
        "two authorizations": upgrade(GAME, f"Authorization: Bearer {token}\r\nAuthorization: {token}\r\n"),
        "no host": f"{line}\r\n".encode(),
        "host": f"GET / HTTP/1.1\r\nHost: {token}/?token={token}\r\n\r\n".encode(),
        "header": f"{line}Host: a\r\n{token}\r\nX y: {token}\r\n\r\n".encode(),
        "method": f"{token} / HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        "version": f"GET {GAME}?token={token} HTTP/7.{token}\r\nHost: a\r\n\r\n".encode(),
        "control character": f"GET {GAME}?token={token}\x01\x00 HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        "no line": f"{token}\r\n\r\n".encode(),
        "length": f"{post}Content-Length: {token}\r\n\r\n".encode(),
        "chunk": f"{post}Transfer-Encoding: chunked\r\n\r\n{token}\r\n".encode(),
        "too long a line": f"GET {GAME}?token={token}&{'x' * 70_000} HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        "too long a header": f"{line}Host: a\r\nX: {token * 300}\r\n\r\n".encode(),
        "too large a body": f"{post}Content-Length: 999999\r\n\r\n{token}".encode(),
        "body": f"{post}Content-Type: application/json\r\nContent-Length: {len(token)}\r\n\r\n{token}".encode(),
    }


def unfinished(token: str) -> dict[str, bytes]:
    """Requests whose end never comes, by what is missing."""
    return {
        "head": f"GET {GAME}?token={token} HTTP/1.1\r\nHost: a\r\nX: {token}".encode(),
        "body": f"POST /api/games?token={token} HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{token[:9]}".encode(),
    }


def upgrade(target: str, headers: str) -> bytes:
    """An upgrade as a client sends it; the connection is not kept."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
    ).encode()


def found(marks: list[str], folder: Path) -> Iterator[str]:
    """Which file below `folder` has which mark, by its beginning."""
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            yield from (f"{path.relative_to(folder)}: {mark[:12]}" for mark in marks if mark.encode() in text)
