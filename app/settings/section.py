"""Kinds of values that settings of several sections have."""

import contextlib
from collections.abc import Callable
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic_settings import NoDecode

from app.settings.masking import mask_url

MIN_SECRET_BYTES: Final = 32


class Section(BaseModel):
    """The base of all sections: what is read is not changed."""

    model_config = ConfigDict(frozen=True, defer_build=True)  # only all of them together are read, so those are built


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _origin(value: str) -> str:
    """Normalise an origin (RFC 6454): scheme, host and port only.

    Raises:
        ValueError: `value` is no http(s) origin.
    """
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{mask_url(value)!r} is no origin; write it like https://example.org")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{mask_url(value)!r} has more than scheme, host and port")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def http_url(like: str) -> Callable[[str], str]:
    """Make what takes an http(s) URL, or nothing, and says else what one would be `like`."""

    def taken(value: str) -> str:
        with contextlib.suppress(ValueError):  # a host, or a port, that is none
            parts = urlsplit(value)
            if not value or (parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0):
                return value
        raise ValueError(f"is no http(s) URL; write it like {like}")

    return taken


def _long_secret(value: SecretStr) -> SecretStr:
    length = len(value.get_secret_value().encode())
    if 0 < length < MIN_SECRET_BYTES:
        raise ValueError(
            f"is {length} bytes long, at least {MIN_SECRET_BYTES} are needed; make one: openssl rand -hex 32"
        )
    return value


def some_of(value: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the value itself. Raises ValueError if it has unknown words."""
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise ValueError(f"does not know {', '.join(unknown)}; known are {', '.join(known)}")
    return value


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Words with commas between them."""
Origins = Annotated[Listed, AfterValidator(lambda value: tuple(map(_origin, value)))]
"""Origins with commas between them."""
Origin = Annotated[str, AfterValidator(lambda value: _origin(value) if value else value)]
"""An origin, or nothing."""
Secret = Annotated[SecretStr, AfterValidator(_long_secret)]
"""A key that is long enough, or nothing."""
