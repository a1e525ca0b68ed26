"""What only the log on JetStream has: lost answers, who connects and how, and what the servers are asked."""

import asyncio
import base64
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import nats as nats_client
import nkeys
import pytest

from app.eventlog import START, Commit, Conflict, LogUnavailable
from app.eventlog.nats import NatsEventLog
from app.game import GameEvent, PlayerReady, Submit, erased
from app.vocabulary import LogTrouble
from tools.harness.games import GAME_ID, Game
from tools.harness.nats import Nats, log_settings, wipe
from tools.harness.proxy import TcpProxy
from tools.harness.server import free_port
from tools.harness.tls import Certificates

pytestmark = pytest.mark.anyio
SECRET = b"what-ann-wrote"


def event(seq: int) -> list[GameEvent]:
    return [PlayerReady(seq=seq, at=1, player_id="ann", ready=True)]


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with Nats(tmp_path_factory.mktemp("nats")) as running:
        yield running


async def opened(url: str, **more: Any) -> NatsEventLog:
    log = NatsEventLog(log_settings(url, **more), "r1")
    await log.open()
    return log


async def test_an_append_whose_answer_was_lost_is_stored_once(nats: Nats) -> None:
    await wipe(nats.url)
    with TcpProxy(nats.nodes[0].port) as proxy:
        log = await opened(f"nats://127.0.0.1:{proxy.port}", nats_timeout_s=20)
        first = (await log.append("g", START, event(1))).cursor
        proxy.lose_next(b'"seq":')
        second = (await log.append("g", first, event(2))).cursor
        assert proxy.lose is None, "the answer was lost"
        assert [commit.cursor for commit in await log.read("g")] == [first, second]
        await log.close()


async def test_even_where_the_servers_have_forgotten_the_first_try(nats: Nats) -> None:
    await wipe(nats.url)
    with TcpProxy(nats.nodes[0].port) as proxy:
        log = await opened(f"nats://127.0.0.1:{proxy.port}", nats_timeout_s=20)
        first = (await log.append("g", START, event(1))).cursor
        client = await nats_client.connect(nats.url)
        info = await client.jetstream().stream_info("CODE_RACER")
        info.config.duplicate_window = 0.1
        await client.jetstream().update_stream(info.config)
        proxy.lose_next(b'"seq":')
        second = (await log.append("g", first, event(2))).cursor
        assert [commit.cursor for commit in await log.read("g")] == [first, second]
        with pytest.raises(Conflict):
            await log.append("g", first, event(2))
        await client.close()
        await log.close()


