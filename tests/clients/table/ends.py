"""Rows about how connections end, what answers in the server's place, and who comes back."""

from app.refusals import REFUSALS
from tests.clients.table.calls import AROUND_A_CUT, OLD_TOKEN
from tests.clients.table.row import CREDENTIALS, JAVASCRIPT, Only, Row

PROBLEM = "application/problem+json"
HTML = "text/html"
BAD_TOKEN = "the token has a character that no token has"
EXPIRING = '{"type": "token_expiring"; "data": {"expires_at": 1}}'
FINAL = {"ends": [[401, "unauthorized", BAD_TOKEN]], "sockets": 0}

TOKENS = (
    *(
        Row(
            f"a token that ends in {tail!r} is refused here",
            "connect, end",
            "connecting closed end",
            more={"token": f"marked.bad.token{tail}"},
            expected=FINAL,
        )
        for tail in ("=", "\n", " x", "\r\nX-Injected: x", "é", '"')
    ),
    Row("so is no token at all", "connect, end", "connecting closed end", more={"token": None}, expected=FINAL),
    Row(
        "so is one with which a ticket would be fetched",
        "connect, end",
        "connecting closed end",
        options={"auth": "ticket"},
        more={"token": "marked.bad.token\nx"},
        expected=FINAL,
        only=CREDENTIALS,
    ),
    Row(
        "a token with such a character is replaced where it can be",
        "connect, open, disconnect, closed",
        more={"token": "marked.bad.token=", "fresh": ["fresh"]},
        expected={"sockets": 1},
    ),
    Row(
        "a platform that refuses to make the socket ends it, and says nothing of the token",
        "connect, end",
        more={"socket": "throws"},
        expected={"ends": [[0, "", "no WebSocket (SyntaxError)"]]},
        only=Only(JAVASCRIPT, "what makes the socket is handed in there"),
    ),
    Row(
        "a refused token is replaced once",
        "connect, end",
        "connecting closed end",
        more={"token": OLD_TOKEN, "fresh": ["no.better.token", "fresh"]},
        expected={"sockets": 2, "end_codes": [401]},
    ),
    Row(
        "after an end about the token the next begins with a fresh one",
        "connect, end, connect, open, disconnect, closed",
        more={"token": OLD_TOKEN, "fresh": ["no.better.token", "fresh"]},
        expected={"sockets": 3},
    ),
    Row(
        "without a fresh one a refused token is the end",
        "connect, end",
        "connecting closed end",
        more={"token": OLD_TOKEN},
        expected={"sockets": 1, "end_codes": [401]},
    ),
    Row(
        "a network that is away while the token is renewed comes back",
        "connect, open, disconnect, closed",
        "connecting waiting retry connecting waiting retry connecting open closed",
        more={"token": OLD_TOKEN, "fresh": ["no network", "no network", "fresh"]},
        expected={"sockets": 2, "faults": ["refresh_token: the network is away"] * 2, "attempts": [1, 2]},
    ),
    Row(
        "a renewal that never ends is tried again",
        "connect, open, disconnect, closed",
        "connecting waiting retry connecting open closed",
        options={"open_timeout_s": 1},
        more={"token": "marked.bad.token=", "fresh": ["never", "fresh"]},
        expected={"faults": ["refresh_token: no answer"]},
    ),
    Row(
        "a renewal that comes after a later one is not taken",
        "connect, open, pong, cut, retry, open, disconnect, closed",
        options={"open_timeout_s": 1},
        more={"token": "marked.bad.token=", "fresh": ["late", "fresh"]},
        expected={"faults": ["refresh_token: no answer"], "ends": []},
    ),
    Row(
        "whoever is logged out is told",
        "connect, end",
        "connecting closed end",
        more={"token": OLD_TOKEN, "fresh": ["logged out"]},
        expected={"end_codes": [401], "attempts": []},
    ),
    Row(
        "who is asked for a token may find that nobody wants to connect any more",
        "connect, closed",
        "connecting closed",
        more={"token": OLD_TOKEN, "fresh": ["disconnect"]},
        expected={"sockets": 1},
    ),
    Row(
        "a token that expires again and again on the open connection is no reason to come back at once",
        "connect, open, goodbye 4401, retry, open, goodbye 4401, retry, open, disconnect, closed",
        "connecting open waiting retry reconnecting open waiting retry reconnecting open closed",
        more={"fresh": ["fresh", "fresh"]},
        expected={"attempts": [0, 0], "sockets": 3},
    ),
    Row(
        "a token that expires on the open connection is replaced once",
        "connect, open, goodbye 4401, retry, end",
        "connecting open waiting retry reconnecting closed end",
        more={"fresh": ["no.better.token", "fresh"]},
        expected={"sockets": 2, "end_codes": [401]},
    ),
    Row(
        "another token in time that has such a character is not sent, and the one before it is kept",
        f"connect, open, pong, say {EXPIRING}, token_expiring, request, player_ready, cut, retry, open, "
        "disconnect, closed",
        AROUND_A_CUT,
        more={"fresh": ["marked.bad.token="]},
        expected={"errors": [], "sockets": 2},
    ),
    Row(
        "while another token is asked for in time, no other one is",
        f"connect, open, pong, say {EXPIRING}, token_expiring, say {EXPIRING}, token_expiring, ping, pong, request, "
        "player_ready, cut, retry, open, disconnect, closed",
        AROUND_A_CUT,
        more={"fresh": ["slow", "no.better.token"]},
        expected={"errors": [], "sockets": 2},
    ),
    Row(
        "another token that comes when the connection is another is not told that one",
        f"connect, open, pong, say {EXPIRING}, token_expiring, cut, retry, open, pong, request, player_ready, "
        "disconnect, closed",
        AROUND_A_CUT,
        more={"fresh": ["late"]},
        expected={"errors": []},
    ),
    Row(
        "who disconnects when asked for another token in time is handed on nothing more",
        f"connect, open, say {EXPIRING}, closed",
        "connecting open closed",
        more={"fresh": ["disconnect"]},
        only=Only(JAVASCRIPT, "in Python that is asked for in a task of its own, and the message handed on first"),
    ),
)

