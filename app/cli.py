"""The command line: the subcommands and their options."""

import argparse
import asyncio
import contextlib
import functools
import gc
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app import __version__, signals
from app.arguments import wanted_workers
from app.environment import read_dotenv, strays
from app.listeners import bind, inherit
from app.options import make_parser
from app.process import most_open_files
from app.settings import CannotStartError, Settings, SettingsError, describe, load_settings, signing_secret
from app.vocabulary import Environment
from app.workers import Inherited, Share
from app.workers.share import ALONE

if TYPE_CHECKING:  # at run time only the commands that write logs wait for it
    from app.telemetry.logs import Logs, LogWriter

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
CANARY_TOKEN_TTL_S = 600
OWN_FILES = 48
"""So many are open at once, with some to spare, before the first connection; each judge worker takes one more."""
JUDGE_NEEDS = "it needs the package pydantic-monty (or MONTY_BIN), memory, open files and processes (ulimit -a)"


def run(arguments: Sequence[str] | None = None, *, began: float) -> int:
    """Run a command in a process that `began` then (`time.monotonic`), its signals held.

    Returns the exit code: 0 done, 1 failed, 2 wrong usage or settings.
    """
    options = make_parser().parse_args(arguments, argparse.Namespace(began=began))
    if options.command not in {"serve", "canary"}:  # those are told to end, and hear it once they can
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signals.unblock()
    if options.command == "version":
        print(__version__)  # noqa: T201 - a command's answer
        return EXIT_OK
    try:
        _require_folder()
        for line in strays(read_dotenv()):
            _report(line)
        settings = load_settings()
        commands = {
            "serve": serve,
            "token": token,
            "check-config": check_config,
            "copy-log": copy_log,
            "canary": canary,
            "doctor": doctor,
        }
        return commands.get(options.command, operate)(settings, options)
    except SettingsError as error:
        lines = "\n".join(f"  {line}" for line in str(error).splitlines())
        return _report(f"the settings cannot be used:\n{lines}", EXIT_USAGE)
    except CannotStartError as error:
        return _report(str(error), EXIT_USAGE)


def _require_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise CannotStartError(
            f"the folder that this was started in cannot be used: {error.strerror}; change to one that is there"
        ) from None


def _require_files(settings: Settings) -> None:
    allowed, needed = most_open_files(), OWN_FILES + settings.judge_processes + settings.reserved_descriptors
    if 0 <= allowed < needed:  # there is no limit where it is -1
        raise CannotStartError(
            f"no more than {allowed} files may be open at once (ulimit -n); raise that to {needed}, and one more for"
            " each connection"
        )


def _report(text: str, exit_code: int = EXIT_OK) -> int:
    """Print what keeps a command from its work, or might; return the exit code, handed through."""
    print(f"code-racer: {text}", file=sys.stderr)  # noqa: T201 - for whoever typed the command
    return exit_code


def serve(settings: Settings, options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    _require_files(settings)
    worker: Inherited | None = options.worker
    asked, count = wanted_workers(options.workers, settings)
    if worker is None and count > 1:
        return supervise(settings, count, asked, began=options.began)
    gc.disable()  # until the server serves: what is made before then stays, and looking through it takes 0.1 s
    listeners = inherit(worker) if worker else bind(settings, settings.socket_unsent_bytes, settings.tls_unread_bytes)
    from app.asgi import create_app  # noqa: PLC0415 - the other commands need not wait for it
    from app.eventlog import LogUnavailable  # noqa: PLC0415 - the same
    from app.judge import JudgeUnavailable, UnusableProblem  # noqa: PLC0415 - the same
    from app.moving import take_in_games  # noqa: PLC0415 - the same
    from app.server import Server  # noqa: PLC0415 - the same
    from app.telemetry.catalogue import Events  # noqa: PLC0415 - the same
    from app.telemetry.pushed_profiles import pushed_profiles  # noqa: PLC0415 - the same
    from app.telemetry.recorder import write_event  # noqa: PLC0415 - the same

    writer, logs = _logging(settings, worker.share if worker else ALONE)
    undo = logs.take_over()
    try:
        if worker is None:
            take_in_games(settings, 1, functools.partial(write_event, logs.logger))
        app = create_app(settings, logs, worker)
        server = Server(app, settings, listeners, worker, began=options.began)
        profiles = pushed_profiles(settings, settings.environment, app.state.service.replica)
        with profiles, asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve())
        app.state.service.recorder.log(Events.APP_STOPPED, uptime_s=round(time.monotonic() - options.began, 3))
    except LogUnavailable as error:
        raise CannotStartError(f"EVENT_LOG_URL: {error}") from None
    except UnusableProblem as error:
        raise CannotStartError(f"{error}; mend it, or install the package again") from None
    except JudgeUnavailable as error:
        raise CannotStartError(f"the judge: {error}; {JUDGE_NEEDS}") from None
    else:
        return EXIT_OK if server.started else EXIT_FAILED
    finally:
        undo()
        writer.close()


