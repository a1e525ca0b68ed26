"""Two workers behind one port: each connection gets to the one that has its game, whoever accepted it."""

import contextlib
import http.client
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.harness.player import Player
from tools.harness.server import STEP_TIMEOUT_S, until
from tools.harness.wire import upgrade
from tools.harness.workers import HOST, Worker, bare

pytestmark = pytest.mark.long

Pair = list[Worker]
FLOOD = 2_000
"""More than the kernel keeps of what nobody receives."""
MOST = 16
WAYS_TO_WRITE: tuple[Callable[[str], str], ...] = (
    lambda game_id: f"/ws/{game_id}",
    lambda game_id: "/ws/" + "".join(f"%{ord(one):02x}" for one in game_id),
    lambda game_id: f"/%77s/{game_id.upper()}?last_seq=%31",
    lambda game_id: f"//ws//{game_id.replace('-', '')}/",
    lambda game_id: f"/ws/urn:uuid:%7B{game_id}%7d",
    lambda game_id: f"http://here/api/games/{game_id}",
    lambda game_id: f"/api//games/%{ord(game_id[0]):02X}{game_id[1:]}",
    lambda game_id: f"/api/games%2F{game_id.upper()}",
)


@pytest.fixture(scope="module", params=["lean", "uvicorn"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with bare(tmp_path_factory.mktemp("workers"), ws_transport=request.param) as both:
        yield both


def game_of(pair: Pair, number: int, token: str) -> str:
    with pair[1 - number].stopped():
        return pair[number].new_game(token)


def accepted_by(pair: Pair, number: int) -> socket.socket:
    """A connection that is one worker's: it has answered a request."""
    with pair[1 - number].stopped():
        one = socket.create_connection((HOST, int(pair[0].settings["PORT"])), STEP_TIMEOUT_S)
        one.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
        answer(one)
    return one


def answer(one: socket.socket, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Read an answer, and no byte more."""
    response = http.client.HTTPResponse(Unbuffered(one), method=method)  # type: ignore[arg-type] # all it asks of it
    response.begin()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


class Unbuffered:
    """A socket whose file takes from it no more than is asked for."""

    def __init__(self, one: socket.socket) -> None:
        self._one = one

    def makefile(self, _mode: str) -> object:
        """Make the file."""
        return self._one.makefile("rb", buffering=0)


def get(game_id: str, token: str, more: str = "") -> bytes:
    return f"GET /api/games/{game_id} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n{more}\r\n".encode()


def handovers(worker: Worker, outcome: str) -> float:
    return worker.metric("worker_handovers_total", outcome=outcome)


def connections(worker: Worker) -> float:
    return worker.metric("ws_connections")


def test_players_of_one_game_meet_whoever_accepts_them(pair: Pair) -> None:
    token = pair[0].guest("ann")["token"]
    game_id = game_of(pair, 1, token)
    before = handovers(pair[0], "sent"), handovers(pair[1], "taken")
    with contextlib.ExitStack() as stack:
        players = []
        for number in (0, 1, 0):
            with pair[1 - number].stopped() if number == 1 else contextlib.nullcontext():
                guest = pair[number].guest("bob")
            players.append(stack.enter_context(Player(pair[number], game_id, guest["token"])))
        for player in players:
            player.send("ping", {"timestamp": 1})
            player.until("pong")
        assert [connections(worker) for worker in pair] == [0, 3]
    until(lambda: [connections(worker) for worker in pair] == [0, 0])
    assert handovers(pair[0], "sent") - before[0] == handovers(pair[1], "taken") - before[1]


def test_a_connection_wanders_with_its_requests(pair: Pair) -> None:
    token = pair[0].guest("ann")["token"]
    games = [game_of(pair, number, token) for number in (0, 1)]
    before = [handovers(worker, "sent") for worker in pair]
    with accepted_by(pair, 0) as one:
        for number in (0, 1, 1, 0, 1):
            one.sendall(get(games[number], token))
            status, _, body = answer(one)
            assert (status, games[number].encode() in body) == (200, True)
    assert [handovers(worker, "sent") - was for worker, was in zip(pair, before, strict=True)] == [2, 1]


def test_what_is_pipelined_comes_along_and_is_answered_in_order(pair: Pair) -> None:
    token = pair[0].guest("ann")["token"]
    games = [game_of(pair, number, token) for number in (0, 1)]
    order = (1, 0, 0, 1)
    with accepted_by(pair, 0) as one:
        one.sendall(b"".join(get(games[number], token) for number in order))
        assert [games[number].encode() in answer(one)[2] for number in order] == [True] * 4


def test_a_head_in_pieces_and_a_body_that_is_waited_for(pair: Pair) -> None:
    token = pair[0].guest("ann")["token"]
    head = get(game_of(pair, 1, token), token, "Content-Length: 6\r\nExpect: 100-continue\r\n")
    with accepted_by(pair, 0) as one:
        for piece in (head[:30], head[30:80], head[80:]):
            one.sendall(piece)
        assert one.recv(25, socket.MSG_WAITALL) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(b"abc")
        one.sendall(b"def" + get(game_of(pair, 0, token), token))
        assert [answer(one)[0] for _ in range(2)] == [200, 200]


def test_a_token_in_the_query_is_handed_over_and_is_in_nobodys_log(pair: Pair) -> None:
    token = pair[0].guest("ann")["token"]
    game_id = game_of(pair, 1, token)
    with accepted_by(pair, 0) as one:
        one.sendall(upgrade(f"/ws/{game_id}?token={token}"))
        assert answer(one)[0] == 101
        pair[1].wait_for_log("ws.opened", game_id=game_id)
    with accepted_by(pair, 0) as one:
        one.sendall(upgrade(f"/ws/{game_id}?token={token}x"))
        assert answer(one)[0] == 401
        pair[1].wait_for_log("ws.refused")
    assert not [line for worker in pair for line in worker.lines if token in line]
    assert token not in pair[0].stderr + pair[1].stderr


def test_what_names_no_game_or_an_own_one_stays(pair: Pair) -> None:
    token = pair[0].guest("ann")["token"]
    own = game_of(pair, 0, token)
    before = handovers(pair[0], "sent")
    with accepted_by(pair, 0) as one:
        for path in (f"/api/games/{own}", "/api/games/two-sum", f"/ws/{'f' * 35}", f"/play/{own}", "/version"):
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            answer(one)
    assert handovers(pair[0], "sent") == before


def test_however_its_id_is_written_a_request_gets_to_the_games_worker(pair: Pair) -> None:
    token = pair[0].guest("ann")["token"]
    own, other = (game_of(pair, number, token) for number in (0, 1))
    for way in WAYS_TO_WRITE:
        with accepted_by(pair, 0) as one:
            answers = []
            for game_id in (own, other):
                target = way(game_id)
                one.sendall(f"GET {target} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
                status, _, body = answer(one)
                answers.append((status, body.replace(game_id.encode(), b"")))
            assert answers[0][0] == answers[1][0], target
            assert answers[0][0] in {200, 404, 426}, answers


def test_who_is_gone_is_counted_no_more_and_who_comes_is_counted(tmp_path: Path) -> None:
    with bare(tmp_path, max_http_connections=MOST, http_keep_alive_s=60) as pair:
        token = pair[0].guest("ann")["token"]
        games = [game_of(pair, number, token) for number in (0, 1)]
        with accepted_by(pair, 0) as one:
            for number in (1, 0) * MOST:
                one.sendall(get(games[number], token))
                assert answer(one)[0] == 200
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(accepted_by(pair, 0)) for _ in range(MOST)]
            for one in held[:-1]:  # all are the second's now, and it has one left, the last of them
                one.sendall(get(games[1], token))
                assert answer(one)[0] == 200
            for taken in ([], held[-1:]):
                one = taken[0] if taken else stack.enter_context(accepted_by(pair, 0))
                one.sendall(get(games[1], token))
                assert answer(one)[0] == (200 if not taken else 503)


def test_a_worker_that_stands_still_is_sent_so_much_and_the_rest_is_told_to_come_back(pair: Pair) -> None:
    token = pair[0].guest("ann")["token"]
    game_id = game_of(pair, 1, token)
    sent = handovers(pair[0], "sent")
    waiting = []
    with contextlib.ExitStack() as stack, pair[1].stopped():
        for _ in range(FLOOD):
            one = stack.enter_context(socket.create_connection((HOST, int(pair[0].settings["PORT"])), STEP_TIMEOUT_S))
            one.sendall(get(game_id, token))
            waiting.append(one)
            if handovers(pair[0], "full"):
                break
        status, headers, body = answer(waiting[-1])
        assert (status, b"worker_full" in body) == (503, True)
        assert int(headers["retry-after"]) >= 1
        assert handovers(pair[0], "sent") - sent < FLOOD
        assert pair[0].new_game(token)  # it has its own games as ever
        os.kill(pair[1].pid, signal.SIGCONT)
        assert {answer(one)[0] for one in waiting[:-1]} <= {200, 429}  # by the game's own worker, which has a rate


def test_the_game_of_one_that_is_killed_is_there_again_and_the_others_player_goes_on(tmp_path: Path) -> None:
    with bare(tmp_path, event_log_url="sqlite:///var/games.db") as pair:
        guest = pair[0].guest("ann")
        games = [game_of(pair, number, guest["token"]) for number in (0, 1)]
        with Player(pair[0], games[0], guest["token"]) as player:
            pair[1].kill()
            player.send("ping", {"timestamp": 1})
            player.until("pong")
            with socket.create_connection((HOST, int(pair[0].settings["PORT"])), STEP_TIMEOUT_S) as waiting:
                waiting.sendall(get(games[1], guest["token"]))  # it waits for the next worker
                until(lambda: handovers(pair[0], "sent"))
                pair[1].start()
                status, _, body = answer(waiting)
                assert (status, games[1].encode() in body) == (200, True)
