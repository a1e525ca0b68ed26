"""Two replicas in production on one event log, each with its ops port; and the operator's commands, in this process."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.operator.run import operate
from app.operator.service import OpsService
from app.options import make_parser
from app.settings import Settings
from tools.harness.nats import Nats
from tools.harness.server import SECRET, STEP_TIMEOUT_S, ServerProcess, free_port, until

OPS_TOKEN = "9f1d7c3b5e8a2046" * 4


@dataclass(frozen=True)
class Pair:
    """Both servers, and where their consoles are."""

    one: ServerProcess
    two: ServerProcess

    @property
    def urls(self) -> tuple[str, str]:
        """Of the ops ports."""
        one, two = (f"http://127.0.0.1:{server.settings['OPS_PORT']}" for server in (self.one, self.two))
        return one, two

    @property
    def instances(self) -> list[str]:
        """What they call themselves."""
        return [str(OpsService(url, OPS_TOKEN, "", STEP_TIMEOUT_S).get("/replica")["instance"]) for url in self.urls]


@contextlib.contextmanager
def running_pair(folder: Path, **settings: object) -> Iterator[Pair]:
    """Start both, and wait until they know each other."""
    with Nats(folder / "nats") as nats, contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_replica(folder, name, nats.url, settings)) for name in ("one", "two")]
        pair = Pair(*servers)
        until(lambda: all(_knows(url, len(servers)) for url in pair.urls))
        yield pair


def _replica(folder: Path, name: str, event_log_url: str, settings: Mapping[str, object]) -> ServerProcess:
    quickly = dict.fromkeys(("drain_delay_s", "drain_game_wait_s", "drain_spread_s"), 0)
    own = {"event_log_url": event_log_url, "replica": name, "ops_port": free_port(), "ops_token": OPS_TOKEN}
    return ServerProcess(folder / name, **{"environment": "production", **own, **quickly, **settings})


def _knows(url: str, count: int) -> bool:
    service = OpsService(url, OPS_TOKEN, "", STEP_TIMEOUT_S)
    return bool(service.get("/replica")["ready"]) and len(service.get("/replicas")["rows"]) == count


class Console:
    """The commands as an operator types them, their exit codes and what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str], url: str, token: str = OPS_TOKEN) -> None:
        self._capsys = capsys
        self._url = url
        self._settings = Settings(_env_file=None, jwt_secret=SECRET, ops_token=token)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, and what goes to stdout and stderr."""
        self._capsys.readouterr()
        options = make_parser().parse_args([*arguments, "--url", self._url])
        code = operate(self._settings, options)
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def text(self, *arguments: str) -> str:
        """What it prints, where all went well."""
        code, out, error = self.run(*arguments)
        assert (code, error) == (0, ""), out + error
        return out

    def ask(self, *arguments: str) -> Any:
        """The same for programs."""
        return json.loads(self.text(*arguments, "--json"))
