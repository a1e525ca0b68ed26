"""The doctor's questions, asked all at once; each has a timeout."""

import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

from prometheus_client.parser import text_string_to_metric_families

from app.doctor.facts import LATELY, AskedServer, Facts, Failure, PublicUrl, Replica, Rows, Samples, Trouble
from app.eventlog.select import file_of
from app.process import disk_bytes
from app.settings import Settings, mask_url, secret_fingerprints
from app.vocabulary import HttpRejection

AT_ONCE: Final = 16
COUNTERS: Final = tuple(
    f"code_racer_{name}"
    for name in (
        "ws_handshakes_total", "ws_closes_total", "ws_connection_duration_seconds_bucket", "ws_lost_age_seconds_bucket",
        "http_rejected_total", "event_log_troubles_total", "judge_stops_total", "judge_queue_full_total",
        "submissions_total",
    )
)  # fmt: skip
"""Counters of the rules, which Prometheus is asked for: a replica tells them since its start."""
_GROWN: Final = " or ".join(
    f'label_replace(increase({name}[{LATELY}]), "counter", "{name}", "", "")' for name in COUNTERS
)
_ERRORS: Final = (OSError, ValueError, KeyError, TypeError, http.client.HTTPException)
_FIRING: Final = 'ALERTS{alertstate="firing"}'
_DAY_S: Final = 86_400
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_PROBLEM_BYTES: Final = 8_192
_UPGRADE: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol": "code-racer.v1",
}
"""An attempt without a token: it may be sent in a message later, so that the answer is 101."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Whom to ask: ops ports of replicas, Prometheus, URLs of players; each answers within `timeout_s`."""

    replicas: tuple[str, ...]
    prometheus: str | None
    public_urls: tuple[str, ...]
    timeout_s: float


def ask(questions: Questions, settings: Settings) -> Facts:
    """Ask everybody. Who does not answer is a fact too."""
    limit = questions.timeout_s
    prometheus = _ask_prometheus(questions.prometheus, limit) if questions.prometheus else _Prometheus()
    replicas = tuple(dict.fromkeys((*map(_name_of, questions.replicas), *prometheus.lately)))
    logs = settings.event_log_url.split(",") if settings.event_log_url.startswith(("nats:", "tls:")) else []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = pool.map(lambda name: _ask_replica(name, prometheus.lately.get(name, {}), limit), replicas)
        public_urls = pool.map(lambda url: _ask_public_url(url, limit), questions.public_urls)
        servers = pool.map(lambda url: _ask_log(url, limit), logs)
        return Facts(
            tuple(asked), tuple(public_urls), tuple(servers), prometheus.server, prometheus.firing,
            secret_fingerprints(settings), _disk_free(settings.event_log_url),
        )  # fmt: skip


def _trouble(error: Exception) -> Trouble:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    failure = Failure.UNREACHABLE
    if isinstance(reason, socket.gaierror):
        failure = Failure.NAME
    elif isinstance(reason, ssl.SSLError):
        failure = Failure.CERTIFICATE
    elif isinstance(error, urllib.error.HTTPError):
        return _refusal(error)
    elif isinstance(error, ValueError | KeyError | TypeError):
        failure = Failure.WRONG
    return Trouble(failure, str(reason) or type(reason).__name__)


def _refusal(error: urllib.error.HTTPError) -> Trouble:
    """Read the problem document that an answer may have: a service that has no more descriptors says so."""
    try:
        problem = json.loads(error.read(_MOST_PROBLEM_BYTES))
        failure = Failure.DESCRIPTORS if problem["reason"] == HttpRejection.NO_DESCRIPTORS else Failure.WRONG
        return Trouble(failure, f"{error.code}: {problem['detail']}")
    except _ERRORS:
        return Trouble(Failure.WRONG, str(error))


