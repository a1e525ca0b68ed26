"""A handshake whose application fails: a fault is told, a peer that has gone is none."""

import pytest

from app.transport.upgrade import Upgrade
from tools.harness.faults import Faults

pytestmark = pytest.mark.anyio


class Peer:
    """A connection of which only the handshake is seen: when a real peer goes cannot be timed."""

    def __init__(self, is_lost: bool) -> None:
        self.is_lost = is_lost
        self.answers: list[bytes] = []

    def opened(self, answer: bytes) -> None:
        self.answers.append(answer)

    def refused(self, answer: bytes) -> None:
        self.answers.append(answer)

    def finished(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_failing_application(is_lost: bool) -> None:
    async def fail(*_: object) -> None:
        raise OSError("the client has gone" if is_lost else "no space left on device")

    faults, peer = Faults(), Peer(is_lost)
    await Upgrade(peer, {"path": "/ws/x", "extensions": {}}, b"key", fail, [], faults).run()
    assert faults.where == ([] if is_lost else ["websocket handshake"])
    assert [answer.split(b" ")[1] for answer in peer.answers] == ([] if is_lost else [b"500"])
