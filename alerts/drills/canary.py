"""Drills of the canary: a real one, which reaches the server through a proxy."""

import contextlib
from collections.abc import Generator, Iterator
from typing import Final

from alerts.config import CONFIG
from alerts.drills.drill import Act, Drill
from alerts.drills.stage import FREE, Stage
from alerts.model import TARGETS, Severity
from tools.harness.canary import Bird, canary
from tools.harness.nginx import Nginx
from tools.harness.proxy import TcpProxy
from tools.harness.server import SECRET, ServerProcess, free_port
from tools.harness.tls import Certificates

_DELAY_S: Final = 0.6
_PATIENT_S: Final = 60.0
_SLOWER: Final = {"code-racer-canary": 15.0}
"""Where a race takes some seconds: on a faster clock there is none within ten minutes, a page of its own."""
_END: Final = "code_racer_canary_certificate_end_timestamp_seconds"


@contextlib.contextmanager
def _canary(stage: Stage, way: TcpProxy, timeout_s: float = _PATIENT_S) -> Iterator[Bird]:
    """A canary that races by this way, scraped like the server.

    Where the drill is of nothing slow it is patient: a busy machine makes its races long, and none fail.
    """
    patience = f"{timeout_s * stage.stack.pace:g}"
    with canary(f"http://127.0.0.1:{way.port}", "--every-s", "0.5", "--timeout-s", patience) as bird:
        stage.stack.target(stage.server.host, canary=bird.host)
        yield bird


def _way_cut(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False), TcpProxy(int(stage.server.settings["PORT"])) as way, _canary(stage, way, 1):
        yield
        way.partition()
        yield
        way.heal()
        yield


def _one_of_five_wrong(stage: Stage) -> Generator[None, None, None]:
    """A replica gets another secret. The others are one server, by four of its addresses."""
    with stage.serve(scraped=False, host="0.0.0.0") as server:  # noqa: S104 - a drill's, on this machine's addresses
        port = server.settings["PORT"]
        with ServerProcess(stage.folder / "other", **FREE) as other:
            each = (*(f"http://127.0.0.{number}:{port}" for number in range(1, 5)), other.http_url)
            with canary(each, "--every-s", "0.5", JWT_SECRET=SECRET) as bird:
                stage.stack.target(server.host, canary=bird.host)
                yield
                for secret in (SECRET[::-1], SECRET):
                    other.stop()
                    other.settings["JWT_SECRET"] = secret
                    other.start()
                    yield


def _canary_killed(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False), TcpProxy(int(stage.server.settings["PORT"])) as way:
        with _canary(stage, way) as bird:
            yield
            bird.process.kill()
            yield
        with _canary(stage, way):
            yield


def _canary_gone(stage: Stage) -> Generator[None, None, None]:
    with stage.serve(scraped=False), TcpProxy(int(stage.server.settings["PORT"])) as way, _canary(stage, way) as bird:
        stage.seen(f'{TARGETS}{{job="{CONFIG["jobs"]["canary"]}"}}')
        yield
        stage.scrape()
        yield
        stage.stack.target(stage.server.host, canary=bird.host)
        yield


def _way_slow(stage: Stage) -> Generator[None, None, None]:
    with (
        stage.serve(scraped=False),
        TcpProxy(int(stage.server.settings["PORT"])) as way,
        _canary(stage, way),
    ):
        yield
        way.delay_s = _DELAY_S
        yield
        way.delay_s = 0.0
        yield


def _certificate(days: float) -> Act:
    """Players come through an nginx whose certificate is valid for so many days, and then for ninety."""

    def act(stage: Stage) -> Generator[None, None, None]:
        made, port = Certificates(stage.folder / "tls", days=90), free_port()
        with stage.serve(scraped=False) as server:
            site = f"""
                map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
                server {{
                    listen 127.0.0.1:{port} ssl; ssl_certificate {made.cert}; ssl_certificate_key {made.key};
                    location / {{
                        proxy_pass {server.http_url}; proxy_http_version 1.1;
                        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
                    }}
                }}
            """
            url, trust = f"https://localhost:{port}", {"SSL_CERT_FILE": str(made.ca)}
            with Nginx(stage.folder / "nginx", site) as nginx, canary(url, "--every-s", "0.5", **trust) as bird:
                stage.stack.target(server.host, canary=bird.host)
                stage.seen(f"{_END} < +Inf")
                yield
                made.renew(days)
                nginx.reload()
                yield
                made.renew(90)
                nginx.reload()
                yield

    return act


DRILLS: Final = (
    Drill(
        "CodeRacerCanaryFailing",
        Severity.CRITICAL,
        "the way from players to a service that is well carries nothing",
        _way_cut,
        "Canary races that fail",
        None,
    ),
    Drill(
        "CodeRacerCanaryFailing",
        Severity.WARNING,
        "one of five replicas gets a wrong secret",
        _one_of_five_wrong,
        "Canary races that fail",
        None,
    ),
    Drill("CodeRacerCanaryDown", Severity.WARNING, "kill -9 the canary", _canary_killed, None, None, factors=_SLOWER),
    Drill(
        "CodeRacerCanaryDown",
        Severity.WARNING,
        "take the canary's target away",
        _canary_gone,
        None,
        None,
        factors=_SLOWER,
    ),
    Drill(
        "CodeRacerCanarySlow",
        Severity.WARNING,
        "the way from players to a service that is well takes 600 ms each way",
        _way_slow,
        "What the canary waits for, p95",
        None,
        factors=_SLOWER,  # four races are needed
    ),
    Drill(
        "CodeRacerCertificateExpiring",
        Severity.WARNING,
        "nginx gets a certificate that ends in ten days",
        _certificate(10),
        "Certificate ends in",
        None,
    ),
    Drill(
        "CodeRacerCertificateExpiring",
        Severity.CRITICAL,
        "nginx gets a certificate that ends in two days",
        _certificate(2),
        "Certificate ends in",
        None,
    ),
)