def _get(url: str, timeout_s: float) -> tuple[str, str]:
    """Return body and date of an answer. Raises one of _ERRORS."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError(f"{url} is no http URL")
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - the scheme was looked at
        return answer.read(_MOST_BYTES).decode("utf-8", "replace"), answer.headers.get("date", "")


def _name_of(url: str) -> str:
    return url.removesuffix("/metrics").rstrip("/")


def _ask_replica(name: str, lately: Samples, timeout_s: float) -> Replica:
    try:
        began = time.time()
        text, date = _get(f"{name}/metrics", timeout_s)
        here = (began + time.time()) / 2
        ahead = parsedate_to_datetime(date).timestamp() + 0.5 - here if date else 0.0
        return Replica(name, None, _samples(text), ahead, lately)
    except _ERRORS as error:
        return Replica(name, _trouble(error))


def _samples(text: str) -> Samples:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return {name: tuple(rows) for name, rows in found.items()}


@dataclass(frozen=True, slots=True)
class _Prometheus:
    """What it answered: the replicas that it scrapes, with how their counters grew lately, and the alerts that fire."""

    server: AskedServer | None = None
    lately: Mapping[str, Samples] = field(default_factory=dict)
    firing: tuple[tuple[str, str], ...] = ()


def _ask_prometheus(url: str, timeout_s: float) -> _Prometheus:
    base = url.rstrip("/")
    try:
        targets = _query(f"{base}/api/v1/targets?state=active", timeout_s)["activeTargets"]
        names = {
            str(one["labels"]["instance"]): _name_of(one["scrapeUrl"])
            for one in targets
            if one["labels"]["job"] == "code-racer"
        }
        series = _query(f"{base}/api/v1/query?query={quote(_FIRING)}", timeout_s)["result"]
        alerts = [one["metric"] for one in series if one["metric"]["alertname"] != "CodeRacerWatchdog"]
        firing = tuple((str(one["alertname"]), str(one.get("instance", "the service"))) for one in alerts)
        grown = _query(f"{base}/api/v1/query?query={quote(_GROWN)}", timeout_s)["result"]
    except _ERRORS as error:
        return _Prometheus(AskedServer(mask_url(base), _trouble(error)))
    return _Prometheus(
        AskedServer(mask_url(base)), {name: _grown(grown, instance) for instance, name in names.items()}, firing
    )


def _grown(series: Sequence[Mapping[str, Any]], instance: str) -> Samples:
    """Pick what is of one replica, by counter."""
    found: dict[str, Rows] = {}
    for one in series:
        labels = one["metric"]
        if labels.get("instance") == instance:
            found[labels["counter"]] = (*found.get(labels["counter"], ()), (labels, float(one["value"][1])))
    return found


def _query(url: str, timeout_s: float) -> dict[str, Any]:
    return dict(json.loads(_get(url, timeout_s)[0])["data"])


def _ask_public_url(url: str, timeout_s: float) -> PublicUrl:
    parts = urlsplit(url)
    host = parts.hostname or ""
    make: Callable[..., http.client.HTTPConnection] = (
        http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    )
    try:
        with closing(make(host, parts.port, timeout=timeout_s)) as connection:
            connection.connect()
            days = _days_left(connection.sock) if isinstance(connection.sock, ssl.SSLSocket) else None
            connection.request("GET", f"{parts.path.rstrip('/')}/ws/{uuid.uuid4()}", headers=_UPGRADE)
            return PublicUrl(url, None, connection.getresponse().status, days)
    except _ERRORS as error:
        return PublicUrl(url, _trouble(error))


def _days_left(secured: ssl.SSLSocket) -> float | None:
    ends = (secured.getpeercert() or {}).get("notAfter")
    return (ssl.cert_time_to_seconds(str(ends)) - time.time()) / _DAY_S if ends else None


def _ask_log(url: str, timeout_s: float) -> AskedServer:
    """Ask a NATS server whether it speaks: it says INFO to whoever connects."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 4222), timeout_s) as one:
            if not one.recv(64).startswith(b"INFO "):
                return AskedServer(mask_url(url), Trouble(Failure.WRONG, "what answers is no NATS server"))
    except OSError as error:
        return AskedServer(mask_url(url), _trouble(error))
    return AskedServer(mask_url(url))


def _disk_free(event_log_url: str) -> float | None:
    """Return what part of the disk is free that the event log is on, if that is a file on this machine."""
    free, size = disk_bytes(file_of(event_log_url))
    return free / size if size else None
