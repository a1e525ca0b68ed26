"""Rows about what an application calls, from where, and what its handlers do."""

from tests.clients.table.row import BESIDE, COROUTINES, CREDENTIALS, JAVASCRIPT, PYTHON, THROWN, Only, Row

AROUND_A_CUT = "connecting open waiting retry reconnecting open closed"
COUNTED_AROUND_A_CUT = ("connection", "error", "reconnect", "connection", "resume")
CUT = "connect, welcome, pong, cut, waiting, open, disconnect, closed"
THINKS = "connect, open, send, player_ready, flood"
"""A handler has been called, and by now more has come than waits for it."""
LATER = '{"type": "error"; "data": {"id": "one"; "code": "rate_limited"; "retry_after_ms": 600000}}'
OLD_TOKEN = "marked.old.token"

CALLS = (
    Row(
        "what is begun and ended in one turn makes no socket of its own",
        "connect+disconnect+connect, open, disconnect, closed",
        "connecting closed connecting open closed",
        expected={"sockets": 1},
    ),
    Row(
        "nor while a ticket is fetched",
        "connect, fetching, disconnect+connect, open, disconnect, closed",
        "connecting closed connecting open closed",
        options={"auth": "ticket"},
        expected={"sockets": 1},
        only=CREDENTIALS,
    ),
    Row(
        "nor while the token is renewed",
        "connect, end, connect+disconnect+connect, open, disconnect, closed",
        more={"token": OLD_TOKEN, "fresh": ["no.better.token", "fresh", "fresh"]},
        expected={"sockets": 3},
    ),
    Row(
        "to connect twice is to connect once",
        "connect+connect, open, connect, request, disconnect, closed",
        "connecting open closed",
        expected={"sockets": 1, "answers": ["seq"]},
    ),
    Row(
        "to disconnect what is not connected is nothing",
        "disconnect, closed, connect, open, disconnect, closed, disconnect",
        "closed connecting open closed",
        expected={"sockets": 1},
    ),
    Row(
        "who disconnects when told of connecting is not connected",
        "connect, closed",
        "connecting closed",
        {"connecting": "disconnect"},
        expected={"sockets": 0},
    ),
    Row(
        "who disconnects when told of the open connection stays away",
        "connect, closed",
        "connecting open closed",
        {"open": "disconnect"},
        expected={"sockets": 1},
    ),
    Row(
        "who disconnects when told that the connection is lost stays away",
        "connect, welcome, cut, closed",
        "connecting open waiting closed",
        {"waiting": "disconnect"},
        expected={"sockets": 1},
    ),
    Row(
        "nor does who is told of the next try come back",
        "connect, welcome, cut, closed",
        "connecting open waiting retry closed",
        {"retry": "disconnect"},
        expected={"sockets": 1},
    ),
    Row(
        "who disconnects in a handshake leaves nothing",
        "swallow, connect, connecting, disconnect, closed, heal",
        "connecting closed",
    ),
    Row(
        "who disconnects while it waits leaves nothing",
        "refuse, connect, retry, disconnect, closed",
        "connecting waiting retry closed",
        more={"waits_stay": True},
        expected={"sockets": 1},
    ),
    Row(
        "what no handler has seen is asked for again another time",
        "connect, open, send, send, closed, connect, open, player_ready, disconnect, closed",
        handlers={"player_ready": "disconnect"},
        expected={"answers": ["sent", "sent"]},
    ),
    Row(
        "what waits behind a handler that never returns is asked for again another time",
        "connect, open, request, request, disconnect, closed, connect, player_ready, disconnect, closed",
        handlers={"player_ready": "never"},
        expected={"answers": ["seq", "seq"]},
        only=Only(PYTHON, "in JavaScript no handler holds up another"),
    ),
    Row(
        "who disconnects between two events of one turn is handed on no more, and asks for it again",
        "connect, welcome, two events in one turn, closed",
        handlers={"player_ready": "disconnect"},
        expected={"answers": [2, 1, 1]},
        only=Only(
            JAVASCRIPT, "a turn in which two events come is made by hand there; in Python each is read by itself"
        ),
    ),
    Row(
        "what is told by hand to have come outlives a disconnect",
        "disconnect, closed, nothing has come, disconnect, connect, open, request, disconnect, closed",
        expected={"seqs": [1, 2, 3], "answers": ["seq"]},
    ),
    Row(
        "who does not want to wait tries at once",
        "connect, welcome, cut, retry, connect, open, disconnect, closed",
        AROUND_A_CUT,
        more={"waits_stay": True},
        expected={"sockets": 2},
    ),
    Row(
        "who begins anew when told that the connection is lost has one socket",
        "connect, welcome, cut, waiting, open, disconnect, closed",
        "connecting open waiting closed connecting open closed",
        {"waiting": "disconnect and connect"},
        more={"waits_stay": True},
        expected={"sockets": 2},
    ),
    Row(
        "who begins anew at the end of it all has all tries again",
        "refuse, connect, end, retry, end",
        "connecting waiting retry connecting closed end connecting waiting retry connecting closed end",
        {"end": "connect"},
        {"max_reconnect_attempts": 1},
        expected={"attempts": [1, 1]},
    ),
    Row(
        "who connects when told that it is closed has a new connection, while disconnect is under way",
        "connect, open, disconnect, closed, open, request, disconnect, closed",
        "connecting open closed connecting open closed",
        {"closed": "connect"},
        {"pong_timeout_s": 600},
        expected={"sockets": 2, "answers": ["seq"]},
    ),
    Row(
        "so has who was not connected, and disconnect waits for no connection",
        "refuse, connect, retry, disconnect, closed, heal, open, disconnect, closed",
        handlers={"closed": "connect"},
        options={"pong_timeout_s": 600},
        expected={"ends": []},
    ),
    Row(
        "who is replaced is told, and may come again",
        "connect, open, replace, end, connect, open, request, disconnect, closed",
        "connecting open closed end connecting open closed",
        expected={"end_codes": [4409], "answers": ["seq"]},
    ),
    Row(
        "what is sent while the connection is down is not sent",
        "send, connect, open, send, send, player_ready, disconnect, closed, send",
        expected={"answers": ["not sent", "sent", "sent", "not sent"]},
    ),
    Row(
        "what is sent before the welcome is sent",
        "mute, connect, opened, send, disconnect, closed",
        "connecting closed",
        options={"pong_timeout_s": 0.3},
        expected={"answers": ["sent"]},
    ),
    Row(
        "what is batched while the connection is away is sent when it is there",
        "batch a ping, connect, open, pong, pong, disconnect, closed",
        "connecting open closed",
    ),
    Row(
        "what is batched after the end waits for the next connection, and asks for nothing",
        "connect, open, disconnect, closed, batch a ping, connect, open, pong, pong, disconnect, closed, batch a ping",
        "connecting open closed connecting open closed",
    ),
    Row(
        "a connect that is cancelled leaves nothing",
        "swallow, connect, connecting, cancel connect, closed, heal",
        "connecting closed",
        only=COROUTINES,
    ),
    Row(
        "nor does one that waits for its next try",
        "refuse, connect, retry, cancel connect, closed",
        "connecting waiting retry closed",
        more={"waits_stay": True},
        only=COROUTINES,
    ),
    Row(
        "nor one whose connection is up while no welcome comes",
        "mute, connect, opened, cancel connect, closed",
        "connecting closed",
        only=COROUTINES,
    ),
    Row(
        "who disconnects while the connection is up and no welcome comes leaves nothing",
        "mute, connect, opened, disconnect, closed",
        "connecting closed",
        options={"pong_timeout_s": 0.3},
    ),
)