def supervise(settings: Settings, count: int, asked: str = "--workers", *, began: float) -> int:
    """Serve with `count` workers, as `asked` says, until told to stop. Raises CannotStartError."""
    from app.moving import take_in_games  # noqa: PLC0415 - the other commands need not wait for it
    from app.supervisor import require_replaceable, require_supervisable  # noqa: PLC0415 - the same
    from app.supervisor import supervise as run  # noqa: PLC0415 - the same
    from app.telemetry.catalogue import Events  # noqa: PLC0415 - the same
    from app.telemetry.recorder import write_event  # noqa: PLC0415 - the same
    from app.usable import require_usable  # noqa: PLC0415 - the same

    require_usable(settings)
    require_supervisable(settings, count, asked)
    writer, logs = _logging(settings)
    undo = logs.take_over()
    write = functools.partial(write_event, logs.logger)

    def check() -> None:
        fresh = load_settings()
        require_usable(fresh)
        require_replaceable(settings, fresh)

    try:
        take_in_games(settings, count, write)
        exit_code = run(settings, count, write, check)
        write(Events.SUPERVISOR_STOPPED, uptime_s=round(time.monotonic() - began, 3))
    finally:
        undo()
        writer.close()
    return exit_code


def _logging(settings: Settings, share: Share = ALONE) -> "tuple[LogWriter, Logs]":
    """Open the logs on stdout as the settings have them; the writer must be closed. Raises SettingsError.

    Workers write to one stdout together, and each to a file of its own.
    """
    from app.telemetry.log_sinks import FileSink  # noqa: PLC0415 - the same
    from app.telemetry.logs import Logs, LogWriter  # noqa: PLC0415 - the other commands need not wait for it
    from app.usable import cannot_log  # noqa: PLC0415 - the same

    if sys.stdout is None:
        raise CannotStartError("standard output is closed, and logs go there; who wants none sends it to /dev/null")
    file = settings.log_path and share.part_of(settings.log_path)
    try:
        writer = LogWriter(
            open(sys.stdout.fileno(), "wb", buffering=0, closefd=False),  # noqa: SIM115 - stdout's own, it stays open
            render=settings.log_format,
            file=FileSink(file, settings.log_file_max_bytes) if file else None,
            queue_size=settings.log_queue_size,
            profile=settings.log_profile,
            gcp_project=settings.log_gcp_project,
            flush_timeout_s=settings.log_flush_timeout_s,
        )
    except OSError as error:
        raise cannot_log(file or Path("-"), error) from None
    if share != ALONE:
        writer.share_stream()
    common = {
        "service.name": settings.otel_service_name,
        "service.version": __version__,
        "deployment.environment.name": settings.environment.value,
        "replica": settings.replica or socket.gethostname(),
    }
    return writer, Logs(writer, level=settings.log_level, common=common)


def canary(settings: Settings, options: argparse.Namespace) -> int:
    """Race on a service; with --once 1 where a race did not end as it should."""
    from app.canary import PLAYERS, CanaryConfig, CannotListen, run_canary  # noqa: PLC0415 - the other commands need not wait
    from app.telemetry.recorder import write_event  # noqa: PLC0415 - the same

    if len(options.token_file) not in {0, PLAYERS}:
        return _report(f"--token-file: give {PLAYERS} of them, one a player", EXIT_USAGE)
    config = CanaryConfig(
        urls=(options.url,) if options.url else tuple(options.each),
        each=bool(options.each),
        every_s=options.every_s,
        timeout_s=options.timeout_s,
        host=options.host,
        port=options.port,
        tokens=_canary_tokens(settings, options.token_file),
    )
    writer, logs = _logging(settings)
    undo = logs.take_over()
    try:
        write = functools.partial(write_event, logs.logger)
        went_well = asyncio.run(_run_until_signal(run_canary(config, write, once=options.once)))
    except CannotListen as error:
        return _report(f"{error}; set --host and --port", EXIT_USAGE)
    finally:
        undo()
        writer.close()
    return EXIT_OK if went_well else EXIT_FAILED


