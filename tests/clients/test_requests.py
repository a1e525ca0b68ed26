"""Messages that wait for their answer: which of them a new connection is sent at once; no server."""

import pytest

from code_racer_client import Rejected
from code_racer_client.requests import Requests

pytestmark = pytest.mark.anyio


async def test_what_the_server_wants_later_it_is_not_sent_with_the_next_welcome() -> None:
    requests = Requests()
    requests.add("now", "one")
    later = requests.add("later", "other")
    assert len(requests.unanswered) == 2
    requests.on_error({"id": "later", "code": "rate_limited", "retry_after_ms": 60_000})
    assert list(requests.unanswered) == ["one"]
    with pytest.raises(Rejected):
        await later