ANSWERS = (
    *(
        Row(
            f"{status} {body[:80] or 'nothing'} in the server's place is no answer of ours",
            "connect, retry, retry, disconnect, closed",
            "connecting waiting retry connecting waiting retry closed",
            more={"answer": [status, type, body]},
            expected={"ends": [], "attempts": [1, 2]},
        )
        for status, type, body in (
            ("200 OK", HTML, "<html>log in</html>"),
            ("302 Found\r\nlocation: /login", HTML, ""),
            ("401 Unauthorized", HTML, "<html>"),
            ("401 Unauthorized", PROBLEM, '{"status": 401, "detail": "log in"}'),
            ("403 Forbidden", PROBLEM, '{"status": 403, "detail": "blocked", "reason": "waf"}'),
            ("404 Not Found", HTML, "default backend - 404"),
            ("404 Not Found", PROBLEM, '{"status": 404, "title": "Not Found"}'),
            ("404 Not Found", PROBLEM, '{"status": 404, "reason": {"of": "theirs"}}'),
            ("404 Not Found", PROBLEM, '["reason"]'),
            ("403 Forbidden", PROBLEM, "[" * 100_000),
            ("409 Conflict", PROBLEM, '{"status": 409, "reason": "conflict of theirs"}'),
            ("426 Upgrade Required", PROBLEM, '{"status": 426, "reason": "of another gateway"}'),
            ("403 Forbidden", "application/json", '{"status": 403, "reason": "forbidden"}'),
            ("403 Forbidden", PROBLEM, '{"status": 404, "reason": "forbidden"}'),
            ("200 OK", "application/json", '{"reason": "forbidden"}'),
            ("401 Unauthorized", "application/json", '{"reason": "unauthorized"}'),
            ("429 Too Many Requests", "application/json", '{"retry_after_ms": 5}'),
            ("404 Not Found", PROBLEM, '{"status": 404, "reason": "no_such_game", "retry_after_ms": "soon"}'),
            ("502 Bad Gateway", HTML, "<html>"),
            ("101 Switching Protocols", HTML, ""),
            *(
                (
                    "503 Service Unavailable",
                    PROBLEM,
                    f'{{"status": 503, "reason": "draining", "retry_after_ms": {broken}}}',
                )
                for broken in ('"soon"', "-1", "0", "1e300", "1" + "0" * 400, "null", "[5]")
            ),
        )
    ),
    *(
        Row(
            f"{status} {body} in place of a ticket is none",
            "connect, retry, retry, disconnect, closed",
            options={"auth": "ticket"},
            more={"answer": [status, "application/json", body]},
            expected={"ends": [], "attempts": [1, 2]},
            only=CREDENTIALS,
        )
        for status, body in (("200 OK", "null"), ("201 Created", "{}"))
    ),
    *(
        Row(
            f"a refusal of ours, {refusal.outcome}, is final or not as the table of refusals says",
            "connect, end" if refusal.is_final else "connect, retry, disconnect, closed",
            "connecting closed end" if refusal.is_final else "connecting waiting retry closed",
            more={
                "answer": [
                    f"{refusal.status.value} x",
                    PROBLEM,
                    f'{{"status": {refusal.status.value}, "reason": "{refusal.outcome}"}}',
                ]
            },
            expected={"end_codes": [refusal.status.value] if refusal.is_final else []},
        )
        for refusal in REFUSALS.values()
    ),
    *(
        Row(
            f"an answer that points elsewhere is not followed, asked by {auth}",
            "connect, end",
            options={"auth": auth, "max_reconnect_attempts": 0},
            more={"answer": ["302 Found\r\nlocation: /elsewhere", HTML, ""]},
            expected={"end_codes": [302]},
            only=Only(JAVASCRIPT, "in Python what makes the socket follows, and keeps the token to one origin"),
        )
        for auth in ("subprotocol", "ticket")
    ),
    Row(
        "a game's id is one part of the path, whatever is in it",
        "connect, end",
        "connecting closed end",
        more={"before_id": "x\\..\\"},  # in a URL that is a slash, too
        expected={"end_codes": [400]},
    ),
    Row(
        "what is ours and final is the end, and says why",
        "connect, end",
        "connecting closed end",
        more={
            "answer": [
                "409 Conflict",
                PROBLEM,
                '{"status": 409, "reason": "game_full", "detail": "it is full", "later": {}}',
            ]
        },
        expected={"ends": [[409, "game_full", "it is full"]]},
    ),
    Row(
        "what is ours and may pass is not",
        "connect, retry, retry, disconnect, closed",
        more={
            "answer": [
                "429 Too Many Requests",
                PROBLEM,
                '{"status": 429, "reason": "rate_limited", "retry_after_ms": 5}',
            ]
        },
        expected={"ends": [], "attempts": [0, 0]},
    ),
    Row(
        "an upgrade that got lost on the way, so that all is well, is tried again, and says so",
        "connect, retry, retry, disconnect, closed",
        "connecting waiting retry connecting waiting retry closed",
        more={"answer": ["426 Upgrade Required", PROBLEM, '{"status": 426, "reason": "accepted", "detail": "well"}']},
        expected={"whys": [[426, "accepted", "well"]] * 2, "attempts": [1, 2]},
    ),
    Row(
        "a path that there is not is told as such, asked for by an upgrade or not",
        "connect, end",
        "connecting closed end",
        more={"before_id": "x/"},
        expected={"ends": [[404, "no_such_path", "there is no WebSocket here; games are at /ws/{gameId}"]]},
    ),
    Row(
        "a wait that was asked of all alike is spread",
        "connect" + ", retry" * 8 + ", disconnect, closed",
        more={"answer": ["503 x", PROBLEM, '{"status": 503, "reason": "draining", "retry_after_ms": 1000}']},
        expected={"attempts": [0] * 8, "are_spread": True},
    ),
    Row(
        "an upgrade whose refusal no close follows is told all the same",
        "connect, end",
        more={"token": OLD_TOKEN, "socket": "tells no close"},
        expected={"end_codes": [401]},
        only=Only(JAVASCRIPT, "Node's own WebSocket before Node 24 is such a one"),
    ),
)

