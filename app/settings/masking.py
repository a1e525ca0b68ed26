"""What of a URL is shown: where it leads, and not who connects nor what is asked, which may be secrets."""

import re
from typing import Final

MASK: Final = "******"
_PARTS: Final = re.compile(r"([^/?#]*)([^?#]*)(.*)", re.DOTALL)
"""Behind the slashes: who connects and where to, the path, and the rest."""


def mask_url(text: str) -> str:
    """Mask who connects and the query of a URL; what is no URL stays as it is.

    A password may have a slash that was not encoded: where an `@` comes later than it should, all is masked. A file's
    name may have one.
    """
    scheme, slashes, rest = text.partition("://")
    match = _PARTS.fullmatch(rest)
    if not slashes or match is None:
        return text
    authority, path, query = match.groups()
    if scheme != "sqlite" and "@" in path + query:
        return f"{scheme}://{MASK}"
    user, at, host = authority.rpartition("@")
    return f"{scheme}://{MASK if user else ''}{at}{host}{path}{query[:1]}{MASK if query[1:] else ''}"
