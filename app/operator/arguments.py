"""The options of the operators' commands, made from the table of them."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from app.arguments import positive, ttl, url
from app.operator.commands import ACTIONS, VIEWS, OpsCommand, OpsOption, OptionKind, Reach

ALL: Final = "all"
ANSWER_S: Final = 5.0
MOST_ROWS: Final = 200
_MOST_REASON: Final = 200
_MOST_DIGITS: Final = 15


def add_operator_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add a parser for each command that asks or acts, for `top` and for `bundle`."""
    for command in (*VIEWS, *ACTIONS):
        _add(commands, command)
    top = _parser(commands, "top", "watch a running service in the terminal; q ends it")
    top.add_argument("--every-s", type=positive, default=2.0, metavar="S", help="from one look to the next (2)")
    top.add_argument("--once", action="store_true", help="print one frame")
    bundle = _parser(commands, "bundle", "gather what a ticket needs into one archive, without secrets or code")
    bundle.add_argument("--to", type=Path, metavar="FILE", help="the archive (code-racer-bundle-TIME.tar.gz)")


def _parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, help: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
    parser.add_argument(
        "--url", type=url, action="append", default=[], metavar="URL",
        help="a replica's ops port, which is asked for the others too; again and again: these alone"
        " (http://127.0.0.1:OPS_PORT, or PORT)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout-s", type=positive, metavar="S", help=f"for each answer ({ANSWER_S:g}; erase: and OPS_LONG_TIMEOUT_S)"
    )
    return parser


def _add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", command: OpsCommand) -> None:
    parser = _parser(commands, command.name, command.help)
    parser.add_argument("--json", action="store_true", help="for programs")
    if command.reach is not Reach.ANY or command.owned_option:
        parser.add_argument("--replica", metavar="NAME", help=_replica_help(command))
    if command.subject:
        choices = command.subject_choices or None
        kind: Callable[[str], Any] = _share if command.subject_field == "share" else _word
        parser.add_argument("subject", type=kind, choices=choices, metavar=command.subject, help=_shown("", choices))
    for option in (*command.options, *command.more_options):
        _add_option(parser, option)
    if command.acts:
        parser.add_argument("--reason", required=True, type=_reason, metavar="WHY", help="it is logged with your name")


def _replica_help(command: OpsCommand) -> str:
    if command.reach is not Reach.ONE:
        return "this one alone"
    return f"this one, not the one that is asked; {ALL}: each" if command.name != "drain" else "this one"


def _add_option(parser: argparse.ArgumentParser, option: OpsOption) -> None:
    if option.kind is OptionKind.FLAG:
        parser.add_argument(option.flag, dest=option.field, action="store_false", help=option.help)
        return
    kinds: dict[OptionKind, Callable[[str], Any]] = {
        OptionKind.COUNT: _count, OptionKind.NUMBER: _number, OptionKind.TIME: ttl,
    }  # fmt: skip
    metavar = _shown(option.flag.removeprefix("--").upper(), option.choices)
    parser.add_argument(
        option.flag, dest=option.field, type=kinds.get(option.kind, _word), choices=option.choices or None,
        required=option.is_required, metavar=metavar, help=option.help,
    )  # fmt: skip


def _shown(name: str, choices: tuple[str, ...] | None) -> str:
    return "|".join(choices) if choices else name


def _word(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_ROWS):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_ROWS}")
    return int(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of up to {_MOST_DIGITS} digits")
    return int(text)


def _share(text: str) -> float:
    """Read a share, like 0.2 or 20%. Raises ArgumentTypeError."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write it like 0.2 or 20%")
    return share


def _reason(text: str) -> str:
    if not text.strip() or len(text) > _MOST_REASON or not text.isprintable():
        raise argparse.ArgumentTypeError(f"say why, in a line of up to {_MOST_REASON} characters")
    return text
