"""Which addresses the server listens on."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tools.harness import fetch
from tools.harness.server import ServerProcess, free_port, until


def answers(address: str, port: int) -> bool:
    """Whether somebody there says that it is alive."""
    try:
        return fetch.get(f"http://{address}:{port}/livez").status_code == 200
    except httpx.ConnectError:
        return False


@pytest.mark.parametrize(
    ("host", "ipv4", "ipv6", "page"),
    [
        ("::", True, True, "localhost"),
        ("", True, True, "localhost"),
        ("0.0.0.0", True, False, "localhost"),  # noqa: S104 - what is tested
        ("::1", False, True, "[::1]"),
        ("127.0.0.1", True, False, "localhost"),
        ("127.0.0.2", False, False, "127.0.0.2"),
    ],
)
def test_a_host_is_listened_on_by_its_families(tmp_path: Path, host: str, ipv4: bool, ipv6: bool, page: str) -> None:
    """The same for both ports, each of which is one for both families."""
    with ServerProcess(tmp_path, host=host, ops_port=0, event_log_url="memory:") as server:
        started = server.logged("app.started")[0]
        port = int(server.settings["PORT"])
        assert started["page"] == f"http://{page}:{port}/"
        assert started["address"] == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        fetch.get(f"http://{page}:{port}/").raise_for_status()
        assert (answers("127.0.0.1", started["ops_port"]), answers("[::1]", started["ops_port"])) == (ipv4, ipv6)
        for address, reached in (("127.0.0.1", ipv4), ("[::1]", ipv6)):
            if reached:
                assert fetch.get(f"http://{address}:{port}/api/problems").status_code == 200
                fetch.get(f"http://{address}:{port}/ws/marked", headers={"upgrade": "websocket"})


def test_an_ipv4_address_looks_the_same_whatever_is_listened_on(tmp_path: Path) -> None:
    """TRUSTED_PROXIES and limits by address go by it: no ::ffff:127.0.0.1."""
    with ServerProcess(tmp_path, host="::", trusted_proxies="127.0.0.1", event_log_url="memory:") as server:
        port = int(server.settings["PORT"])
        headers = {
            "upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "x-forwarded-for": "203.0.113.7",
        }  # fmt: skip
        for address in ("127.0.0.1", "[::1]"):
            assert fetch.get(f"http://{address}:{port}/ws/marked", headers=headers).status_code == 400
        until(lambda: [record["client"] for record in server.logged("ws.refused")] == ["203.0.113.7", "::1"])


def test_an_address_that_is_taken_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = ServerProcess(tmp_path, host="::", port=port)
        with pytest.raises(AssertionError, match=r"no app\.started"):
            server.start()
        assert server.wait() == 2
        assert server.stderr == f"code-racer: cannot listen on [::]:{port}: Address already in use; set HOST and PORT\n"
        assert not server.lines


def test_of_two_that_start_together_one_serves_and_the_other_says_why_not(tmp_path: Path) -> None:
    """Both may bind before either listens: the one that is late then ends as cleanly."""
    port = free_port()
    servers = [ServerProcess(tmp_path / name, port=port, event_log_url="memory:") for name in "ab"]
    with ThreadPoolExecutor() as pool:
        started = [pool.submit(server.start) for server in servers]
        late = [one for one, start in zip(servers, started, strict=True) if start.exception()]
    assert len(late) == 1
    assert late[0].wait() == 2
    assert late[0].stderr.startswith("code-racer: cannot listen on ")
    assert "Traceback" not in late[0].stderr
    assert not [one for one in servers if one not in late and one.stop() != 0]
