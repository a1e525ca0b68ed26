"""A real Alertmanager, which is told what fires."""

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tools.harness import fetch
from tools.harness.server import free_port, until

_CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@contextmanager
def alertmanager(folder: Path) -> Iterator[str]:
    """An Alertmanager of its own, ready; its URL."""
    folder.mkdir(parents=True)
    config = folder / "alertmanager.yaml"
    config.write_text(_CONFIG)
    url = f"http://127.0.0.1:{free_port()}"
    with (folder / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus-alertmanager",
                f"--config.file={config}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address={url.removeprefix('http://')}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: _is_ready(url))
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return fetch.get(f"{url}/-/ready").is_success
    return False


def fire(url: str, summary: str, **labels: str) -> None:
    """Tell an Alertmanager that an alert fires, as Prometheus would, and wait until it shows it."""
    alert = {"labels": labels, "annotations": {"summary": summary}}
    fetch.post(f"{url}/api/v2/alerts", json=[alert]).raise_for_status()
    until(lambda: fetch.get(f"{url}/api/v2/alerts?active=true").json())