def _canary_tokens(settings: Settings, files: list[Path]) -> Callable[[tuple[str, ...]], tuple[str, ...]] | None:
    """Say how the canary gets its tokens: from files, made with JWT_SECRET, or (None) as a guest of the service."""
    from app.web.auth.issuer import TokenIssuer  # noqa: PLC0415 - the other commands need not wait for it

    if files:
        return lambda _: tuple(file.read_text("ascii").strip() for file in files)
    if not settings.jwt_secret.get_secret_value():
        return None
    issuer = TokenIssuer(signing_secret(settings, settings.environment), settings.jwt_issuer, settings.jwt_audience)
    return lambda names: tuple(issuer.issue(name, name, CANARY_TOKEN_TTL_S)[0] for name in names)


async def _run_until_signal(work: Coroutine[None, None, bool]) -> bool:
    """Run it until SIGTERM or SIGINT, which is a good end."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    signals.unblock()
    try:
        return await task
    except asyncio.CancelledError:
        return True


def token(settings: Settings, options: argparse.Namespace) -> int:
    """Print a token."""
    from app.web.auth.issuer import TokenIssuer  # noqa: PLC0415 - the other commands need not wait for it
    from app.web.auth.player import PLAYER_IDS, is_player_id  # noqa: PLC0415 - the same

    if not is_player_id(options.player):
        return _report(f"--player: must be {PLAYER_IDS}, or no server takes the token", EXIT_USAGE)
    if settings.jwt_jwks_url:
        raise SettingsError("JWT_JWKS_URL: tokens come from whoever owns those keys; there is none to sign with here")
    if settings.environment is Environment.PRODUCTION and not options.yes_in_production:
        return _report("this makes a working token for production; say --yes-in-production if you mean it", EXIT_USAGE)
    issuer = TokenIssuer(signing_secret(settings, settings.environment), settings.jwt_issuer, settings.jwt_audience)
    print(issuer.issue(options.player, options.player, options.ttl)[0])  # noqa: T201 - a command's answer
    return EXIT_OK


def copy_log(settings: Settings, options: argparse.Namespace) -> int:
    """Copy an event log into the one of the settings."""
    from app.eventlog import CopyFailed, LogInUse, LogUnavailable, open_event_log  # noqa: PLC0415 - the other commands need not wait for it
    from app.eventlog import copy_log as copy  # noqa: PLC0415 - the same

    try:
        source_settings = load_settings(event_log_url=options.source)
    except SettingsError as error:
        raise CannotStartError(str(error).replace("EVENT_LOG_URL", "--from")) from None
    source = open_event_log(source_settings, "copy-log", must_exist=True)
    target = open_event_log(settings, "copy-log")

    async def run() -> str:
        async with contextlib.AsyncExitStack() as opened:
            for log in (source, target):
                await log.open()
                opened.push_async_callback(log.close)
            copied = await copy(source, target)
        return f"{copied.games} games, {copied.commits} commits copied; the others were there already"

    try:
        print(asyncio.run(run()))  # noqa: T201 - a command's answer
    except LogInUse as error:
        raise CannotStartError(str(error)) from None
    except (CopyFailed, LogUnavailable) as error:
        return _report(str(error), EXIT_FAILED)
    return EXIT_OK


def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """Say what is wrong with a running service; 1 where something is."""
    from app.doctor import Questions, ask, diagnose, to_json, to_text  # noqa: PLC0415 - the other commands need not wait for it

    if not (options.replica or options.prometheus or options.url):
        return _report("doctor: whom shall it ask? Give --prometheus, --replica or --url", EXIT_USAGE)
    asked = Questions(tuple(options.replica), options.prometheus, tuple(options.url), options.timeout_s)
    facts = ask(asked, settings)
    findings = diagnose(facts)
    print((to_json if options.json else to_text)(facts, findings))  # noqa: T201 - a command's answer
    return EXIT_FAILED if findings else EXIT_OK


def operate(settings: Settings, options: argparse.Namespace) -> int:
    """See, ask or act on a running service; 1 where it could not be done."""
    from app.operator.run import operate as run  # noqa: PLC0415 - the other commands need not wait for it

    return run(settings, options)


def check_config(settings: Settings, _options: argparse.Namespace) -> int:
    """Print the settings, one NAME=value a line, once the files that they name can be used."""
    from app.usable import require_usable  # noqa: PLC0415 - the other commands need not wait for it

    require_usable(settings)
    asked, count = wanted_workers(None, settings)
    if count > 1:
        from app.supervisor import require_supervisable  # noqa: PLC0415 - one process needs none

        require_supervisable(settings, count, asked)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads may have read enough: `| head`
    for name, value in describe(settings):
        print(f"{name}={value}")  # noqa: T201 - a command's answer
    longest = f"{settings.drain.longest_s:g} s"
    print(f"# from SIGTERM to the end it takes at most {longest}: a pod's grace period must be longer")  # noqa: T201 - a command's answer
    return EXIT_OK
