"""The console's page: files, read once; whoever may load it may not yet see anything of the service."""

from typing import Any, Final

from litestar import Response, get

from app.web.json_request import AnyRequest
from app.web.pages import STATIC, PageFile

PREFIX: Final = "/ops"
FILES: Final = STATIC / "ops"


def console_pages() -> Any:  # noqa: ANN401 - Litestar's handler type is generic
    """Serve the files below /ops/, each at its name, and the page at /ops/ too."""
    found = {path.relative_to(FILES).as_posix(): path for path in sorted(FILES.rglob("*.*"))}
    files = {f"{PREFIX}/{name}": PageFile.read(path) for name, path in found.items()}
    files[f"{PREFIX}/icon.svg"] = PageFile.read(STATIC / "icon.svg")
    files[PREFIX] = files[f"{PREFIX}/index.html"]

    @get(list(files), include_in_schema=False)
    async def page(request: AnyRequest) -> Response[bytes]:
        return files[str(request.scope["path_template"])].answer(request.headers)

    return page