WELCOME_BACK = '{"type": "welcome"; "data": {"resumed": true}}'
WELCOME = '{"type": "welcome"; "data": {"last_seq": 0}}'
AHEAD = '{"type": "x"; "seq": 50}'

STRANGE = (
    *(
        Row(
            f"{message[:60]} is nothing of ours, and ends nothing",
            f"connect, open, say {message}, request, disconnect, closed",
            "connecting open closed",
            expected={"answers": ["seq"], "sockets": 1},
        )
        for message in (
            '{"message": "Internal server error"}',
            '{"type": 5}',
            '{"type": ["welcome"]}',
            '{"type": "pong"; "data": {"timestamp": 1' + "0" * 400 + "}}",
            '{"type": "ack"; "data": {"id": {}}}',
            '{"type": "error"; "data": {"id": []; "retry_after_ms": {}}}',
        )
    ),
    *(
        Row(
            f"a welcome that says {said or 'nothing'} is a welcome",
            f'mute, connect, opened, say {{"type": "welcome"{said}}}, open, disconnect, closed',
            "connecting open closed",
            expected={"sockets": 1},
        )
        for said in (
            "",
            '; "data": null',
            '; "data": [5]',
            '; "data": {"last_seq": null}',
            '; "data": {"last_seq": "x"}',
            '; "data": {"last_seq": 0; "accepts": 5}',
        )
    ),
    Row(
        "a goodbye that does not say to stay away is none",
        'connect, open, say {"type": "disconnect"; "data": {"reconnect": null}}, close 1000, retry, open, '
        "disconnect, closed",
        AROUND_A_CUT,
        expected={"ends": []},
    ),
)