async def test_what_was_replaced_is_on_the_servers_disks_no_more_also_where_that_was_half_done(
    nats: Nats, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def on_disk() -> list[Path]:
        files = (one for one in tmp_path_factory.getbasetemp().glob("nats*/store*/**/*") if one.is_file())
        return [one for one in files if SECRET in one.read_bytes()]

    await wipe(nats.url)
    log = await opened(nats.url)
    game = Game(min_players=1)
    game.start("ann")
    first = (await log.append(GAME_ID, START, game.events)).cursor
    submitted = game.do(Submit("ann", SECRET.decode() * 1_000, "python"))
    last = (await log.append(GAME_ID, first, submitted)).cursor
    assert on_disk()
    without = erased(game.events, "ann")
    half = (await log.append(GAME_ID, last, without)).cursor  # and then whoever erases was killed
    await log._commits.overwrite(first)
    await log._commits.overwrite(first)
    assert [list(commit.events) for commit in await log.read(GAME_ID)] == [without]
    replaced = await log.replace(GAME_ID, half, without)
    assert [(one.cursor, list(one.events)) for one in await log.read(GAME_ID)] == [(replaced.cursor, without)]
    assert on_disk() == []
    await log.close()


async def test_a_game_too_large_for_one_message_is_refused_and_stays(nats: Nats) -> None:
    await wipe(nats.url)
    log = await opened(nats.url)
    last = (await log.append("g", START, event(1))).cursor
    with pytest.raises(LogUnavailable) as refused:
        await log.replace("g", last, event(1) * 20_000)
    assert refused.value.trouble is LogTrouble.FULL
    assert [commit.cursor for commit in await log.read("g")] == [last]
    await log.close()


async def test_appends_under_way_are_bounded(nats: Nats) -> None:
    await wipe(nats.url)
    log = await opened(nats.url, nats_max_pending=1)
    taken, refused = await asyncio.gather(
        *(log.append(game, START, event(1)) for game in ("g", "h")), return_exceptions=True
    )
    assert not isinstance(taken, BaseException)
    assert isinstance(refused, LogUnavailable)
    assert refused.trouble is LogTrouble.BUSY
    await log.close()


async def test_a_lost_connection_is_waited_for_only_so_long(tmp_path: Path) -> None:
    with Nats(tmp_path) as nats:
        log = await opened(nats.url, nats_timeout_s=0.5)
        nats.nodes[0].kill()
        began = time.monotonic()
        with pytest.raises(LogUnavailable) as refused:
            await log.append("g", START, event(1))
        assert refused.value.trouble in {LogTrouble.UNREACHABLE, LogTrouble.TIMEOUT}
        assert time.monotonic() - began >= 0.5 - 0.002, "the loop's clock counts whole milliseconds"
        await log.close()


async def test_who_abandons_the_log_waits_for_nothing(tmp_path: Path) -> None:
    with Nats(tmp_path) as nats:
        log = await opened(nats.url, nats_timeout_s=60)
        nats.nodes[0].freeze()
        asked = [asyncio.create_task(log.append("g", START, event(1))), asyncio.create_task(log.read("g"))]
        async with asyncio.timeout(30):
            while len(log._link._inbox) < 3:  # noqa: ASYNC110 - each in a step or two of the loop
                await asyncio.sleep(0)
            await log.abandon(LogUnavailable("enough"))
            asked.append(asyncio.create_task(log.append("h", START, event(1))))
            answers = await asyncio.gather(*asked, return_exceptions=True)
            await log.close()
        assert [type(answer) for answer in answers] == [LogUnavailable] * 3


async def test_a_server_without_jetstream_is_named(tmp_path: Path) -> None:
    with Nats(tmp_path, more="accounts { A { users: [ { user: a, password: b } ] } }") as nats:
        with pytest.raises(LogUnavailable) as refused:
            await opened(nats.url, nats_user="a", nats_password="b", nats_timeout_s=1)
        assert refused.value.trouble is LogTrouble.NO_LEADER


async def test_a_game_is_behind_until_it_has_caught_up(nats: Nats) -> None:
    await wipe(nats.url)
    log = await opened(nats.url)
    first = (await log.append("g", START, event(1))).cursor
    second = (await log.append("g", first, event(2))).cursor
    for _ in range(3):  # whoever could not read it the first time asks again
        assert await log.behind({"g": first}) == ["g"]
    assert await log.behind({"g": second}) == []
    await log.append("g", second, event(3))
    assert await log.behind({"g": second}) == ["g"]
    await log.close()


# ---------------------------------------------------------------- who connects


async def use(url: str, **more: Any) -> None:
    """Connect, and store something."""
    log = await opened(url, **more)
    await log.append("g", START, event(1))
    await log.close()


async def test_over_tls_the_servers_certificate_is_checked(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    tls = f'tls {{ cert_file: "{made.cert}", key_file: "{made.key}" }}'
    with Nats(tmp_path / "nats", more=tls) as nats:
        url = f"tls://localhost:{nats.nodes[0].port}"
        await use(url, nats_tls_ca_file=str(made.ca))
        with pytest.raises(LogUnavailable, match="certificate verify failed"):
            await use(url, nats_tls_cert_file=str(made.cert), nats_tls_key_file=str(made.key), ready_timeout_s=1)


async def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    tls = f'tls {{ cert_file: "{made.cert}", key_file: "{made.key}", ca_file: "{made.ca}", verify: true }}'
    with Nats(tmp_path / "nats", more=tls) as nats:
        url = f"tls://localhost:{nats.nodes[0].port}"
        files = {"ca": made.ca, "cert": made.cert, "key": made.key}
        await use(url, **{f"nats_tls_{name}_file": str(path) for name, path in files.items()})
        with pytest.raises(LogUnavailable):
            await use(url, nats_tls_ca_file=str(made.ca), ready_timeout_s=1)


def new_key(prefix: int) -> nkeys.KeyPair:
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


async def test_with_an_nkey(tmp_path: Path) -> None:
    key = new_key(nkeys.PREFIX_BYTE_USER)
    seed = tmp_path / "seed"
    seed.write_bytes(bytes(key.seed) + b"\n")  # as the tools write it
    with Nats(tmp_path / "nats", more=f"authorization {{ users: [ {{ nkey: {key.public_key.decode()} }} ] }}") as nats:
        await use(nats.url, nats_nkey_seed_file=str(seed))
        with pytest.raises(LogUnavailable) as refused:
            await use(nats.url, ready_timeout_s=1)
        assert refused.value.trouble is LogTrouble.DENIED


def signed(claims: dict[str, Any], issuer: nkeys.KeyPair) -> str:
    """A JWT as NATS has it (ed25519-nkey)."""
    claims = claims | {"iss": issuer.public_key.decode(), "iat": int(time.time())}
    claims["jti"] = base64.b32encode(hashlib.sha256(json.dumps(claims).encode()).digest()).decode().rstrip("=")
    encode: Callable[[bytes], str] = lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")  # noqa: E731 - twice below
    head = encode(b'{"typ":"JWT","alg":"ed25519-nkey"}')
    body = f"{head}.{encode(json.dumps(claims).encode())}"
    return f"{body}.{encode(issuer.sign(body.encode()))}"


async def test_with_a_credentials_file(tmp_path: Path) -> None:
    operator, account, system, user = (
        new_key(prefix)
        for prefix in (
            nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_USER,
        )
    )  # fmt: skip
    free = dict.fromkeys(("subs", "data", "payload"), -1)
    account_limits = free | dict.fromkeys(("imports", "exports", "conn", "leaf"), -1) | {"wildcards": True}
    stores = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)

    def public(key: nkeys.KeyPair) -> str:
        return str(key.public_key.decode())

    def account_jwt(key: nkeys.KeyPair, limits: dict[str, Any]) -> str:
        claims = {"sub": public(key), "name": "a", "nats": {"type": "account", "version": 2, "limits": limits}}
        return signed(claims, operator)

    operator_jwt = signed({"sub": public(operator), "name": "o", "nats": {"type": "operator", "version": 2}}, operator)
    user_jwt = signed({"sub": public(user), "name": "u", "nats": {"type": "user", "version": 2, **free}}, account)
    more = f"""
    operator: "{operator_jwt}"
    system_account: {public(system)}
    resolver: MEMORY
    resolver_preload: {{
        {public(account)}: "{account_jwt(account, account_limits | stores)}"
        {public(system)}: "{account_jwt(system, account_limits)}"
    }}
    """
    creds = tmp_path / "app.creds"
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{bytes(user.seed).decode()}\n------END USER NKEY SEED------\n"
    )
    with Nats(tmp_path / "nats", more=more) as nats:
        await use(nats.url, nats_credentials_file=str(creds))
        with pytest.raises(LogUnavailable) as refused:
            await use(nats.url, ready_timeout_s=1)
        assert refused.value.trouble is LogTrouble.DENIED


