"""The race page and the client it loads: static files."""

from pathlib import Path
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import NotFoundException
from litestar.static_files import create_static_files_router

STATIC: Final = Path(__file__).parent / "static"
PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def pages() -> Any:  # noqa: ANN401 - Litestar's router type is generic
    """Serve the files, for every path that nothing else answers."""
    there = {one.relative_to(STATIC).as_posix() for one in STATIC.rglob("*")} | {""}

    async def require_page(request: Request[Any, Any, Any]) -> None:
        """Refuse what cannot be there before the file system is asked: some names it answers with an error."""
        if request.path_params.get("file_path", "").strip("/") not in there:
            raise NotFoundException

    return create_static_files_router(
        path="/",
        directories=[STATIC],
        html_mode=True,
        before_request=require_page,
        after_request=_add_page_headers,
        include_in_schema=False,
    )


def _add_page_headers(response: Response[Any]) -> Response[Any]:
    response.headers.update(PAGE_HEADERS)
    return response
