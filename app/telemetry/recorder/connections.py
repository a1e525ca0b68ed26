"""The recorder of connections, and of what happens before there is one."""

from http import HTTPStatus
from typing import Final

from app.protocol import Close, Hello
from app.rate_limits import address_key
from app.telemetry.catalogue import OTHER, Events, Metrics
from app.telemetry.catalogue.connections import ARRIVALS, EARLY
from app.telemetry.newcomers import Newcomers
from app.telemetry.observer import Closed, ConnectionsObserver, HttpRequest, Limited, Opened
from app.telemetry.recorder.recording import Recording
from app.telemetry.tracer import Handshake, Link
from app.vocabulary import (
    AuthKind,
    Handover,
    HandshakeAnswer,
    HandshakeOutcome,
    HttpRejection,
    HttpRoute,
    KeyRefresh,
    LimitMode,
    PingOutcome,
    ResumeOutcome,
)

_ANSWERS: Final[dict[HandshakeOutcome, HandshakeAnswer | None]] = {
    HandshakeOutcome.ACCEPTED: HandshakeAnswer.ACCEPTED,
    HandshakeOutcome.DRAINING: None,  # that is no answer to the client, but to the end of the replica
    HandshakeOutcome.ABANDONED: None,
}
"""What an attempt's outcome says of its client; all others: it was refused."""
_LOST: Final = (Close.LOST, Close.PING_TIMEOUT)
CLIENTS_WINDOW_S: Final = 600.0
"""A client is counted once in so long, the window of the alerts on a replica that refuses."""
MOST_CLIENTS: Final = 10_000
EARLY_S: Final = 2.0
"""A connection that lives no longer has done nothing for its player: a client that reconnects in a loop has these."""


_TOLD_OF_OPS: Final = {
    HandshakeOutcome.UNAUTHORIZED,
    HandshakeOutcome.FORBIDDEN,
    HandshakeOutcome.ORIGIN_REFUSED,
    HandshakeOutcome.RATE_LIMITED,
}
"""Why a request to OPS_PORT was refused that is told of: somebody may not; what probes are answered is not."""