async def test_whoever_is_refused_while_running_tries_again_one_at_a_time(tmp_path: Path) -> None:
    users = "authorization {{ users: [ {{ user: app, password: {} }} ] }}"
    with Nats(tmp_path, more=users.format("secret")) as nats:
        log = await opened(nats.url, nats_user="app", nats_password="secret", nats_timeout_s=0.5)
        nats.configure(more=users.format("changed"))
        tries = nats.nodes[0].log.count("authentication error")
        async with asyncio.timeout(30):
            while nats.nodes[0].log.count("authentication error") < tries + 4:  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.1)
        assert sum(task.get_name() == "nats reopen" for task in asyncio.all_tasks()) <= 1
        nats.configure(more=users.format("secret"))
        async with asyncio.timeout(30):
            while not await works(log):
                pass
        await log.close()


async def works(log: NatsEventLog) -> bool:
    try:
        await log.probe()
    except LogUnavailable:
        return False
    return True


async def test_the_servers_know_which_replica_a_connection_is_of(tmp_path: Path) -> None:
    port = free_port()
    with Nats(tmp_path, more=f"http: 127.0.0.1:{port}") as nats:
        log = await opened(nats.url)
        async with httpx.AsyncClient() as http:
            told = (await http.get(f"http://127.0.0.1:{port}/connz")).json()
        names = [one["name"] for one in told["connections"]]
        assert names == ["code-racer r1"]
        await log.close()


async def test_the_commits_and_broadcasts_of_a_game_come_over_one_subscription(tmp_path: Path) -> None:
    """Each costs as much memory as a loaded game otherwise takes."""
    port = free_port()
    with Nats(tmp_path, more=f"http: 127.0.0.1:{port}") as nats:
        sender, receiver = await opened(nats.url), await opened(nats.url)
        news: asyncio.Queue[object] = asyncio.Queue()
        commits = await receiver.subscribe("g", news.put_nowait)
        broadcasts = await receiver.coordination.subscribe("g", news.put_nowait)
        other = await receiver.coordination.subscribe("g", lambda _: None)
        stored = await sender.append("g", START, event(1))
        received = await next_of(news)
        assert isinstance(received, Commit)
        assert (received.cursor, received.events) == (stored.cursor, stored.events)
        sender.coordination.broadcast("g", b"one")
        assert await next_of(news) == b"one"
        assert await subscriptions(port) == 1
        commits.close()
        other.close()
        await sender.append("g", stored.cursor, event(2))
        sender.coordination.broadcast("g", b"two")
        assert await next_of(news) == b"two", "commits are delivered no more"
        broadcasts.close()
        async with asyncio.timeout(20):
            while await subscriptions(port):
                pass
        await receiver.subscribe("g", news.put_nowait)
        async with asyncio.timeout(20):  # it can be subscribed to again; the server hears of it a moment later
            while await subscriptions(port) != 1:
                pass
        await sender.close()
        await receiver.close()


async def next_of(news: asyncio.Queue[object]) -> object:
    async with asyncio.timeout(20):
        return await news.get()


async def subscriptions(port: int) -> int:
    """How many the server has for the game."""
    async with httpx.AsyncClient() as http:
        told = (await http.get(f"http://127.0.0.1:{port}/connz?subs=1")).json()
    subjects = [subject for one in told["connections"] for subject in one.get("subscriptions_list", [])]
    return subjects.count("live.game.g.*")
