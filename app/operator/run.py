"""Runs an operator's command: asks whom it is for, and prints what comes of it."""

import argparse
import getpass
import json
import shutil
import socket
import sys
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from app.arguments import wanted_workers
from app.operator.arguments import ALL, ANSWER_S, MOST_ROWS
from app.operator.bundle import make_bundle
from app.operator.commands import COLUMNS, COMMANDS, OpsCommand, Reach
from app.operator.consoles import Answers, Consoles, Target
from app.operator.service import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CannotAskError, OpsService
from app.operator.tables import columns_of, record, table
from app.operator.top import show_top
from app.settings import Settings

_EVERYWHERE: Final = {"0.0.0.0", "::", "localhost"}  # noqa: S104 - it is asked, not listened on


def operate(settings: Settings, options: argparse.Namespace) -> int:
    """Run the command of `options`; return the exit code: 0 done, 1 not all of it could be, 2 wrong usage."""
    urls = options.url or _urls(settings)
    if not urls:
        return _complain("the port is picked at the start where it is 0; say --url http://127.0.0.1:PORT", EXIT_USAGE)
    token = settings.ops_token.get_secret_value()
    services = [OpsService(url, token, _who(), _patience_s(settings, options)) for url in dict.fromkeys(urls)]
    try:
        if options.command == "top":
            return show_top(Consoles(services), every_s=options.every_s, is_once=options.once)
        if options.command == "bundle":
            return make_bundle(Consoles(services), options.to, token)
        return _run(COMMANDS[options.command], services, options)
    except CannotAskError as error:
        return _complain(str(error), EXIT_FAILED)


def _urls(settings: Settings) -> list[str]:
    """Say where the settings have the service: the ops ports of its workers, or the one port of all."""
    host = "127.0.0.1" if settings.host in _EVERYWHERE else settings.host
    host = f"[{host}]" if ":" in host else host
    if settings.ops_port is None:
        scheme = "https" if settings.tls_cert_file else "http"
        return [f"{scheme}://{host}:{settings.port}"] if settings.port else []
    _, count = wanted_workers(None, settings)
    ports = [settings.ops_port + one for one in (range(1, count + 1) if count > 1 else (0,))]
    return [f"http://{host}:{port}" for port in ports] if settings.ops_port else []


def _patience_s(settings: Settings, options: argparse.Namespace) -> float:
    """Say how long an answer is waited for: longer than whoever answers may wait for others."""
    if options.timeout_s is not None:
        return float(options.timeout_s)
    command = COMMANDS.get(options.command)
    return ANSWER_S + (settings.ops_long_timeout_s if command and command.takes_long else 0)


def _who() -> str:
    """Return the name of who types, as the system knows it."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a user without a name
        return ""


def _complain(text: str, exit_code: int) -> int:
    print(f"code-racer: {text}", file=sys.stderr)  # noqa: T201 - for whoever typed the command
    return exit_code


def _run(command: OpsCommand, services: list[OpsService], options: argparse.Namespace) -> int:
    replica = getattr(options, "replica", None)
    consoles = Consoles(services, None if replica == ALL else replica)
    subject = quote(str(getattr(options, "subject", "")), safe="")
    path = command.path.format(subject)
    given = _given(command, options)
    owned = _owned(command, given, subject)

    def ask(target: Target) -> Any:  # noqa: ANN401 - JSON
        asked = target._replace(is_for_all=target.is_for_all or command.is_gathered)
        if not command.acts:
            told = {**asked.get(path, given), **_more(command, target, subject, options)}
            return _named_so(command, asked, options.subject, told) if command.by_name else told
        if owned:
            target.get(owned)
        return asked.send(command.method, path, body={**given, "reason": options.reason})

    answers = consoles.ask(Reach.OWNER if owned else command.reach, ask, is_everywhere=replica == ALL)
    if not answers.by_name:
        raise _nothing(answers)
    is_apart = command.reach is Reach.ONE and len(answers.by_name) > 1
    told = dict(answers.by_name) if is_apart else _together(answers.by_name, command.order)
    lines = _apart(command, told) if is_apart else _text(command, told)
    print(json.dumps(told, indent=2) if options.json else "\n".join(lines))  # noqa: T201 - a command's answer
    missing = [*answers.unheard, *map(_missing, told.get("missing", ()))]
    for text in missing:
        _complain(text, EXIT_FAILED)
    return EXIT_FAILED if missing else EXIT_OK


def _given(command: OpsCommand, options: argparse.Namespace) -> dict[str, Any]:
    """Return what the query or the body says, by the API's names."""
    given = {one.field: getattr(options, one.field) for one in command.options}
    if command.subject_field:
        given[command.subject_field] = options.subject
    return {field: value for field, value in given.items() if value is not None}


