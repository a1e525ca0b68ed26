"""Whether the files can be used that the settings name, told before anything is begun, made or listened on."""

import contextlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.eventlog.select import file_of, open_event_log
from app.eventlog.writer import OWN_FOLDER
from app.settings import LOG_FOLDER, Settings, SettingsError


def require_usable(settings: Settings) -> None:
    """Look at every file that `serve` would. Raises SettingsError with every mistake, one a line."""
    wrong = []
    for check in _CHECKS:
        try:
            check(settings)
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError("\n".join(wrong))


def cannot_log(file: Path, why: str) -> SettingsError:
    """Say that the log file cannot be written."""
    do = "make it writable"
    if file.parent != LOG_FOLDER and not file.parent.is_dir():
        why, do = f"there is no folder {file.parent}", "make it"
    return SettingsError(
        f"LOG_FILE: cannot write {file.absolute()}: {why}; {do}, or start in another folder,"
        " or set LOG_FILE= for no file"
    )


def certificate(settings: Settings) -> ssl.SSLContext | None:
    """Return what TLS is served with; None where it is not. Raises SettingsError."""
    if not settings.tls_cert_file:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except OSError as error:  # ssl.SSLError is one
        raise bad_certificate(settings, error) from None
    return context


def bad_certificate(settings: Settings, error: OSError) -> SettingsError:
    """Say that TLS cannot be served."""
    files = f"{settings.tls_cert_file} and TLS_KEY_FILE {settings.tls_key_file}"
    return SettingsError(f"TLS_CERT_FILE: {files} cannot be used: {error}; both must be PEM, of one pair")


def _log_file(settings: Settings) -> None:
    file = settings.log_path
    if file is None:
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            os.close(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
            return
        if file.parent != LOG_FOLDER:
            file.parent.stat()
    except OSError as error:
        raise cannot_log(file, str(error.strerror)) from None
    folder = next(folder for folder in file.absolute().parents if folder.exists())
    if not os.access(folder, os.W_OK):
        raise cannot_log(file, "Permission denied")


def _event_log(settings: Settings) -> None:
    open_event_log(settings, "check")  # opens nothing; reads the files that NATS is to be reached with
    file = file_of(settings.event_log_url)
    if file is not None and file.parent != OWN_FOLDER and not file.parent.is_dir():
        raise SettingsError(
            f"EVENT_LOG_URL: cannot open {file.absolute()}: there is no folder {file.parent}; make it, or set"
            " EVENT_LOG_URL to a file in a folder that can be written"
        )


_CHECKS: Final[tuple[Callable[[Settings], object], ...]] = (certificate, _log_file, _event_log)
