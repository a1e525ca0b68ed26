"""Records what happens to connections, and before there is one."""

from app.protocol import Close
from app.telemetry.catalogue import Events, Metrics
from app.telemetry.observer import Closed, ConnectionsObserver, Limited, Opened, Refusal
from app.telemetry.recorder.recording import Recording
from app.vocabulary import (
    AuthKind,
    HandshakeOutcome,
    HttpRejection,
    KeyRefresh,
    LimitMode,
    PingOutcome,
    ResumeOutcome,
)


class ConnectionsRecorder(Recording, ConnectionsObserver):
    """Records what happens to connections, and before there is one."""

    _keys_fetched: bool | None = None

    def handshake(self, outcome: HandshakeOutcome, duration_s: float, trace_id: str | None = None) -> None:
        self.store.counter(Metrics.HANDSHAKES).inc((outcome,))
        self.store.histogram(Metrics.HANDSHAKE_DURATION).observe(duration_s, (), trace_id)

    def refused(self, refusal: Refusal) -> None:
        self.log_repeated(
            Events.WS_REFUSED,
            refusal.outcome,
            outcome=refusal.outcome,
            status=refusal.status,
            detail=refusal.detail,
            client=refusal.client,
            game_id=refusal.game_id,
            player_id=refusal.player_id,
        )

    def opened(self, opened: Opened) -> None:
        self.log(
            Events.WS_OPENED,
            connection_id=opened.connection_id,
            game_id=opened.game_id,
            player_id=opened.player_id,
            client=opened.client,
            resume=opened.resume,
        )

    def closed(self, closed: Closed) -> None:
        row = closed.row
        self.store.counter(Metrics.CLOSES).inc((str(row.code), row.reason, closed.initiator))
        self.store.histogram(Metrics.CONNECTION_DURATION).observe(closed.duration_s)
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
            deepest_outbox_bytes=closed.deepest_outbox_bytes,
            resume=closed.resume,
        )

    def resumed(self, outcome: ResumeOutcome) -> None:
        self.store.counter(Metrics.RESUMES).inc((outcome,))

    def http_rejected(self, reason: HttpRejection, status: int | None, detail: str, client: str) -> None:
        self.store.counter(Metrics.HTTP_REJECTED).inc((reason,))
        self.log_repeated(Events.HTTP_REJECTED, reason, reason=reason, status=status, detail=detail, client=client)

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

    def shed(self, count: int) -> None:
        self.store.counter(Metrics.SHED).inc(by=count)
        self.log(Events.WS_SHED, connections=count)
