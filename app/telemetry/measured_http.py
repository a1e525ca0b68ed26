"""What is asked over HTTP, measured: by whose handler, how it was answered, how long that took.

It stands around the application, so that it sees what no handler is asked for, too. WebSockets do not come here: of
their handshakes the observer is told.
"""

import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from app.telemetry.observer import HttpRequest
from app.telemetry.recorder import Recorder
from app.telemetry.tracer import Span
from app.vocabulary import HttpRoute
from app.web.error_answers import noted_error

CONSOLE: Final = "/ops"
TRACED: Final = "/api/"
"""What begins so has spans; probes, scrapes and pages would only fill the traces."""
_TYPE: Final = re.compile(r":\w+(?=})")
_GROUPS: Final = {
    **dict.fromkeys(("/livez", "/readyz", "/startupz", "/health", "/metrics", "/version"), HttpRoute.OPS),
    **dict.fromkeys(("/sd", "/sd/supervisor"), HttpRoute.OPS),
    **dict.fromkeys(("/schema", "/schema/asyncapi", "/schema/openapi.json"), HttpRoute.SCHEMA),
}
_OWN: Final = {route.value: route for route in HttpRoute}


class MeasuredHttp:
    """The application `app`, with its requests measured."""

    def __init__(self, app: ASGIApp, recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and measure how it was answered."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        tracer = self._recorder.tracer
        span = tracer.request(_traceparent(scope)) if scope["path"].startswith(TRACED) else None
        self._recorder.http_in_flight += 1
        try:
            with tracer.active(span):
                await self._app(scope, receive, note)
        finally:
            self._recorder.http_in_flight -= 1
            request = _described(scope, status, time.perf_counter() - started, span.trace_id if span else None)
            self._recorder.http_request(request)
            if span is not None:
                _end(span, request)


def _end(span: Span, request: HttpRequest) -> None:
    status = request.status
    span.note({"http.route": request.route, "http.request.method": request.method})
    span.note({"http.response.status_code": status})
    span.end(request.reason or "aborted" if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not status else "")


def _described(scope: HTTPScope, status: int, duration_s: float, trace_id: str | None) -> HttpRequest:
    state: Mapping[str, Any] = scope.get("state") or {}
    error = noted_error(state)
    game_id = (scope.get("path_params") or {}).get("game_id")
    return HttpRequest(
        route=find_route(str(scope.get("path_template", ""))),
        method=str(scope["method"]),
        status=status,
        duration_s=duration_s,
        client=scope["client"][0] if scope.get("client") else "unknown",  # type: ignore[index] # it is there
        reason=error[0] if error else None,
        detail=error[1] if error else None,
        game_id=str(game_id) if isinstance(game_id, UUID) else None,
        player_id=state.get("player_id"),
        trace_id=trace_id,
    )


def find_route(template: str) -> HttpRoute:
    """Find whose a request is; what is nobody's has no template, and each file of the page its own."""
    template = _TYPE.sub("", template)
    if template.startswith(CONSOLE):
        return HttpRoute.OPS
    if template in _GROUPS:
        return _GROUPS[template]
    if template in _OWN:
        return _OWN[template]
    return HttpRoute.PAGE if template else HttpRoute.OTHER


def _traceparent(scope: HTTPScope) -> str | None:
    found = [value for name, value in scope["headers"] if name == b"traceparent"]
    return found[0].decode("latin-1") if len(found) == 1 else None
