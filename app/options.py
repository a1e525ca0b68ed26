"""The subcommands and their options, as they are typed."""

import argparse
from pathlib import Path

from app import __version__
from app.arguments import inherited, plain_url, positive, ttl, url, workers
from app.operator.arguments import add_operator_commands

EXAMPLES = """examples:
  code-racer serve                                   serve the game on HOST:PORT
  PORT=9000 LOG_FORMAT=console code-racer serve      the same, elsewhere and for people to read
  code-racer serve --workers auto                    a process for each core behind one PORT
  code-racer token --player ann --ttl 2h             a token to connect with
  code-racer check-config                            verify and print the settings
  code-racer canary --url https://race.example.org --once   a race as players have it; 0: it went well
  code-racer canary --each http://code-racer-each:8080 --once   the same on each replica: may the deploy go on?
  code-racer doctor --prometheus http://prometheus:9090   what is wrong, most likely first; 0: nothing
  code-racer top                                     what the replicas are doing, live; q ends it
  code-racer player ann                              is she connected, and why was she disconnected?
  code-racer log-level debug --for 10m --reason "#42"   more lines for a time; OPS_TOKEN in the environment
  code-racer copy-log --from sqlite:///var/code-racer.db   into EVENT_LOG_URL, to move to many replicas
"""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="code-racer",
        description="Code Racer realtime: live programming races over WebSocket.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__, help="print the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serving = commands.add_parser("serve", help="serve the game")
    serving.add_argument(
        "--workers", type=workers, metavar="N",
        help="processes that serve PORT together, or auto: one for each core (WORKERS)",
    )  # fmt: skip
    serving.add_argument("--worker", type=inherited, help=argparse.SUPPRESS)  # the supervisor's word with its workers
    make = commands.add_parser("token", help="make a token for a player, signed with JWT_SECRET")
    make.add_argument("--player", required=True, metavar="NAME", help="the player's id and name")
    make.add_argument("--ttl", default="1h", type=ttl, metavar="TIME", help="life, like 90s, 30m, 2h, 7d (1h)")
    make.add_argument(
        "--yes-in-production", action="store_true", help="needed in production: whoever holds it plays as NAME"
    )
    copy = commands.add_parser("copy-log", help="copy the games of another event log into EVENT_LOG_URL")
    copy.add_argument("--from", required=True, dest="source", metavar="URL", help="what to copy; nobody may write it")
    _canary_parser(commands)
    _doctor_parser(commands)
    add_operator_commands(commands)
    commands.add_parser("check-config", help="verify and print the settings, secrets starred")
    commands.add_parser("version", help="the same as --version")
    return parser


def _canary_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    bird = commands.add_parser("canary", help="race on a service again and again, and measure what players meet")
    where = bird.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", type=url, metavar="URL", help="the service, as players reach it")
    where.add_argument(
        "--each", type=plain_url, action="append", default=[], metavar="URL",
        help="replicas: a race on every address that the URL's name has; may be given again and again",
    )  # fmt: skip
    bird.add_argument("--every-s", type=positive, default=30.0, metavar="S", help="from one race to the next (30)")
    bird.add_argument(
        "--timeout-s", type=positive, default=20.0, metavar="S", help="a race that takes longer failed (20)"
    )
    bird.add_argument("--host", default="127.0.0.1", help="address of its metrics (127.0.0.1)")
    bird.add_argument(
        "--port", type=int, default=9091, metavar="N", help="port of its metrics; 0 picks a free one (9091)"
    )
    bird.add_argument("--once", action="store_true", help="race once, no metrics; the exit code says how it went")
    bird.add_argument(
        "--token-file", type=Path, action="append", default=[], metavar="FILE",
        help="a player's token, read before each race; give two of them where only others can make tokens",
    )  # fmt: skip


def _doctor_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    who = commands.add_parser("doctor", help="ask a running service what is wrong with it; 1: something is")
    who.add_argument("--replica", type=url, action="append", default=[], metavar="URL", help="a replica's ops port")
    who.add_argument("--prometheus", type=url, metavar="URL", help="it knows the replicas, and which alerts fire")
    who.add_argument("--url", type=url, action="append", default=[], metavar="URL", help="the service for players")
    who.add_argument("--timeout-s", type=positive, default=5.0, metavar="S", help="for each question (5)")
    who.add_argument("--json", action="store_true", help="for programs")