def _owned(command: OpsCommand, given: Mapping[str, Any], subject: str) -> str:
    """Return what only the owner answers of what the command is about; empty where it has none."""
    named = quote(given.get(command.owned_option, ""), safe="") if command.owned_option else subject
    return command.owned.format(named) if named else ""


def _more(command: OpsCommand, target: Target, subject: str, options: argparse.Namespace) -> dict[str, Any]:
    """Ask for what else is shown: the rows behind a place, else the last; and how many are left out at either end."""
    if not command.more:
        return {}
    path, limit = command.more.format(subject), options.limit or MOST_ROWS
    page = target.get(path, {"after": options.after, "limit": limit})
    if options.after is None and page["next"] is not None:
        page = target.get(path, {"after": page["total"] - limit, "limit": limit})
    rows, total = page["rows"], page["total"]
    before, last = (rows[0]["seq"] - 1, rows[-1]["seq"]) if rows else (total, total)
    name = path.rpartition("/")[2]
    return {name: rows, f"{name}_left_out": {"before": before, "after": total - last}}


def _named_so(command: OpsCommand, asked: Target, name: str, told: dict[str, Any]) -> dict[str, Any]:
    """Tell, where nothing is known of such an id, of the only one who has it as a name; else of whom it may mean."""
    if any(value for field, value in told.items() if field not in {"player_id", "missing"}):
        return told
    rows = asked.get(command.by_name, {"player": name})["rows"]
    exactly = [row["player_id"] for row in rows if (row["name"] or "").casefold() == name.strip().casefold()]
    if len(exactly) != 1:
        return {**told, "named": rows}
    return {**asked.get(command.path.format(quote(exactly[0], safe="")))}


def _nothing(answers: Answers) -> CannotAskError:
    """Say why nobody answered: that it is gone, where all say so, else who could not be asked."""
    errors = list(answers.missing.values())
    unheard = [one for one in errors if not one.is_gone]
    return CannotAskError("; ".join(map(str, unheard or errors[:1])))


def _together(answers: Mapping[str, Any], order: str) -> dict[str, Any]:
    """Put together what several replicas tell: their rows say which; what is told of no rows stands by the name."""
    if len(answers) == 1:
        return dict(next(iter(answers.values())))
    together: dict[str, Any] = {}
    for name, told in answers.items():
        for field, value in told.items():
            if isinstance(value, list):
                together.setdefault(field, []).extend(_named(row, name) for row in value)
            else:
                together.setdefault(name, {})[field] = value
    if order:
        together["rows"].sort(key=lambda row: row[order], reverse=True)
    return together


def _named(row: object, replica: str) -> object:
    return {"replica": replica, **row} if isinstance(row, Mapping) else row


def _missing(one: object) -> str:
    """Say which replica a list is without."""
    return " ".join(map(str, one.values())) if isinstance(one, Mapping) else f"{one}: no answer"


def _apart(command: OpsCommand, told: Mapping[str, Any]) -> list[str]:
    """Write what each replica tells of itself alone."""
    return [line for name, one in told.items() for line in (name, *_text(command, one), "")]


def _text(command: OpsCommand, told: Mapping[str, Any]) -> list[str]:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    rows = told.get("rows")
    if rows is None:
        return [*record(told, width, COLUMNS), *_left_out(command, told)]
    lines = table(rows, columns_of(rows, command.columns), width) if rows else ["none"]
    matched = told.get("matched", len(rows))
    return [*lines, f"{matched - len(rows):,} more"] if matched > len(rows) else lines


def _left_out(command: OpsCommand, told: Mapping[str, Any]) -> list[str]:
    """Say below a table that there is more, and how that is shown."""
    name = command.more.rpartition("/")[2]
    out = told.get(f"{name}_left_out", {"before": 0, "after": 0})
    before, after = out["before"], out["after"]
    lines = [f"{before:,} {name} before these; --after {max(0, before - MOST_ROWS)} shows those"] if before else []
    return [*lines, f"{after:,} {name} after these; --after {told[name][-1]['seq']} shows those"] if after else lines
