"""Centrifugo: each metric that the comparison says it has is asked of a running one, after clients came and went."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from app.telemetry.catalogue import METRICS
from tests.bench.centrifugo import PROGRAM, Centrifugo, hello
from tests.proof.built import built
from tests.proof.record import Record

COMPARED: Final = Path(__file__).parents[3] / "docs" / "compared.md"
PING_EVERY: Final = "1s"


def named(prefix: str) -> set[str]:
    """The metrics that the page names."""
    return set(re.findall(rf"`({prefix}_\w+)`", COMPARED.read_text("utf-8")))


def prove(record: Record) -> None:
    """Let clients come, publish, err, be pinged and be refused; then ask for the names."""
    server = Centrifugo(ping_interval=PING_EVERY)
    server.start()
    try:
        version = subprocess.run([built(PROGRAM), "version"], capture_output=True, text=True, check=True).stdout
        record.started("centrifugo", f"{PROGRAM.version} ({version.strip()})", PROGRAM.origin)
        asyncio.run(_used(f"ws://127.0.0.1:{server.port}/connection/websocket"))
        there = set(re.findall(r"^# TYPE (\w+)", server.metrics(), re.MULTILINE))
    finally:
        server.stop()
    for name in sorted(named("centrifugo")):
        record.asked(f"is there {name}?", "yes" if name in there else "no", held=name in there)
    unknown = named("code_racer") - {metric.name for metric in METRICS}
    record.asked("are all of ours in the catalogue?", ", ".join(sorted(unknown)) or "yes", held=not unknown)


async def _used(url: str) -> None:
    async with (
        connect(url, proxy=None) as publisher,
        connect(url, proxy=None) as reader,
        connect(url, proxy=None) as bad,
    ):
        for number, one in enumerate((publisher, reader)):
            await one.send(hello(number, 2))
            await one.recv()
        for channel in ("game:0", "no-such-namespace:0"):
            await publisher.send(json.dumps({"id": 2, "publish": {"channel": channel, "data": {}}}))
        await bad.send(json.dumps({"id": 1, "connect": {"token": "none"}}))
        await asyncio.gather(_until_closed(bad), _until_pinged(reader))


async def _until_closed(one: ClientConnection) -> None:
    try:
        while True:
            await one.recv()
    except ConnectionClosed:
        return


async def _until_pinged(one: ClientConnection) -> None:
    """Its ping is an empty object, and so is the answer; the second tells that the first was answered in time."""
    for _ in range(2):
        while "{}" not in _lines(await one.recv()):
            pass
        await one.send("{}")


def _lines(message: str | bytes) -> Iterator[str]:
    yield from str(message).splitlines()