class ConnectionsRecorder(Recording, ConnectionsObserver):
    """Records what happens to connections, and before there is one."""

    http_in_flight: int = 0
    _clients: Newcomers
    _keys_fetched: bool | None = None

    def handshake(self, handshake: Handshake) -> Link | None:
        link = self.tracer.handshake(handshake)
        trace_id = link.trace_id if link is not None else None
        self._count_handshake(handshake.outcome, handshake.ended - handshake.started, trace_id, handshake.client)
        if handshake.refusal is not None:
            self.lately.ends.refused(
                handshake.outcome,
                handshake.status,
                handshake.refusal,
                handshake.client,
                handshake.player_id,
                handshake.game_id,
            )
            self.log_repeated(
                Events.WS_REFUSED,
                handshake.outcome,
                outcome=handshake.outcome,
                status=handshake.status,
                detail=handshake.refusal,
                client=handshake.client,
                game_id=handshake.game_id,
                player_id=handshake.player_id,
                trace_id=trace_id,
            )
        return link

    def handshake_refused(self, outcome: HandshakeOutcome, status: int, detail: str, client: str) -> None:
        self._count_handshake(outcome, 0.0, None, client)
        self.lately.ends.refused(outcome, status, detail, client)
        self.log_repeated(Events.WS_REFUSED, outcome, outcome=outcome, status=status, detail=detail, client=client)

    def opened(self, opened: Opened) -> None:
        self.log(
            Events.WS_OPENED,
            connection_id=opened.connection_id,
            game_id=opened.game_id,
            player_id=opened.player_id,
            client=opened.client,
            resume=opened.resume,
            trace_id=opened.link.trace_id if opened.link is not None else None,
            release=opened.release,
        )
        self.store.counter(Metrics.CLIENT_CONNECTIONS).inc((opened.release,))

    def closed(self, closed: Closed) -> None:
        row = closed.row
        self.lately.ends.closed(closed)
        self.store.counter(Metrics.CLOSES).inc((str(row.code), row.reason, closed.initiator))
        self.store.histogram(Metrics.CONNECTION_DURATION).observe(closed.duration_s)
        if row in _LOST:
            self.store.histogram(Metrics.LOST_AGE).observe(closed.duration_s)
        self.store.counter(Metrics.DISCARDED).inc((row.reason,), closed.messages_discarded)
        if row is Close.SLOW_CONSUMER:
            self.store.counter(Metrics.SLOW_CONSUMER_CLOSES).inc()
        self.log(
            Events.WS_CLOSED,
            connection_id=closed.connection_id,
            game_id=closed.game_id,
            player_id=closed.player_id,
            code=row.code,
            reason=row.reason,
            received_code=closed.received_code or None,
            initiator=closed.initiator,
            duration_s=round(closed.duration_s, 3),
            messages_in=closed.messages_in,
            messages_out=closed.messages_out,
            bytes_in=closed.bytes_in,
            bytes_out=closed.bytes_out,
            errors=closed.errors,
            rtt_p50_s=closed.rtt_p50_s,
            rtt_p95_s=closed.rtt_p95_s,
            messages_discarded=closed.messages_discarded,
            deepest_outbox_bytes=closed.deepest_outbox_bytes,
            resume=closed.resume,
            trace_id=closed.trace_id,
            release=closed.release,
        )
        kind = EARLY if closed.duration_s < EARLY_S else closed.initiator
        self.store.counter(Metrics.CLIENT_CLOSES).inc((closed.release, kind))
        self.store.counter(Metrics.CLIENT_ERRORS).inc((closed.release,), closed.errors)

    def resumed(self, outcome: ResumeOutcome) -> None:
        self.store.counter(Metrics.RESUMES).inc((outcome,))

    def http_rejected(self, reason: HttpRejection, status: int | None, detail: str, client: str) -> None:
        self.store.counter(Metrics.HTTP_REJECTED).inc((reason,))
        self.lately.ends.refused(reason, status, detail, client)
        self.log_repeated(Events.HTTP_REJECTED, reason, reason=reason, status=status, detail=detail, client=client)

    def handed_over(self, outcome: Handover) -> None:
        self.store.counter(Metrics.HANDOVERS).inc((outcome,))

    def http_request(self, request: HttpRequest) -> None:
        status = request.status or HTTPStatus.INTERNAL_SERVER_ERROR
        counter = self.store.counter(Metrics.HTTP_REQUESTS)
        row = (request.route, request.method, f"{status // 100}xx")
        if row not in counter.values and request.method == "HEAD":
            row = (request.route, "GET", row[2])
        if row not in counter.values:
            row = (HttpRoute.OTHER, OTHER, row[2])
        counter.inc(row)
        self.store.histogram(Metrics.HTTP_DURATION).observe(request.duration_s, row[:1], request.trace_id)
        if request.reason is not None and (request.route is not HttpRoute.OPS or request.reason in _TOLD_OF_OPS):
            self.log_repeated(
                Events.HTTP_REFUSED,
                request.reason,
                route=request.route,
                method=request.method,
                status=status,
                reason=request.reason,
                detail=request.detail,
                client=request.client,
                game_id=request.game_id,
                player_id=request.player_id,
            )

    def limited(self, limited: Limited) -> None:
        mode = LimitMode.ENFORCED if limited.enforced else LimitMode.DRY_RUN
        self.store.counter(Metrics.LIMITED).inc((limited.scope, mode))
        self.log_repeated(
            Events.LIMIT_EXCEEDED,
            limited.scope,
            scope=limited.scope,
            enforced=limited.enforced,
            retry_after_ms=limited.retry_after_ms or None,
            client=limited.client,
            player_id=limited.player_id,
            connection_id=limited.connection_id,
        )

    def authenticated(self, connection_id: str, player_id: str, *, refresh: bool) -> None:
        kind = AuthKind.REFRESH if refresh else AuthKind.LOGIN
        self.store.counter(Metrics.LOGINS).inc((kind,))
        self.log(Events.WS_AUTHENTICATED, connection_id=connection_id, player_id=player_id, kind=kind)

    def ticket(self) -> None:
        self.store.counter(Metrics.TICKETS).inc()

    def signing_keys(self, outcome: KeyRefresh, detail: str) -> None:
        self.store.counter(Metrics.KEY_FETCHES).inc((outcome,))
        fetched = outcome is KeyRefresh.FETCHED
        if fetched is self._keys_fetched:
            return  # only changes are told; the counter has them all
        self._keys_fetched = fetched
        if fetched:
            self.log(Events.KEYS_FETCHED, detail=detail)
        else:
            self.log(Events.KEYS_FAILED, error=detail)

    def ping(self, outcome: PingOutcome, rtt_s: float) -> None:
        self.store.counter(Metrics.PINGS).inc((outcome,))
        if outcome is PingOutcome.ANSWERED:
            self.store.histogram(Metrics.PING_RTT).observe(rtt_s)

    def client_rtt(self, rtt_s: float) -> None:
        self.store.histogram(Metrics.CLIENT_RTT).observe(rtt_s)

    def hello(self, release: str, hello: Hello) -> None:
        self.store.counter(Metrics.CLIENT_HELLOS).inc((release, ARRIVALS[bool(hello.reconnects)]))
        self.store.counter(Metrics.CLIENT_FAILED_ATTEMPTS).inc((release,), hello.failed_attempts or 0)
        for metric, told_ms in (
            (Metrics.CLIENT_OPEN, hello.open_ms),
            (Metrics.CLIENT_JOIN, hello.join_ms),
            (Metrics.CLIENT_OUTAGE, hello.outage_ms),
        ):
            if told_ms is not None:
                self.store.histogram(metric).observe(told_ms / 1000)

    def _count_handshake(self, outcome: HandshakeOutcome, duration_s: float, trace_id: str | None, client: str) -> None:
        self.store.counter(Metrics.HANDSHAKES).inc((outcome,))
        answer = _ANSWERS.get(outcome, HandshakeAnswer.REFUSED)
        if answer is not None and self._clients.is_new((answer, address_key(client))):
            self.store.counter(Metrics.HANDSHAKE_CLIENTS).inc((answer,))
        self.store.histogram(Metrics.HANDSHAKE_DURATION).observe(duration_s, (), trace_id)
