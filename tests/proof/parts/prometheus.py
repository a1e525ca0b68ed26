"""Prometheus and Alertmanager as they are today: boards, rules, alerts, drills, examples and native histograms on them.

`make test` asks the same of Debian's. Here the same tests find the current programs first in PATH.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import yaml

from tests.proof.built import Program, built
from tests.proof.record import Record
from tools.harness.player import SOLUTION, Player
from tools.harness.prometheus import prometheus, query
from tools.harness.server import ServerProcess, until

ROOT: Final = Path(__file__).parents[3]
NOT_SERVED: Final = "the module proxy does not serve it, or what it needs is not free to use here"
MISSED: Final = {
    "the rules' cases (promtool test rules)": (
        "what some of them expect is of ranges that hold the sample at their left end: 3.0 and newer leave it out"
    ),
    "pint": NOT_SERVED,
    "dashboard-linter and mixtool": NOT_SERVED,
}
MAY_MISS: Final = tuple(MISSED)
WITHOUT_OTHERS: Final = ("remove_all_sd",)
"""The tag that leaves out how clouds are asked for targets: of what we ask, nothing needs them."""
_PROMETHEUS: Final = "github.com/prometheus/prometheus"
_ALERTMANAGER: Final = "github.com/prometheus/alertmanager"
PROGRAMS: Final = {
    "prometheus": Program("prometheus", f"{_PROMETHEUS}/cmd/prometheus", _PROMETHEUS, "v0.316.0", tags=WITHOUT_OTHERS),
    "promtool": Program("promtool", f"{_PROMETHEUS}/cmd/promtool", _PROMETHEUS, "v0.316.0", tags=WITHOUT_OTHERS),
    "prometheus-alertmanager": Program(
        "alertmanager",
        f"{_ALERTMANAGER}/cmd/alertmanager",
        _ALERTMANAGER,
        "v0.35.0",
        unmade=("ui/app/dist/elm/index.html", "ui/app/dist/mantine/index.html"),
    ),
    "amtool": Program("amtool", f"{_ALERTMANAGER}/cmd/amtool", _ALERTMANAGER, "v0.35.0"),
}
"""By the names that Debian gives them."""
SUITES: Final = {
    "rules, but for their cases": ("tests/observability/test_alerts.py", "-k", "not fires_when_it_should"),
    "boards, runbooks' queries, questions": ("tests/observability/test_prometheus.py",),
    "examples that lead to traces": ("tests/observability/test_exemplars.py",),
    "native histograms, and who takes none": ("tests/observability/test_native_histograms.py",),
    "routes, inhibitions": ("tests/observability/test_routing.py",),
    "objectives, outliers, fairness": tuple(
        f"tests/observability/test_{name}.py" for name in ("slo", "outliers", "fairness", "scale")
    ),
    "NATS's series": ("tests/observability/test_nats.py",),
    "the console and Alertmanager": ("tests/console/test_alerts.py",),
}
DRILLS: Final = (
    "CodeRacerDown (critical): kill -9",
    "CodeRacerHandshakesRefused",
    "CodeRacerTracesLost",
    "CodeRacerNatsDown",
    "CodeRacerHistogramsMissing",
    "CodeRacerSupervisorDown",
)
PROTOCOLS: Final = (
    "PrometheusProto", "OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4",
)  # fmt: skip
TESTS_TIMEOUT_S: Final = 1_200


def prove(record: Record) -> None:
    """Put the current programs first in PATH, and ask them what is asked of Debian's."""
    with tempfile.TemporaryDirectory() as folder, current(record, Path(folder)):
        _configuration(record, Path(folder))
        _formats(record, Path(folder))
        _histograms(record, Path(folder))
        for what, suite in SUITES.items():
            _tests(record, f"do the tests hold of {what}?", *suite)
        _drills(record)
    for name, why in MISSED.items():
        record.not_run(name, why)


