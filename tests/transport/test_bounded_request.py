"""One request on its way in, without a socket and a parser: where it ends, and what of it is too much."""

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import HttpSettings
from app.transport.http_head import BadRequest
from app.transport.http_request import MAX_UPGRADE_LINE, BoundedRequest
from app.vocabulary import HttpRejection

HEAD = b"POST /api/games HTTP/1.1\r\nHost: x\r\n\r\n"
HOST = (b"host", b"x")
CHUNKED = (b"transfer-encoding", b"chunked")
SETTINGS = HttpSettings(max_header_bytes=20_000, max_headers=16, max_body_bytes=1_024, max_chunk_overhead_bytes=256)


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


def request(*headers: tuple[bytes, bytes]) -> BoundedRequest:
    """A request whose head has been read."""
    one = BoundedRequest(SETTINGS)
    one.finish_head("1.1", b"POST", b"/", (HOST, *headers))
    return one


def assert_refused(caught: pytest.ExceptionInfo[BadRequest], status: HTTPStatus, reason: HttpRejection) -> None:
    assert (caught.value.status, caught.value.reason) == (status, reason)


@pytest.mark.parametrize("behind", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n"])
def test_a_head_ends_behind_the_first_empty_line_whatever_comes_then(behind: bytes) -> None:
    assert BoundedRequest(SETTINGS).end_of_piece(HEAD + behind, 0) == len(HEAD)


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_half_an_empty_line_waits_for_the_rest_of_it(missing: int) -> None:
    assert BoundedRequest(SETTINGS).end_of_piece(HEAD[:-missing], 0) == len(HEAD) - 4


def test_half_an_empty_line_is_looked_for_behind_what_has_been_parsed() -> None:
    one = BoundedRequest(SETTINGS)
    assert one.end_of_piece(b"a\r\n", 1) == 1
    assert one.end_of_piece(b"a\r\n", 3) == 3


def test_a_body_of_a_length_ends_there_and_not_at_an_empty_line_in_it() -> None:
    one = request(length(10))
    assert one.end_of_piece(b"\r\n\r\n12", 0) == 6
    one.count_body(6)
    assert one.end_of_piece(b"7890GET / HTTP/1.1\r\n\r\n", 0) == 4
    one.count_body(4)
    assert one.end_of_piece(b"GET / HTTP/1.1\r\n\r\n", 0) == 0, "what follows is the next request's"


def test_a_chunked_body_stops_at_each_empty_line() -> None:
    one = request(CHUNKED)
    assert one.end_of_piece(b"0\r\n\r\nGET /", 0) == 5
    assert one.end_of_piece(b"6\r\nab\r\n\r\ncd\r\n", 0) == 9, "the parser finds no end there, and is asked again"
    assert one.end_of_piece(b"6\r\nab\r\n\r\ncd\r\n", 9) == 11


@given(st.lists(st.integers(1, 40), max_size=60), st.binary(max_size=40))
def test_however_it_is_cut_no_piece_crosses_the_end_of_the_head_and_nothing_of_it_is_left(
    sizes: list[int], behind: bytes
) -> None:
    one, whole = BoundedRequest(SETTINGS), HEAD + behind
    data, at, taken = b"", 0, 0
    cuts = [*sizes, len(whole)]
    for size in cuts:
        data, at = data[at:] + whole[:size], 0
        whole = whole[size:]
        while at < (end := one.end_of_piece(data, at)):
            taken += end - at
            at = end
            if taken == len(HEAD):
                return
            assert taken < len(HEAD)
    raise AssertionError("the head's end was not found")


def test_a_head_may_be_so_long_and_no_longer() -> None:
    one = BoundedRequest(SETTINGS)
    one.count(20_000)
    with pytest.raises(BadRequest, match="20000 bytes") as refused:
        one.count(1)
    assert_refused(refused, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HttpRejection.TOO_LARGE)


def test_a_head_may_have_so_many_headers_and_no_more() -> None:
    one = BoundedRequest(SETTINGS)
    for _ in range(16):
        one.count_header()
    with pytest.raises(BadRequest, match="16 headers") as refused:
        one.count_header()
    assert_refused(refused, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HttpRejection.TOO_LARGE)


def test_a_body_that_is_announced_too_long_is_refused_before_any_of_it_comes() -> None:
    assert request(length(1_024)).is_in_head is False
    with pytest.raises(BadRequest, match="1024 bytes") as refused:
        request(length(1_025))
    assert_refused(refused, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HttpRejection.TOO_LARGE)


def test_a_body_in_chunks_is_counted_as_it_comes() -> None:
    one = request(CHUNKED)
    for _ in range(4):
        one.count_body(256)
    with pytest.raises(BadRequest, match="body is longer than 1024 bytes") as refused:
        one.count_body(1)
    assert_refused(refused, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HttpRejection.TOO_LARGE)


def test_what_chunks_add_to_a_body_is_bounded_by_what_the_whole_request_may_be() -> None:
    one = request(CHUNKED)
    one.count(SETTINGS.max_request_bytes)
    with pytest.raises(BadRequest, match="longer than 256 bytes") as refused:
        one.count(1)
    assert_refused(refused, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HttpRejection.TOO_LARGE)


def test_what_follows_a_head_does_not_count_as_head() -> None:
    one = BoundedRequest(SETTINGS)
    one.count(19_999)
    one.finish_head("1.1", b"POST", b"/", (HOST, length(1_024)))
    one.count(1_024)


def test_a_target_is_given_in_origin_form_and_its_authority_besides() -> None:
    one = BoundedRequest(SETTINGS)
    assert one.finish_head("1.1", b"GET", b"http://y:1/livez?a=b", (HOST,)) == (b"/livez?a=b", b"y:1")
    assert BoundedRequest(SETTINGS).finish_head("1.1", b"GET", b"/livez", (HOST,)) == (b"/livez", None)


@pytest.mark.parametrize("body", [length(3), CHUNKED], ids=["a length", "chunks"])
@pytest.mark.parametrize("to_websocket", [True, False])
def test_an_upgrade_has_no_body(body: tuple[bytes, bytes], *, to_websocket: bool) -> None:
    with pytest.raises(BadRequest, match="no body") as refused:
        request(body).check_upgrade("1.1", b"/", (HOST, body), to_websocket=to_websocket)
    assert_refused(refused, HTTPStatus.BAD_REQUEST, HttpRejection.MALFORMED)


def test_an_upgrade_to_a_websocket_needs_http_1_1_and_any_other_does_not() -> None:
    one = BoundedRequest(SETTINGS)
    one.finish_head("1.0", b"GET", b"/", (HOST,))
    one.check_upgrade("1.0", b"/", (HOST,), to_websocket=False)
    with pytest.raises(BadRequest, match=r"HTTP/1\.1") as refused:
        one.check_upgrade("1.0", b"/", (HOST,), to_websocket=True)
    assert_refused(refused, HTTPStatus.BAD_REQUEST, HttpRejection.MALFORMED)


@pytest.mark.parametrize("where", ["target", "header"])
def test_a_line_of_an_upgrade_to_a_websocket_is_as_long_as_both_transports_take_it(where: str) -> None:
    def check(size: int) -> None:
        target = b"/" * size if where == "target" else b"/"
        headers = (HOST, (b"a", b"x" * (size - 1)) if where == "header" else (b"a", b"b"))
        one = BoundedRequest(SETTINGS)
        one.count(size + 100)
        one.finish_head("1.1", b"GET", target, headers)
        one.check_upgrade("1.1", target, headers, to_websocket=False)
        one.check_upgrade("1.1", target, headers, to_websocket=True)

    check(MAX_UPGRADE_LINE)
    with pytest.raises(BadRequest, match=f"longer than {MAX_UPGRADE_LINE} bytes") as refused:
        check(MAX_UPGRADE_LINE + 1)
    assert_refused(refused, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HttpRejection.TOO_LARGE)
