"""What rules, board and runbooks read of NATS is what its exporter tells, beside real servers.

The exporter itself (nats-io/prometheus-nats-exporter) is no package of Debian: a stand-in tells what the real one was
recorded to tell. Where the real one is installed, it is asked, and the stand-in is held against it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import promql_parser
import pytest

from tools.harness import fetch
from tools.harness.nats import Nats, Node
from tools.harness.nats_exporter import exporter, stand_in
from tools.harness.server import ServerProcess, until
from tools.nats_series import RECORDED, labels_by_name
from tools.queries import _VARIABLES, promql, selectors

CLUSTERED = {"nats_varz_jetstream_meta_cluster_size", "nats_varz_jetstream_meta_quorum_needed"}


def read() -> dict[str, set[str]]:
    """The series of NATS that anything shipped reads, and the labels it asks for."""
    found: dict[str, set[str]] = {}
    for query in promql():
        text = query.text
        for variable, value in _VARIABLES.items():
            text = text.replace(variable, value)
        for one in selectors(promql_parser.parse(" ".join(text.split()))):
            if one.name and one.name.startswith("nats_"):
                asked = {matcher.name for matcher in one.matchers.matchers}
                found.setdefault(one.name, set()).update(asked - {"cluster", "namespace", "job", "instance"})
    return found


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    folder = tmp_path_factory.mktemp("nats")
    with (
        Nats(folder / "nats", 3, environment={"GOMEMLIMIT": "1GiB"}) as nats,
        ServerProcess(folder / "server", event_log_url=nats.url, nats_replicas=3) as server,
    ):
        until(lambda: server.metric("event_log_connected"))
        yield nats.nodes


def answer(host: str) -> str:
    return fetch.get(f"http://{host}/metrics").text


def test_what_is_read_is_what_the_real_exporter_was_recorded_to_tell() -> None:
    recorded = labels_by_name(RECORDED.read_text())
    asked = read()
    assert len(asked) > 12
    assert set(asked) > CLUSTERED
    for name, labels in asked.items():
        assert labels <= recorded[name], name


def test_what_is_read_is_told_of_each_of_three_real_servers(servers: list[Node], tmp_path: Path) -> None:
    """By the real exporter where it is installed, else by the stand-in, of what these servers tell."""
    with ExitStack() as stack:
        for node in servers:
            host = stack.enter_context(exporter(node, tmp_path))
            until(lambda host=host: set(read()) <= set(labels_by_name(answer(host))))


def test_the_stand_in_tells_what_was_recorded_and_nothing_else(servers: list[Node]) -> None:
    with stand_in(servers[0]) as host:
        text = answer(host)
    assert text.startswith("# A stand-in for"), "it says what it is"
    told, recorded = labels_by_name(text), labels_by_name(RECORDED.read_text())
    assert {name: labels for name, labels in told.items() if recorded.get(name) != labels} == {}


def test_a_server_that_is_gone_is_told_by_its_health_and_not_by_its_last_figures(tmp_path: Path) -> None:
    with Nats(tmp_path / "nats") as nats, exporter(nats.nodes[0], tmp_path) as host:
        assert 'nats_healthz_status_value{server_id="n0",value="ok"} 1' in answer(host)
        nats.nodes[0].kill()
        gone = answer(host)
        assert 'nats_healthz_status_value{server_id="n0",value="unreachable"} 0' in gone
        assert "nats_varz_mem{" in gone, "the last it knows: no rule may take it for life"
        assert "nats_stream_last_seq{" not in gone
