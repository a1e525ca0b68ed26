"""``python -m app.client``: bots race on a running service."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from app.client.bot import PROBLEM, RECONNECTS, SOLUTION, Bot
from app.protocol import OWN_RELEASES
from app.vocabulary import ClientName
from code_racer_client import Api, ClientError, GameWebSocket

EXAMPLES = """examples:
  python -m app.client                                 two bots race on http://localhost:8080
  python -m app.client --players 8 --quiet             eight of them, only the result is printed
  python -m app.client --game ID --token "$TOKEN"      join a game as yourself
  python -m app.client --problem podium --code my.py   another problem, your solution
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Race; the exit code is 0 when the race has finished."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(race(options))
    except ClientError as error:
        print(f"code-racer bot: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.client",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--url", type=_service, default="http://localhost:8080", help="the service (http://localhost:8080)"
    )
    parser.add_argument("--players", type=_at_least_one, default=2, metavar="N", help="how many bots (2)")
    parser.add_argument("--game", metavar="ID", help="an existing game; a new one by default")
    parser.add_argument("--token", help="play as whoever this token names, alone; guests by default")
    parser.add_argument("--name", default="bot", help="what guests are called (bot)")
    parser.add_argument("--problem", default=PROBLEM, help=f"the problem of a new game ({PROBLEM})")
    parser.add_argument(
        "--code", type=_readable, metavar="FILE", help=f"what to hand in; a solution of {PROBLEM} by default"
    )
    parser.add_argument("--quiet", action="store_true", help="print the result only")
    return parser


def _at_least_one(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of players; write 1 or more")
    return int(text)


def _service(text: str) -> str:
    with contextlib.suppress(ValueError):  # a port, or a host, that is none
        parts = urlsplit(text)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return text
    raise argparse.ArgumentTypeError(f"{text!r} is no URL of a service; write it like https://race.example.org")


def _readable(name: str) -> str:
    """Read a file."""
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"cannot read {name}: {error}") from None


async def race(options: argparse.Namespace) -> None:
    """Set a race up and run it. Raises ClientError."""
    api = Api(options.url.rstrip("/"))
    code = options.code or SOLUTION
    names = [options.name] if options.token else [f"{options.name}-{number + 1}" for number in range(options.players)]
    tokens = [options.token] if options.token else [(await api.guest(name))["token"] for name in names]
    players = max(len(tokens), 1)
    api.token = tokens[0]
    wishes = {"problem": options.problem, "min_players": players, "max_players": max(players, 2)}
    game_id = options.game or (await api.create_game(**wishes))["game_id"]
    show = (lambda _: None) if options.quiet else print
    show(f"game {game_id}")
    bots = [
        Bot(name, _socket(game_id, token, api.ws_url), code, show) for name, token in zip(names, tokens, strict=True)
    ]
    finished, *_ = await asyncio.gather(*(bot.race() for bot in bots))
    data = finished["data"]
    winner = next((entry["name"] for entry in data["ranking"] if entry["player_id"] == data["winner"]), "nobody")
    print(f"finished: {data['reason']}, winner {winner}")  # noqa: T201 - a command's answer


def _socket(game_id: str, token: str, url: str) -> GameWebSocket:
    return GameWebSocket(game_id, token, url, max_reconnect_attempts=RECONNECTS, client=OWN_RELEASES[ClientName.BOT])


if __name__ == "__main__":
    sys.exit(main())
