"""What stands beside the settings: names that are almost one, and lines of `.env` that say nothing.

Neither would be noticed: a setting that is misspelt has its default, and a service runs that nobody has asked for.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from dotenv.parser import Binding, parse_stream

from app.settings import DOTENV, Settings, SettingsError

PREFIXES: Final = (
    "CODE_RACER_", "DRAIN_", "EVENT_LOG_", "JUDGE_", "JWKS_", "JWT_", "NATS_", "OUTBOX_", "TICKET_", "WS_",
)  # fmt: skip
"""Names that begin so are meant for us; MAX_ is not among them, as anybody's may."""
ALIKE: Final = 0.85
"""Names are meant for each other from this likeness on (difflib's ratio): of seven letters one is another."""
ALIKE_OTEL: Final = 0.95
"""OpenTelemetry has many similar names; few of them are settings here."""
# Kubernetes tells every container the addresses of the services beside it: https://kubernetes.io/docs/concepts/services-networking/service/
_OF_KUBERNETES: Final = re.compile(r"_SERVICE_(HOST|PORT\w*)$|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$")


def read_dotenv(path: Path = DOTENV) -> list[str]:
    """Return the names that a `.env` gives values to; none if there is no such file.

    Raises:
        SettingsError: it cannot be read, or lines are not NAME=value; told are their numbers, as they may be secrets.
    """
    try:
        with path.open(encoding="utf-8") as file:
            bindings = list(parse_stream(file))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}; make it readable, or remove it") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8; is it a text file?") from None
    wrong = [
        f"{path}, line {binding.original.line}: is not NAME=value" for binding in bindings if _says_nothing(binding)
    ]
    if wrong:
        raise SettingsError("\n".join(wrong))
    return [binding.key for binding in bindings if binding.key]


def _says_nothing(binding: Binding) -> bool:
    return binding.error or (binding.key is not None and binding.value is None)


def strays(dotenv_names: Iterable[str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a line for every name that looks like a setting and is none."""
    settings = [name.upper() for name in Settings.model_fields]
    names = {name.upper() for name in (*environ, *dotenv_names)}.difference(settings)
    return [line for name in sorted(names) if (line := _stray(name, settings)) is not None]


def _stray(name: str, settings: list[str]) -> str | None:
    if _OF_KUBERNETES.search(name):
        return None
    alike = difflib.get_close_matches(name, settings, 1, ALIKE_OTEL if name.startswith("OTEL_") else ALIKE)
    if not alike and not name.startswith(PREFIXES):
        return None
    (nearest,) = alike or difflib.get_close_matches(name, settings, 1, 0)
    return f"{name} is no setting and changes nothing; the nearest that is one: {nearest}"