def _fault(type: str) -> dict[str, list[str]]:
    return {"faults": [f"{type}: {THROWN}"]}


HANDLERS = (
    *(
        Row(f"a handler that {act}s at {at} stops nothing", CUT, AROUND_A_CUT, {at: act}, expected=_fault(type))
        for at, type in (
            ("connecting", "state"),
            ("open", "state"),
            ("waiting", "state"),
            ("retry", "retry"),
            ("welcome", "welcome"),
            ("pong", "pong"),
        )
        for act in ("throw", "reject")
    ),
    Row(
        "a handler that never returns stops nothing",
        CUT,
        AROUND_A_CUT,
        {"waiting": "never"},
        only=BESIDE,
    ),
    Row(
        "a handler that never returns holds up no request, also across a cut",
        "connect, request, cut, request, disconnect, closed",
        handlers={"welcome": "never"},
        expected={"answers": ["seq", "seq"]},
    ),
    Row(
        "a handler that throws at the open connection holds up no request",
        "connect, request, disconnect, closed",
        handlers={"open": "throw"},
        expected={"answers": ["seq"], **_fault("state")},
    ),
    Row(
        "a handler that throws at an event loses none",
        "connect, open, request, request, player_ready, player_ready, disconnect, closed",
        handlers={"player_ready": "throw"},
        expected={"answers": ["seq", "seq"], **_fault("player_ready")},
    ),
    Row(
        "a handler that throws at the end stops no other",
        "refuse, connect, end",
        handlers={"end": "throw", "closed": "throw"},
        options={"max_reconnect_attempts": 0},
        expected={"faults": [f"state: {THROWN}", f"end: {THROWN}"]},
    ),
    Row(
        "a handler that asks when told of connecting gets its answer",
        "connect, answered, disconnect, closed",
        handlers={"connecting": "request"},
        expected={"answers": ["seq"]},
    ),
    Row(
        "a handler that asks about a message gets its answer",
        "connect, answered, disconnect, closed",
        handlers={"welcome": "request"},
        expected={"answers": ["seq"]},
    ),
    Row(
        "a handler that asks while the connection is away gets its answer",
        "connect, welcome, cut, answered, disconnect, closed",
        AROUND_A_CUT,
        {"waiting": "request"},
        expected={"answers": ["seq"]},
    ),
    Row(
        "a handler that thinks while more comes than waits for it, and then asks, gets its answer",
        f"{THINKS}, go on, answered, disconnect, closed",
        handlers={"player_ready": "request when told"},
        expected={"answers": ["sent", "seq"]},
    ),
    Row(
        "so does one that thinks across a cut",
        f"{THINKS}, cut, go on, answered, disconnect, closed",
        handlers={"player_ready": "request when told"},
        expected={"answers": ["sent", "seq"]},
    ),
    Row(
        "meanwhile whoever else asks gets an answer, the end is told, and no event is lost",
        f"{THINKS}, request, request, go on" + ", player_ready" * 3 + ", request, player_ready, goodbye 4403, end",
        handlers={"player_ready": "request when told"},
        expected={"answers": ["sent", "seq", "seq", "seq", "seq"], "readies": 5, "end_codes": [4403]},
    ),
    Row(
        "what came while one thought, and it has not seen, is asked for again another time",
        f"{THINKS}, request, request, disconnect, closed, connect, open, player_ready, player_ready, "
        "disconnect, closed",
        handlers={"player_ready": "request when told"},
        expected={"answers": ["sent", "seq", "seq"]},
        only=Only(PYTHON, "in JavaScript all have been handed on"),
    ),
    Row(
        "where nobody listens for faults they are logged",
        CUT,
        AROUND_A_CUT,
        {"waiting": "throw"},
        more={"hears_faults": "no"},
        expected={"logged": [f"state: {THROWN}"]},
    ),
    Row(
        "a handler of faults that throws is a fault too",
        CUT,
        AROUND_A_CUT,
        {"waiting": "throw"},
        more={"hears_faults": "badly"},
        expected={"logged": ["fault: and another"], **_fault("state")},
    ),
    Row(
        "metrics that throw stop nothing",
        "connect, open, pong, cut, open, request, disconnect, closed",
        AROUND_A_CUT,
        more={"metrics": "throw"},
        expected={"answers": ["seq"], "faults": [f"metrics: {THROWN}"] * len(COUNTED_AROUND_A_CUT)},
    ),
    Row(
        "once is once, and off is never",
        "once and off, connect, pong, ping, pong, disconnect, closed",
        expected={"answers": ["once"]},
    ),
)

