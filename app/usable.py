"""Whether the files can be used that the settings name, told before anything is begun, made or listened on."""

import contextlib
import datetime as dt
import errno
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography import x509

from app.eventlog.select import file_of, open_event_log
from app.eventlog.writer import OWN_FOLDER, no_folder
from app.settings import LOG_FOLDER, EventLogSettings, ServerSettings, Settings, SettingsError


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


def cannot_log(file: Path, error: OSError) -> SettingsError:
    """Say that the log file cannot be written."""
    why, do = error.strerror or str(error), "make it writable"
    if error.errno == errno.ENXIO:
        why = "a FIFO that nobody reads"
    if file.parent != LOG_FOLDER and not file.parent.is_dir():
        why, do = f"there is no folder {file.parent}", "make it"
    return SettingsError(
        f"LOG_FILE: cannot write {file.absolute()}: {why}; {do}, or start in another folder,"
        " or set LOG_FILE= for no file"
    )


def bad_certificate(settings: ServerSettings, error: Exception) -> SettingsError:
    """Say that TLS cannot be served."""
    files = f"{settings.tls_cert_file} and TLS_KEY_FILE {settings.tls_key_file}"
    return SettingsError(f"TLS_CERT_FILE: {files} cannot be used: {error}; both must be PEM, of one pair")


def load_certificate_again(settings: ServerSettings, serving: ssl.SSLContext) -> dt.datetime:
    """Have handshakes from now on served with the certificate as it is in the files now; return when that one ends.

    Raises SettingsError: it cannot be used; `serving` is as it was.
    """
    _certificate(settings)  # apart from what serves: of a bad pair that would keep the half that came first
    try:
        serving.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
        return x509.load_pem_x509_certificate(Path(settings.tls_cert_file).read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise bad_certificate(settings, error) from None


def _certificate(settings: ServerSettings) -> None:
    if not settings.tls_cert_file:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_cert_file, settings.tls_key_file
        )
    except OSError as error:  # ssl.SSLError is one
        raise bad_certificate(settings, error) from None


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
        raise cannot_log(file, error) from None
    folder = next(folder for folder in file.absolute().parents if folder.exists())
    if not os.access(folder, os.W_OK):
        raise cannot_log(file, OSError(errno.EACCES, os.strerror(errno.EACCES)))


def _event_log(settings: EventLogSettings) -> None:
    open_event_log(settings, "check")  # opens nothing; reads the files that NATS is to be reached with
    file = file_of(settings.event_log_url)
    if file is not None and file.parent != OWN_FOLDER and not file.parent.is_dir():
        raise SettingsError(f"EVENT_LOG_URL: {no_folder(file)}")


_CHECKS: Final[tuple[Callable[[Settings], object], ...]] = (_certificate, _log_file, _event_log)
