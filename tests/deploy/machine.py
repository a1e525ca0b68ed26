"""Several server processes on one machine behind the shipped nginx site with TLS."""

import time
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import httpx

from tools.harness import fetch
from tools.harness.nats import Nats
from tools.harness.nginx import Site
from tools.harness.server import ServerProcess, until
from tools.harness.tokens import token

TRIES = 3


class Machine:
    """So many processes, sharing a log where there are several; `site` is where players come."""

    def __init__(self, stack: ExitStack, folder: Path, count: int, real_ip: str = "", **settings: object) -> None:
        common: dict[str, object] = {"trusted_proxies": "127.0.0.1", **settings}
        if count > 1:
            common |= {"event_log_url": stack.enter_context(Nats(folder / "nats")).url, "replica_ttl_s": 2}
        self.replicas: dict[str, ServerProcess] = {}
        for name in "abc"[:count]:
            one = self.replicas[name] = ServerProcess(folder / name, replica=name, **common)
            stack.callback(one.kill)
            one.start()
        if count > 1:
            until(lambda: all(one.metric("replicas") == count for one in self.replicas.values()))
        self.site = stack.enter_context(Site(folder / "nginx", [one.host for one in self.replicas.values()], real_ip))

    def get(self, path: str, **options: object) -> httpx.Response:
        """A page of the service, through nginx."""
        return fetch.get(f"{self.site.base}{path}", verify=self.site.trust, **options)

    def new_game(self, **wishes: object) -> str:
        """A game, made through nginx: in a deploy whoever asks is told when to ask again, as nginx repeats no POST."""
        headers = {"authorization": f"Bearer {token('host')}"}
        url = f"{self.site.base}/api/games"
        for _ in range(TRIES):
            answer = fetch.post(url, json=wishes, headers=headers, verify=self.site.trust)
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            time.sleep(answer.json()["retry_after_ms"] / 1_000)  # as the contract has it
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        return str(answer.json()["game_id"])

    def roll(self) -> None:
        """Restart one after the other; the next one only once the first is ready again."""
        for one in self.replicas.values():
            assert one.stop() == 0
            one.start()
            one.until_ready()

    def place(self, game: str, player_id: str, query: str = "") -> str:
        """Which process a player of a game comes to."""
        with self.site.player(game, token(player_id), query) as player:
            return str(player.until("welcome")["data"]["replica"])