@contextmanager
def current(record: Record, folder: Path) -> Iterator[None]:
    """Have the current programs found before Debian's, here and by what is started from here."""
    programs = folder / "bin"
    programs.mkdir()
    for name, program in PROGRAMS.items():
        (programs / name).symlink_to(built(program))
        record.started(program.name, program.version, program.origin)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{programs}:{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _said(*command: str) -> tuple[bool, str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def _configuration(record: Record, folder: Path) -> None:
    """Check the shipped files with today's tools, as strictly as they can."""
    shipped = (ROOT / "deploy/compose/prometheus.yaml").read_text("utf-8")
    rules = str(ROOT / "alerts/rules")
    (folder / "prometheus.yaml").write_text(shipped.replace("/etc/prometheus/rules", rules))
    held, said = _said("promtool", "check", "config", "--lint=all", "--lint-fatal", f"{folder}/prometheus.yaml")
    record.asked("does promtool take compose/prometheus.yaml with all its lints?", _last(said), held=held)
    held, said = _said("amtool", "check-config", "alerts/alertmanager.yaml")
    record.asked("does amtool take alertmanager.yaml?", _last(said), held=held)


def _last(said: str) -> str:
    return " ".join(said.splitlines()[-2:])


def _formats(record: Record, folder: Path) -> None:
    """Scrape by each protocol that there is, with names of any characters allowed and not."""
    with ServerProcess(folder / "formats", metrics_native_histograms="true") as server:
        _race(server)
        counts: dict[str, int] = {}
        for protocol in PROTOCOLS:
            for scheme in ("utf8", "legacy"):
                wanted = {"scrape_protocols": [protocol], "metric_name_validation_scheme": scheme}
                with prometheus(folder / f"{protocol}-{scheme}", server, scrape=wanted) as client:
                    (answer,) = query(client, 'count({"job"="code-racer", __name__=~"code_racer_.+"})')
                    counts[f"{protocol} {scheme}"] = int(answer["value"][1])
    record.asked(
        "does it get the same series by each protocol, with names in UTF-8 and without?",
        f"{len(counts)} ways, {sorted(set(counts.values()))} series",
        held=len(set(counts.values())) == 1,
    )


def _race(server: ServerProcess) -> None:
    """A race of one."""
    ann = server.guest("ann")
    with Player(server, server.new_game(ann["token"], min_players=1), ann["token"]) as player:
        player.send("ping", {"timestamp": 1, "rtt_ms": 10})
        player.send("ready")
        player.until("game_started")
        player.send("submit_code", {"code": SOLUTION})
        player.until("game_finished")


def _histograms(record: Record, folder: Path) -> None:
    """Scrape native histograms as the shipped job does, which keeps the classic ones."""
    (job,) = (
        one
        for one in yaml.safe_load((ROOT / "deploy/compose/prometheus.yaml").read_text())["scrape_configs"]
        if one["job_name"] == "code-racer"
    )
    shipped = {key: value for key, value in job.items() if key.endswith("_histograms")}
    with (
        ServerProcess(folder / "server", metrics_native_histograms="true") as server,
        prometheus(folder / "histograms", server, scrape=shipped) as client,
    ):
        _race(server)
        native = until(lambda: query(client, "histogram_count(code_racer_ws_client_rtt_seconds) == 1"))
        classic = until(lambda: query(client, 'code_racer_ws_client_rtt_seconds_bucket{le="0.01"} == 1'))
        families = _natives(client)
    record.asked(
        "has it native histograms, and the classic ones beside them, with what the shipped job says?",
        f"{', '.join(f'{key}: {value}' for key, value in shipped.items())}: {families} families have both",
        held=bool(native and classic and families),
    )


def _natives(client: httpx.Client) -> int:
    """Count the families that come as native histograms."""
    series = query(client, '{__name__=~"code_racer_.+_seconds"}')
    return len({one["metric"]["__name__"] for one in series if "histogram" in one})


def _tests(record: Record, question: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=TESTS_TIMEOUT_S, check=False,
    )  # fmt: skip
    said = re.findall(r"^(?:FAILED|ERROR) .*|\d+ passed.*", done.stdout, re.MULTILINE)
    record.asked(question, "; ".join(said) or done.stdout[-300:], held=done.returncode == 0)


def _drills(record: Record) -> None:
    """Plant a few faults, each for real, and wait for its alert at Alertmanager's receiver."""
    held, said = _said(sys.executable, "-m", "alerts.drills", *DRILLS)
    lines = [line for line in said.splitlines() if ": " in line and not line.startswith("|")]
    record.asked("do alerts fire where a fault is planted, and go out after it?", "; ".join(lines), held=held)
