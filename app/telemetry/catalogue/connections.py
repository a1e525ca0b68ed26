"""Metrics of connections, and of what happens before there is one."""

from typing import Final

from app.protocol import CLOSE_TABLE
from app.telemetry.catalogue.model import (
    AGE_BUCKETS,
    DURATION_BUCKETS,
    FINE_LATENCY_BUCKETS,
    LATENCY_BUCKETS,
    OTHER,
    PREFIX,
    WAIT_BUCKETS,
    Kind,
    Metric,
    rows,
)
from app.vocabulary import (
    AuthKind,
    ClientClass,
    Handover,
    HandshakeAnswer,
    HandshakeOutcome,
    HttpRejection,
    HttpRoute,
    Initiator,
    KeyRefresh,
    LimitMode,
    LimitScope,
    PingOutcome,
    ResumeOutcome,
)

_CLOSE_ROWS: Final = tuple(
    (str(row.code), row.reason, str(initiator)) for row in CLOSE_TABLE for initiator in row.initiators
)
EARLY: Final = "early"
ARRIVALS: Final = ("first", "again")
CLIENT_ENDS: Final = (EARLY, *map(str, Initiator))
_METHODS: Final[dict[HttpRoute, tuple[str, ...]]] = {
    HttpRoute.GUESTS: ("POST",),
    HttpRoute.TICKETS: ("POST",),
    HttpRoute.GAMES: ("POST",),
    HttpRoute.GAME: ("GET",),
    HttpRoute.SUBMISSION: ("GET",),
    HttpRoute.PLAYER: ("DELETE",),
    HttpRoute.PROBLEMS: ("GET",),
    HttpRoute.SOCKET: ("GET",),
    HttpRoute.SCHEMA: ("GET",),
    HttpRoute.OPS: ("GET", "HEAD", "POST", "PUT", "DELETE"),
    HttpRoute.PAGE: ("GET", "HEAD"),
    HttpRoute.OTHER: (OTHER,),
}
"""The methods that each route has; with another a path is not served, but HEAD, which counts as the GET it is like."""
_REQUESTS: Final = tuple(
    (str(route), method, f"{status}xx")
    for route, methods in _METHODS.items()
    for method in methods
    for status in range(2, 6)
)


