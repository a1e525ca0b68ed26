"""Operations: health, metrics, version."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from litestar import HttpMethod, MediaType, Request, Response, get, route
from litestar.datastructures import State
from litestar.di import NamedDependency

from app.health import Health

AnyRequest = Request[Any, Any, State]
PROBE_METHODS = [HttpMethod.GET, HttpMethod.HEAD]


class RenderMetrics(Protocol):
    """Renders the exposition for an Accept header: body and content type."""

    async def __call__(self, accept: str) -> tuple[bytes, str]:
        """See the class."""


@dataclass(frozen=True, slots=True)
class Ops:
    """What the operations endpoints tell."""

    health: Health
    render_metrics: RenderMetrics
    version: str
    replica: str
    environment: str


def _answer(
    checks: dict[str, bool], *, verbose: bool, shown: dict[str, bool] | None = None
) -> Response[dict[str, Any]]:
    """`checks` decide; what is only `shown` does not."""
    failed = [name for name, passed in checks.items() if not passed]
    body: dict[str, Any] = {"status": "failing" if failed else "ok"}
    if failed:
        body["failed"] = failed
    if verbose:
        body["checks"] = (shown or {}) | checks
    status = HTTPStatus.SERVICE_UNAVAILABLE if failed else HTTPStatus.OK
    return Response(body, status_code=status)


def _is_verbose(request: AnyRequest) -> bool:
    return "verbose" in request.query_params


@route("/livez", http_method=PROBE_METHODS, include_in_schema=False)
async def livez(request: AnyRequest) -> Response[dict[str, Any]]:
    """Alive: the event loop turns, or nobody would answer."""
    return _answer({"event_loop": True}, verbose=_is_verbose(request))


@route("/startupz", http_method=PROBE_METHODS, include_in_schema=False)
async def startupz(request: AnyRequest, ops: NamedDependency[Ops]) -> Response[dict[str, Any]]:
    """Start-up has finished."""
    return _answer({"started": ops.health.is_started}, verbose=_is_verbose(request))


@route(["/readyz", "/health"], http_method=PROBE_METHODS, include_in_schema=False)
async def readyz(request: AnyRequest, ops: NamedDependency[Ops]) -> Response[dict[str, Any]]:
    """Ready for new connections. What hits all replicas at once is only shown, unless READY_GATES names it."""
    return _answer(ops.health.checks, verbose=_is_verbose(request), shown=ops.health.states)


@get("/metrics", include_in_schema=False)
async def metrics(request: AnyRequest, ops: NamedDependency[Ops]) -> Response[bytes]:
    """The metrics, as Prometheus text or OpenMetrics, whichever is asked for."""
    body, content_type = await ops.render_metrics(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type})


@get("/version", include_in_schema=False, media_type=MediaType.JSON)
async def version(ops: NamedDependency[Ops]) -> dict[str, str]:
    """What runs here."""
    return {"version": ops.version, "replica": ops.replica, "environment": ops.environment}


OPS_HANDLERS = [livez, startupz, readyz, metrics, version]
