"""The race page and the client's modules it loads: files, read once."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from litestar import Response, get

from app.web.json_request import AnyRequest
from app.web.negotiation import is_known, takes_gzip
from app.web.reading import DOCUMENT, tag_of

STATIC: Final = Path(__file__).parent / "static"
CLIENT: Final = Path(__file__).parents[2] / "clients/javascript"
"""Where the client's modules stand in a checkout; the wheel has them in `STATIC`."""
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".ts": "text/plain; charset=utf-8",
}
"""By the end of a name; the system's own table takes .ts for video."""
_PACKED_AT_MOST: Final = 0.9
"""Of its size: what gzip makes hardly smaller (a picture) is not worth the unpacking."""
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{sockets}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


@dataclass(frozen=True)
class PageFile:
    """A file as it is served.

    Its tag is of its content, so it is the same on every replica and changes with a deploy, back to an older version
    too: a date of change would do neither. It is a weak one, as it stands for the packed bytes too.
    """

    content: bytes
    content_type: str
    tag: str

    @classmethod
    def read(cls, path: Path) -> "PageFile":
        """Read one. Raises KeyError for a name whose type is not known."""
        content = path.read_bytes()
        return cls(content, _TYPES[path.suffix], tag_of(content))

    @cached_property
    def packed(self) -> bytes | None:
        """What is sent to those who take gzip, once somebody asked; None where that is hardly smaller."""
        packed = gzip.compress(self.content, mtime=0)
        return packed if len(packed) < len(self.content) * _PACKED_AT_MOST else None

    def answer(self, headers: Mapping[str, str]) -> Response[bytes]:
        """Answer a request for it; who has it already is not sent it again."""
        answered = {
            **DOCUMENT,  # a deploy is seen at once
            "etag": self.tag,
            "content-security-policy": _policy(headers.get("host", "")),
        }
        if is_known(self.tag, headers.get("if-none-match", "")):
            return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=answered)
        answered["content-type"] = self.content_type
        body = self.content
        if takes_gzip(headers.get("accept-encoding", "")) and self.packed is not None:
            body = self.packed
            answered["content-encoding"] = "gzip"
        answered["content-length"] = str(len(body))
        return Response(body, headers=answered)


def served() -> dict[str, Path]:
    """Find the files, by name."""
    found = (*STATIC.iterdir(), *CLIENT.glob("*.js"), *CLIENT.glob("*.d.ts"))
    return {path.name: path for path in sorted(found) if path.is_file()}


def pages() -> Any:  # noqa: ANN401 - Litestar's handler type is generic
    """Serve the files, each at its name, and the page at / too."""
    files = {f"/{name}": PageFile.read(path) for name, path in served().items()}
    files["/"] = files["/index.html"]

    @get(list(files), include_in_schema=False)
    async def page(request: AnyRequest) -> Response[bytes]:
        return files[str(request.scope["path_template"])].answer(request.headers)

    return page


def _policy(host: str) -> str:
    """Let the page connect to where it comes from only; Safari before 16 takes 'self' for no WebSocket's address."""
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return _POLICY.format(sockets=sockets)
