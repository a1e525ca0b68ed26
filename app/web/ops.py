"""Operations: health, metrics, version."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from litestar import HttpMethod, MediaType, Response, get, route
from litestar.di import NamedDependency

from app.health import Health
from app.web.client_address import client_address, is_from_here
from app.web.error_answers import refusal
from app.web.json_request import AnyRequest
from app.web.negotiation import takes_gzip
from app.workers import discovery

NOT_FROM_HERE: Final = "metrics are for this machine alone where there is no OPS_PORT; set that, or OPS_PUBLIC"


class RenderMetrics(Protocol):
    """A function that renders the exposition for an Accept header: body and content type."""

    async def __call__(self, accept: str, *, is_packed: bool, is_scrape: bool) -> tuple[bytes, str]:
        """Render for a client that accepts `accept`, with gzip if `is_packed`; it is read only by a scrape."""


@dataclass(frozen=True, slots=True)
class Ops:
    """What the operations endpoints answer with."""

    health: Health
    render_metrics: RenderMetrics
    version: str
    revision: str
    replica: str
    environment: str
    is_guarded: bool
    """Metrics and verbose probes are for this machine alone."""

    def shows(self, request: AnyRequest) -> bool:
        """Tell whether a request may see what is for this machine alone."""
        return not self.is_guarded or is_from_here(client_address(request), request.headers)


def _answer(
    checks: dict[str, bool], *, verbose: bool, shown: dict[str, bool] | None = None
) -> Response[dict[str, Any]]:
    """Answer a probe: `checks` decide, what is only `shown` does not."""
    failed = [name for name, passed in checks.items() if not passed]
    body: dict[str, Any] = {"status": "failing" if failed else "ok"}
    if failed:
        body["failed"] = failed
    if verbose:
        body["checks"] = (shown or {}) | checks
    status = HTTPStatus.SERVICE_UNAVAILABLE if failed else HTTPStatus.OK
    return Response(body, status_code=status)


def _is_verbose(request: AnyRequest, ops: Ops) -> bool:
    return "verbose" in request.query_params and ops.shows(request)


@get("/livez", include_in_schema=False)
async def livez(request: AnyRequest, ops: NamedDependency[Ops]) -> Response[dict[str, Any]]:
    """Tell that the process is alive: the event loop turns, or nobody would answer."""
    return _answer({"event_loop": True}, verbose=_is_verbose(request, ops))


@get("/startupz", include_in_schema=False)
async def startupz(request: AnyRequest, ops: NamedDependency[Ops]) -> Response[dict[str, Any]]:
    """Tell whether start-up has finished."""
    return _answer({"started": ops.health.is_started}, verbose=_is_verbose(request, ops))


@get(["/readyz", "/health"], include_in_schema=False)
async def readyz(request: AnyRequest, ops: NamedDependency[Ops]) -> Response[dict[str, Any]]:
    """Tell whether new connections are welcome.

    What hits all replicas at once is only shown, unless READY_GATES names it.
    """
    return _answer(ops.health.checks, verbose=_is_verbose(request, ops), shown=ops.health.states)


@route("/metrics", http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)
async def metrics(request: AnyRequest, ops: NamedDependency[Ops]) -> Response[bytes]:
    """Show the metrics in the format asked for, with gzip where that is taken.

    Prometheus text, OpenMetrics, or protobuf where METRICS_NATIVE_HISTOGRAMS is set.
    """
    if not ops.shows(request):
        raise refusal(HTTPStatus.FORBIDDEN, NOT_FROM_HERE)
    is_packed = takes_gzip(request.headers.get("accept-encoding", ""))
    body, content_type = await ops.render_metrics(
        request.headers.get("accept", ""), is_packed=is_packed, is_scrape=request.method == HttpMethod.GET
    )
    headers = {"content-type": content_type}
    return Response(body, headers=headers | ({"content-encoding": "gzip"} if is_packed else {}))


@get("/version", include_in_schema=False, media_type=MediaType.JSON)
async def version(ops: NamedDependency[Ops]) -> dict[str, str]:
    """Tell what runs here."""
    return {
        "version": ops.version,
        "revision": ops.revision,
        "replica": ops.replica,
        "environment": ops.environment,
    }


@get("/sd", include_in_schema=False, media_type=MediaType.JSON)
async def scraped(request: AnyRequest) -> bytes:
    """List this process for Prometheus to scrape, where several workers would have their supervisor list them."""
    try:
        return discovery.listed_itself(request.headers.get("host", ""))
    except ValueError as error:
        raise refusal(HTTPStatus.BAD_REQUEST, str(error)) from None


@get("/sd/supervisor", include_in_schema=False, media_type=MediaType.JSON)
async def scraped_supervisor() -> bytes:
    """List nobody: one process has no supervisor."""
    return discovery.NOBODY


OPS_HANDLERS = [livez, startupz, readyz, metrics, version, scraped, scraped_supervisor]