class ConnectionsMetrics:
    """Metrics of connections, and of what happens before there is one."""

    CONNECTIONS = Metric(f"{PREFIX}ws_connections", Kind.GAUGE, "Open WebSocket connections.")
    CONNECTIONS_LIMIT = Metric(
        f"{PREFIX}ws_connections_limit", Kind.GAUGE, "The most connections there may be (MAX_CONNECTIONS)."
    )
    HANDSHAKES = Metric(
        f"{PREFIX}ws_handshakes_total",
        Kind.COUNTER,
        "Attempts to connect, by how they ended.",
        ("outcome",),
        rows(HandshakeOutcome),
    )
    HANDSHAKE_CLIENTS = Metric(
        f"{PREFIX}ws_handshake_clients_total",
        Kind.COUNTER,
        "Client addresses that attempts to connect came from, by the answer; each once in ten minutes; no drains.",
        ("answer",),
        rows(HandshakeAnswer),
    )
    HANDSHAKE_DURATION = Metric(
        f"{PREFIX}ws_handshake_duration_seconds",
        Kind.HISTOGRAM,
        "From the request to its answer.",
        buckets=FINE_LATENCY_BUCKETS,
        is_native=True,
    )
    CONNECTION_DURATION = Metric(
        f"{PREFIX}ws_connection_duration_seconds",
        Kind.HISTOGRAM,
        "How long connections lasted.",
        buckets=DURATION_BUCKETS,
    )
    LOST_AGE = Metric(
        f"{PREFIX}ws_lost_age_seconds",
        Kind.HISTOGRAM,
        "How old the connections were that were lost: reset, or with a ping unanswered.",
        buckets=AGE_BUCKETS,
    )
    CLOSES = Metric(
        f"{PREFIX}ws_closes_total",
        Kind.COUNTER,
        "Ended connections, by the rows of the close table and who ended them.",
        ("code", "reason", "initiator"),
        _CLOSE_ROWS,
    )
    CLIENT_CONNECTIONS = Metric(
        f"{PREFIX}ws_client_connections_total",
        Kind.COUNTER,
        "Connections, by release (?client=, one of CLIENT_RELEASES or a client of ours), else by class of user agent.",
        ("client",),
        rows(ClientClass),
        is_open=True,
    )
    CLIENT_CLOSES = Metric(
        f"{PREFIX}ws_client_closes_total",
        Kind.COUNTER,
        "Ended connections by client, and by who ended them; early: within two seconds, whoever did.",
        ("client", "kind"),
        rows(ClientClass, CLIENT_ENDS),
        is_open=True,
    )
    CLIENT_ERRORS = Metric(
        f"{PREFIX}ws_client_errors_total",
        Kind.COUNTER,
        "Messages answered with an error, by client; counted when their connection ends.",
        ("client",),
        rows(ClientClass),
        is_open=True,
    )
    CLIENT_HELLOS = Metric(
        f"{PREFIX}ws_client_hellos_total",
        Kind.COUNTER,
        "Connections whose client told what it met (hello), by client, and by whether it says that it came again.",
        ("client", "arrival"),
        rows(ClientClass, ARRIVALS),
        is_open=True,
    )
    CLIENT_FAILED_ATTEMPTS = Metric(
        f"{PREFIX}ws_client_failed_attempts_total",
        Kind.COUNTER,
        "Attempts to connect that came to nothing, as clients tell it once they are in; at most 1000 a connection.",
        ("client",),
        rows(ClientClass),
        is_open=True,
    )
    CLIENT_OPEN = Metric(
        f"{PREFIX}ws_client_open_seconds",
        Kind.HISTOGRAM,
        "From a client's attempt to the open connection, as it tells it; unverified.",
        buckets=LATENCY_BUCKETS,
        is_native=True,
    )
    CLIENT_JOIN = Metric(
        f"{PREFIX}ws_client_join_seconds",
        Kind.HISTOGRAM,
        "From a player's wish to connect to the first snapshot, failed attempts included, as clients tell it.",
        buckets=WAIT_BUCKETS,
        is_native=True,
    )
    CLIENT_OUTAGE = Metric(
        f"{PREFIX}ws_client_outage_seconds",
        Kind.HISTOGRAM,
        "From the loss of a connection until its player is back, as clients tell it; unverified.",
        buckets=WAIT_BUCKETS,
        is_native=True,
    )
    SLOW_CONSUMER_CLOSES = Metric(
        f"{PREFIX}ws_slow_consumer_closes_total",
        Kind.COUNTER,
        "Connections ended because their outbox was over its limit (4430).",
    )
    PING_RTT = Metric(
        f"{PREFIX}ws_ping_rtt_seconds",
        Kind.HISTOGRAM,
        "Round trip of answered protocol pings, measured by the server.",
        buckets=FINE_LATENCY_BUCKETS,
        is_native=True,
    )
    PINGS = Metric(
        f"{PREFIX}ws_pings_total",
        Kind.COUNTER,
        "Protocol pings, by how they ended.",
        ("outcome",),
        rows(PingOutcome),
    )
    CLIENT_RTT = Metric(
        f"{PREFIX}ws_client_rtt_seconds",
        Kind.HISTOGRAM,
        "Round trip of the clients' own pings, as they report it.",
        buckets=LATENCY_BUCKETS,
        is_native=True,
    )
    RESUMES = Metric(
        f"{PREFIX}ws_resumes_total",
        Kind.COUNTER,
        "Reconnects with last_seq: resumed, or answered with a snapshot.",
        ("outcome",),
        rows(ResumeOutcome),
    )
    LIMITED = Metric(
        f"{PREFIX}ws_rate_limited_total",
        Kind.COUNTER,
        "Exceeded limits; in mode dry_run nothing was refused (LIMITS_DRY_RUN).",
        ("scope", "mode"),
        rows(LimitScope, LimitMode),
    )
    HTTP_REJECTED = Metric(
        f"{PREFIX}http_rejected_total",
        Kind.COUNTER,
        "Requests refused before they reached the application, and answers that nobody took, by what was wrong.",
        ("reason",),
        rows(HttpRejection),
    )
    HANDOVERS = Metric(
        f"{PREFIX}worker_handovers_total",
        Kind.COUNTER,
        "Connections accepted by another worker than their game's (`serve --workers`), by what became of them.",
        ("outcome",),
        rows(Handover),
    )
    HTTP_REQUESTS = Metric(
        f"{PREFIX}http_requests_total",
        Kind.COUNTER,
        "Requests that the application answered, by route template or group, method and class of status.",
        ("route", "method", "status"),
        _REQUESTS,
    )
    HTTP_DURATION = Metric(
        f"{PREFIX}http_request_duration_seconds",
        Kind.HISTOGRAM,
        "From a whole request to the end of its answer.",
        ("route",),
        rows(HttpRoute),
        LATENCY_BUCKETS,
        is_native=True,
    )
    HTTP_IN_FLIGHT = Metric(f"{PREFIX}http_requests_in_flight", Kind.GAUGE, "Requests that are being answered.")
    LOGINS = Metric(
        f"{PREFIX}ws_message_auths_total",
        Kind.COUNTER,
        "Tokens that came in an auth message and were taken: the first of a connection, or a fresh one.",
        ("kind",),
        rows(AuthKind),
    )
    TICKETS = Metric(f"{PREFIX}tickets_total", Kind.COUNTER, "Connection tickets made.")
    SIGNING_KEYS = Metric(
        f"{PREFIX}signing_keys", Kind.GAUGE, "Public keys that tokens are verified with; 0 with JWT_JWKS_URL is bad."
    )
    SIGNING_KEYS_AGE = Metric(
        f"{PREFIX}signing_keys_age_seconds", Kind.GAUGE, "Since the public keys were fetched; 0 without JWT_JWKS_URL."
    )
    KEY_FETCHES = Metric(
        f"{PREFIX}signing_key_fetches_total",
        Kind.COUNTER,
        "Fetches of the public keys, by how they ended.",
        ("outcome",),
        rows(KeyRefresh),
    )
