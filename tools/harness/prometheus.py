"""A real Prometheus over real servers."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import yaml

from tools.harness.nats_exporter import shipped_relabelling
from tools.harness.server import ServerProcess, free_port, until

SCRAPE_S = 1
_FLAG: Final = "native-histograms"
_VARIABLES = {"$cluster": ".*", "$namespace": ".*", "$job": ".+", "$instance": ".+"}


class TakingNative(NamedTuple):
    """What has a Prometheus take native histograms, and no classic ones beside them: flags, or words of its jobs."""

    flags: tuple[str, ...]
    scrape: Mapping[str, bool]


@cache
def taking_native() -> TakingNative:
    """Ask the Prometheus that there is: 3.9 and newer do not know the flag that was before."""
    told = subprocess.run(["prometheus", "--help"], capture_output=True, text=True, check=False)
    if _FLAG in told.stdout + told.stderr:
        return TakingNative((f"--enable-feature={_FLAG}",), {})
    return TakingNative((), {"scrape_native_histograms": True})


def filled(expr: str, rate_interval: str = "20s", time_range: str = "60s") -> str:
    """A panel's query with its variables filled in as Grafana would."""
    for variable, value in (_VARIABLES | {"$__rate_interval": rate_interval, "$__range": time_range}).items():
        expr = expr.replace(variable, value)
    return expr


@contextmanager
def prometheus(
    folder: Path,
    server: ServerProcess | str,
    *flags: str,
    rules: Sequence[Path] = (),
    canary: str = "",
    nats: Sequence[str] = (),
    supervisor: str = "",
    scrape: Mapping[str, Any] | None = None,
) -> Iterator[httpx.Client]:
    """A Prometheus that scrapes `server` each second, from before the block begins; its HTTP interface.

    The server may be given by host and port, where its metrics have a port of their own.
    `canary` is where a canary's metrics are, `nats` where those of NATS's servers are, `supervisor` those
    of one with workers; `scrape` is what more the service's job says. All rules are evaluated each second, also those
    that say how often.
    """
    host = server if isinstance(server, str) else server.host
    target = {"targets": [host], "labels": {"namespace": "test"}}
    config: dict[str, Any] = {
        "global": {
            "scrape_interval": f"{SCRAPE_S}s",
            "scrape_timeout": f"{SCRAPE_S}s",
            "evaluation_interval": f"{SCRAPE_S}s",
        },
        "scrape_configs": [{"job_name": "code-racer", "static_configs": [target], **(scrape or {})}],
        "rule_files": ["rules/*.yaml"],
    }
    if canary:
        bird = {"targets": [canary], "labels": {"namespace": "test"}}
        config["scrape_configs"].append({"job_name": "code-racer-canary", "static_configs": [bird]})
    if supervisor:
        one = {"targets": [supervisor], "labels": {"namespace": "test"}}
        config["scrape_configs"].append({"job_name": "code-racer-supervisor", "static_configs": [one]})
    if nats:
        servers = {"targets": list(nats), "labels": {"namespace": "test"}}
        relabelled = {"metric_relabel_configs": shipped_relabelling()}
        config["scrape_configs"].append({"job_name": "code-racer-nats", "static_configs": [servers], **relabelled})
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    for path in rules:
        groups = yaml.safe_load(path.read_text())["groups"]
        often = [{key: value for key, value in group.items() if key != "interval"} for group in groups]
        (folder / "rules" / path.name).write_text(yaml.safe_dump({"groups": often}, sort_keys=False))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
                *flags,
            ],
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://{address}") as client:
            until(lambda: _answers(client))
            until(lambda: query(client, "up == 1"))
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def query(client: httpx.Client, expr: str, at: float | None = None) -> list[Any]:
    """The series of an instant query, now or at a time of the epoch."""
    when = {} if at is None else {"time": f"{at:.3f}"}
    answer = client.get("/api/v1/query", params={"query": expr, **when}).json()
    assert answer["status"] == "success", answer
    return list(answer["data"]["result"])