REQUESTS = (
    Row(
        "a request outlives a cut",
        "connect, welcome, cut, ask, answered, disconnect, closed",
        expected={"answers": ["seq"]},
    ),
    Row(
        "a request whose answer got lost is sent again, and applied once",
        "connect, open, cut at ack, request, player_ready, disconnect, closed",
        expected={"answers": ["seq"], "sockets": 2, "readies": 1},
    ),
    Row("a request waits as long as told", "request in 20 ms", expected={"answers": ["timeout"]}),
    Row("a request that was given up is not sent", "request given up", expected={"answers": ["given up"]}),
    Row(
        "nor is it with the next connection",
        "request in 20 ms, request given up, connect, open, ping, pong, pong, disconnect, closed",
        expected={"answers": ["timeout", "given up"], "readies": 0},
    ),
    Row(
        "of two requests with one id at a time the second is told so, and the first gets its answer",
        "request twice with one id, connect, answered, answered, disconnect, closed",
        expected={"answers": ["ended", "seq"], "readies": 1},
    ),
    Row(
        "what the server wants later it is not sent before, also after a cut",
        f"connect, open, mute, ask by name, say {LATER}, heal, retry, open, request, disconnect, closed",
        expected={"answers": ["seq", "ended"]},
        only=Only(JAVASCRIPT, "in Python that wait is one of those that are shortened here: test_requests.py"),
    ),
    Row(
        "what cannot be sent is told to who asks, and not sent again and again",
        "request of what cannot be sent, connect, open, request, disconnect, closed",
        "connecting open closed",
        expected={"answers": ["unsendable", "seq"]},
    ),
    Row(
        "nor does it on the open connection",
        "connect, open, request of what cannot be sent, request, disconnect, closed",
        "connecting open closed",
        expected={"answers": ["unsendable", "seq"]},
    ),
    Row(
        "the end of the connection is the end of its requests",
        "refuse, connect, ask, retry, disconnect, closed, answered",
        expected={"answers": ["ended"]},
    ),
    Row(
        "so is the end that comes by itself",
        "refuse, connect, ask, end",
        options={"max_reconnect_attempts": 2},
        expected={"answers": ["ended"]},
    ),
    Row(
        "what waits is sent ahead of what a handler of the open connection sends, however large it is",
        "send, send, send, connect" + ", player_ready" * 4 + ", disconnect, closed",
        "connecting open closed",
        {"open": "send"},
        {"queue": 10},
        {"filler": 60_000},
        expected={"answers": ["queued"] * 3 + ["sent"], "readies": 4},  # each says another than the one before
    ),
    Row(
        "who asks after the end is told so",
        "connect, open, disconnect, closed, request",
        expected={"answers": ["ended"]},
    ),
)
