"""The bundle: what a ticket about a running service needs, gathered into one archive without secrets or code.

What the API tells has neither; what looks like a token all the same does not get in.
"""

import io
import json
import os
import re
import sys
import tarfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from app import __version__
from app.operator.commands import Reach
from app.operator.consoles import Consoles, Target
from app.operator.service import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CannotAskError
from app.telemetry.logs import redact

OF_ALL: Final = {"replicas.json": "/replicas", "alerts.json": "/alerts", "bans.json": "/bans?limit=200"}
"""What is asked once: the file, and its path in the API."""
OF_EACH: Final = {
    "replica.json": "/replica",
    "settings.json": "/settings",
    "metrics.txt": "/metrics",
    "log.json": "/log?limit=200",
    "connections.json": "/connections?limit=200",
    "games.json": "/games?limit=200",
    "actions.json": "/actions",
    "closes.json": "/closes",
    "slow.json": "/slow",
    "hot-messages.json": "/hot?by=messages",
    "hot-outbox.json": "/hot?by=outbox",
    "hot-errors.json": "/hot?by=errors",
    "hot-reconnects.json": "/hot?by=reconnects",
    "tasks.json": "/diagnostics/tasks",
    "threads.json": "/diagnostics/threads",
    "gc.json": "/diagnostics/gc",
    "descriptors.json": "/diagnostics/descriptors",
    "lag.json": "/diagnostics/lag",
}
"""What each replica is asked."""


def make_bundle(consoles: Consoles, to: Path | None, token: str) -> int:
    """Write the archive, and say where it is; return the exit code: 1 where something is missing in it.

    Raises CannotAskError.
    """
    name = f"code-racer-bundle-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    path = to or Path(f"{name}.tar.gz")
    files, missing = _gather(consoles)
    about = {"made_by": f"code-racer {__version__}", "asked": consoles.urls, "missing": missing}
    archive = _archive(name, {"about.json": json.dumps(about, indent=2), **files}, token)
    try:
        with open(path, "xb", opener=_private) as file:
            file.write(archive)
    except OSError as error:
        print(f"code-racer: {path}: {error.strerror}; say another file with --to", file=sys.stderr)  # noqa: T201 - for whoever typed the command
        return EXIT_USAGE
    print(path)  # noqa: T201 - a command's answer
    for one in missing:
        print(f"code-racer: without {one}", file=sys.stderr)  # noqa: T201 - the same
    return EXIT_FAILED if missing else EXIT_OK


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # it names players, and their addresses


def _gather(consoles: Consoles) -> tuple[dict[str, str], list[str]]:
    """Ask for everything; return the files, and what could not be had. Raises CannotAskError: nobody is there."""
    files: dict[str, str] = {}
    missing: list[str] = []
    for reach, wanted in ((Reach.ANY, OF_ALL), (Reach.EACH, OF_EACH)):
        answers = consoles.ask(reach, partial(_ask_for, wanted=wanted))
        if not answers.by_name:
            raise next(iter(answers.missing.values()))
        missing += answers.unheard
        for name, (found, lacking) in answers.by_name.items():
            folder = f"{_folder(name)}/" if reach is Reach.EACH else ""
            files |= {f"{folder}{file}": text for file, text in found.items()}
            missing += [f"{folder}{one}" for one in lacking]
    return files, missing


def _ask_for(target: Target, wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Ask one replica for one file after the other, so that it is not kept busy. Raises CannotAskError: it is away."""
    found: dict[str, str] = {}
    lacking: list[str] = []
    for file, asked in wanted.items():
        path, _, query = asked.partition("?")
        ask = target.get if file.endswith(".json") else target.text
        try:
            told = ask(path, dict(parse_qsl(query)))
        except CannotAskError as error:
            if not found:
                raise
            lacking.append(f"{file}: {error}")
        else:
            found[file] = told if isinstance(told, str) else json.dumps(told, indent=1)
    return found, lacking


def _folder(name: str) -> str:
    """Make a replica's name, or its URL, that of a folder."""
    return re.sub(r"[^\w.-]+", "_", name)


def _archive(name: str, files: Mapping[str, str], token: str) -> bytes:
    """Pack texts, without what looks like a token."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for file, text in files.items():
            clean = redact(text.replace(token, "<token>") if token else text).encode("utf-8", "backslashreplace")
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size, entry.mtime = len(clean), int(time.time())
            archive.addfile(entry, io.BytesIO(clean))
    return packed.getvalue()
