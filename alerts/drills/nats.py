"""Drills of the servers of NATS, each with an exporter beside it."""

import asyncio
import contextlib
import socket
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final

import nats as nats_client

from alerts.drills.drill import Act, Drill
from alerts.drills.replicas import QUICK, majority_gone, wanting
from alerts.drills.stage import Stage
from alerts.model import Severity
from tools.harness import fetch
from tools.harness.nats import Nats, Node
from tools.harness.nats_exporter import exporter

_PAGE, _TICKET = Severity.CRITICAL, Severity.WARNING
_STORE: Final = 20_000_000
_LARGE: Final = 200_000
_AWAY: Final = frozenset({"CodeRacerEventLogDown", "CodeRacerMessageBudgetBurn"})
"""Pages that an event log is right to cause which is away; what says why silences them, where it comes first."""


@contextlib.contextmanager
def _watched(
    stage: Stage,
    count: int = 1,
    *,
    more: str = "",
    limits: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Nats]:
    """A server on so many servers of NATS, and all of them scraped."""
    with contextlib.ExitStack() as stack:
        folder = stage.folder / "nats"
        nats = stack.enter_context(Nats(folder, count, more=more, limits=limits, environment=environment))
        settings: dict[str, Any] = {"event_log_url": nats.url, "nats_replicas": count, **QUICK}
        stack.enter_context(stage.serve(scraped=False, **settings))
        hosts = [stack.enter_context(exporter(node, folder)) for node in nats.nodes]
        stage.stack.target(stage.server.host, nats=hosts)
        stage.seen(f"count(nats_healthz_status_value == 1) == {count}")
        yield nats


def _follower(nats: Nats) -> Node:
    """Find a server that leads no stream: when it goes nobody waits for an election."""
    told = fetch.get(f"{nats.nodes[0].monitor_url}/jsz?streams=true").json()["account_details"]
    leaders = {stream["cluster"]["leader"] for account in told for stream in account["stream_detail"]}
    return next(node for node in nats.nodes if f"n{node.number}" not in leaders)


def _one_killed(stage: Stage) -> Generator[None, None, None]:
    with _watched(stage, 3) as nats:
        yield
        node = _follower(nats)
        node.kill()
        yield
        node.start()
        yield


def _quorum_lost(stage: Stage) -> Generator[None, None, None]:
    with _watched(stage, 3) as nats, wanting(stage):
        yield from majority_gone(nats)


def _one_copy(stage: Stage) -> Generator[None, None, None]:
    with _watched(stage, 3) as nats:
        yield
        asyncio.run(_replicas(nats.url, 1))
        yield
        asyncio.run(_replicas(nats.url, 3))
        yield


async def _replicas(url: str, count: int) -> None:
    client = await nats_client.connect(url.split(","))
    info = await client.jetstream().stream_info("CODE_RACER")
    info.config.num_replicas = count
    await client.jetstream().update_stream(info.config)
    await client.close()


def _filled(share: float) -> Act:
    """Somebody else's stream takes so much of the storage."""

    def act(stage: Stage) -> Generator[None, None, None]:
        with _watched(stage, limits=f"max_file_store: {_STORE}") as nats:
            yield
            asyncio.run(_fill(nats.url, int(share * _STORE)))
            yield
            asyncio.run(_emptied(nats.url))
            yield

    return act


async def _fill(url: str, size: int, storage: str = "file") -> None:
    """Store messages in a stream of its own until it has so many bytes."""
    client = await nats_client.connect(url)
    stream = client.jetstream()
    kind = nats_client.js.api.StorageType(storage)
    await stream.add_stream(name="OTHER", subjects=["other"], storage=kind)
    while (await stream.stream_info("OTHER")).state.bytes < size - _LARGE:
        await stream.publish("other", bytes(_LARGE))
    await client.close()


async def _emptied(url: str) -> None:
    client = await nats_client.connect(url)
    await client.jetstream().delete_stream("OTHER")
    await client.close()


def _deaf_clients(stage: Stage) -> Generator[None, None, None]:
    with _watched(stage, more="max_pending: 1MB\nwrite_deadline: 1s") as nats:
        yield
        with stage.again(lambda: asyncio.run(_not_heard(nats.nodes[0])), per_s=5):
            yield
        yield


async def _not_heard(node: Node) -> None:
    """Have a client subscribe and never read, and send it more than the server keeps for it."""
    with socket.create_connection(("127.0.0.1", node.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB flood 1\r\nPING\r\n')
        await asyncio.to_thread(_pong, deaf)
        client = await nats_client.connect(node.url)
        for _ in range(60):
            await client.publish("flood", bytes(_LARGE))
        await client.flush()
        await client.close()


def _pong(deaf: socket.socket) -> None:
    """Read until the subscription is known."""
    heard = b""
    while b"PONG\r\n" not in heard:
        heard += deaf.recv(4096)


def _memory_held(stage: Stage) -> Generator[None, None, None]:
    with _watched(stage, limits="max_memory_store: 1GB", environment={"GOMEMLIMIT": "80MiB"}) as nats:
        yield
        asyncio.run(_fill(nats.url, 120_000_000, "memory"))
        yield
        nats.nodes[0].kill()
        nats.nodes[0].start()  # what it held in memory is gone
        yield


DRILLS: Final = (
    Drill(
        "CodeRacerNatsDown",
        _TICKET,
        "kill -9 one of three NATS servers",
        _one_killed,
        "Servers that are not well",
        None,
    ),
    Drill(
        "CodeRacerNatsNoQuorum",
        _PAGE,
        "kill -9 two of three NATS servers, which are watched",
        _quorum_lost,
        "Servers short of a majority",
        "event_log.lost",
        pages=_AWAY,
    ),
    Drill(
        "CodeRacerNatsCopiesBehind",
        _TICKET,
        "set the stream to one copy",
        _one_copy,
        "Copies that a stream lacks",
        None,
    ),
    Drill(
        "CodeRacerNatsStorageFilling",
        _PAGE,
        "another stream takes 97 % of a NATS server's storage",
        _filled(0.97),
        "Storage used",
        None,
    ),
    Drill(
        "CodeRacerNatsStorageFilling",
        _TICKET,
        "another stream takes 90 % of a NATS server's storage",
        _filled(0.9),
        "Storage used",
        None,
    ),
    Drill(
        "CodeRacerNatsSlowConsumers",
        _TICKET,
        "clients of NATS that subscribe and do not read",
        _deaf_clients,
        "Slow clients cut off",
        None,
    ),
    Drill(
        "CodeRacerNatsMemoryNearLimit",
        _TICKET,
        "a NATS server with more in memory than it is to have",
        _memory_held,
        "Memory used",
        None,
        pages=_AWAY,  # its restart is what ends it
    ),
)