CLOSES = (
    *(
        Row(
            f"a close with {code} that says nothing of ours is a lost connection",
            f"connect, open, close {code}, retry, open, disconnect, closed",
            AROUND_A_CUT,
            expected={"ends": [], "attempts": [1]},
        )
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011)
    ),
    *(
        Row(
            f"a close with {code} after our goodbye is the end",
            f"connect, open, goodbye {code}, end",
            "connecting open closed end",
            expected={"end_codes": [code]},
        )
        for code in (1000, 1002, 1009, 4400, 4403)
    ),
    Row(
        "a goodbye that names a time is obeyed, and costs no try",
        "connect, open, come back, retry, open, disconnect, closed",
        AROUND_A_CUT,
        options={"max_reconnect_attempts": 0},
        expected={"attempts": [0], "delays": [7.0]},
    ),
    Row(
        "an event that got lost is noticed by the gap, and asked for again",
        "connect, open, lose player_ready, send, pong, request, player_ready, player_ready, disconnect, closed",
        expected={"readies": 2, "sockets": 2},
    ),
    Row(
        "a gap that comes again and again is asked about at once the first time alone",
        "mute, connect" + f", opened, say {WELCOME}, open, say {AHEAD}, retry" * 4 + ", disconnect, closed",
        expected={"attempts": [0] * 4, "backs_off_after_the_first": True},
    ),
    Row(
        "nor is one that comes again and again after the next event",
        "mute, connect"
        + "".join(
            f', opened, say {WELCOME_BACK}, open, say {{"type": "x"; "seq": {seq}}}, say {AHEAD}, retry'
            for seq in range(1, 5)
        )
        + ", disconnect, closed",
        expected={"attempts": [0] * 4, "backs_off_after_the_first": True, "seqs": [1, 2, 3, 4]},
    ),
    Row(
        "an event that comes twice is handed on once",
        "connect, open, double player_ready, request, request, player_ready, player_ready, disconnect, closed",
        expected={"readies": 2, "sockets": 1},
    ),
)

OUTAGES = (
    Row(
        "it goes on trying",
        "refuse, connect" + ", retry" * 12 + ", heal, open, disconnect, closed",
        expected={"ends": []},
    ),
    Row("it gives up when told to", "refuse, connect, end", "connecting closed end", options={"give_up_after_s": 1e-6}),
    Row(
        "it never gives up when told so",
        "refuse, connect" + ", retry" * 6 + ", disconnect, closed",
        options={"give_up_after_s": 0},
        expected={"ends": []},
    ),
    Row(
        "it makes as many attempts as it may",
        "refuse, connect, end",
        options={"max_reconnect_attempts": 3},
        expected={"attempts": [1, 2, 3], "end_codes": [0], "sockets": 4},
    ),
    Row(
        "a connection over which no welcome comes is given up",
        "mute, connect, retry, heal, open, disconnect, closed",
        options={"open_timeout_s": 0.5, "pong_timeout_s": 600},
        expected={"ends": []},
    ),
    Row(
        "a connection that looks alive and is not is noticed",
        "connect, open, pong, freeze, retry, open, disconnect, closed",
        AROUND_A_CUT,
        options={"ping_interval_s": 0.2, "pong_timeout_s": 1},
    ),
)
