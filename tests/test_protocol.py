"""The wire: every frame is a message or a clear error, never an accident."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol import (
    CLIENT_TYPES,
    CLOSE_TABLE,
    MAX_BATCH,
    Batch,
    Close,
    InvalidMessage,
    client_close,
    decode,
    should_reconnect,
)
from app.protocol.client import ClientMessage, PingMessage, Ready, ReadyMessage
from app.protocol.codec import _decode_data, _decode_envelope
from app.vocabulary import ErrorCode, ReadyStatus, Reconnect

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def rejection(frame: str) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as error:
        decode(frame)
    return error.value


def test_the_guides_ready_is_understood() -> None:
    message = decode('{"type":"ready","data":{"status":"ready"}}')
    assert message == ReadyMessage(data=Ready(ReadyStatus.READY))


@pytest.mark.parametrize("timestamp", [1, 1.5, 1795425844403, 1e300])
def test_a_ping_keeps_its_timestamp(timestamp: float) -> None:
    message = decode(json.dumps({"type": "ping", "data": {"timestamp": timestamp}}))
    assert isinstance(message, PingMessage)
    assert message.data.timestamp == timestamp


@pytest.mark.parametrize(
    ("frame", "code", "type"),
    [
        ("", ErrorCode.INVALID_JSON, "other"),
        ("{", ErrorCode.INVALID_JSON, "other"),
        ("nonsense", ErrorCode.INVALID_JSON, "other"),
        ('{"type":"ready"} trailing', ErrorCode.INVALID_JSON, "other"),
        ("[]", ErrorCode.INVALID_DATA, "other"),
        ("null", ErrorCode.INVALID_DATA, "other"),
        ("{}", ErrorCode.INVALID_DATA, "other"),
        ('{"type":1}', ErrorCode.INVALID_DATA, "other"),
        ('{"type":"dance"}', ErrorCode.UNKNOWN_TYPE, "other"),
        ('{"type":"ready","data":{"status":"maybe"}}', ErrorCode.INVALID_DATA, "ready"),
        ('{"type":"ready","data":[]}', ErrorCode.INVALID_DATA, "ready"),
        ('{"type":"ping","data":{}}', ErrorCode.INVALID_DATA, "ping"),
        ('{"type":"ping","data":{"timestamp":"x"}}', ErrorCode.INVALID_DATA, "ping"),
        ('{"type":"ping","data":{"timestamp":1,"rtt_ms":-1}}', ErrorCode.INVALID_DATA, "ping"),
        ('{"type":"submit_code","data":{"code":""}}', ErrorCode.INVALID_DATA, "submit_code"),
        ('{"type":"submit_code","data":{"code":"x","language":"cobol"}}', ErrorCode.INVALID_DATA, "submit_code"),
        ('{"type":"progress","data":{"percent":101}}', ErrorCode.INVALID_DATA, "progress"),
        ('{"type":"batch","data":{}}', ErrorCode.INVALID_DATA, "batch"),
        ('{"type":"leave","id":""}', ErrorCode.INVALID_DATA, "other"),
        ('{"type":"leave","id":"' + "x" * 65 + '"}', ErrorCode.INVALID_DATA, "other"),
        ("[" * 10_000, ErrorCode.INVALID_DATA, "other"),
        ('{"type":"leave","data":' + "[" * 10_000, ErrorCode.INVALID_JSON, "other"),
    ],
)
def test_what_is_no_message_is_named(frame: str, code: ErrorCode, type: str) -> None:
    error = rejection(frame)
    assert (error.code, error.type) == (code, type)


def test_an_error_carries_the_id_of_its_message() -> None:
    assert rejection('{"type":"dance","id":"m1"}').id == "m1"
    assert rejection('{"type":"ready","data":{"status":1},"id":"m2"}').id == "m2"


def test_an_error_never_quotes_what_was_sent() -> None:
    secret = "hunter2hunter2"
    for frame in (
        secret,
        f'{{"type":"{secret}"}}',
        f'{{"type":"ready","data":{{"status":"{secret}"}}}}',
        f'{{"type":"submit_code","data":{{"code":"x","language":"{secret}"}}}}',
    ):
        assert secret not in str(rejection(frame))


def test_unknown_fields_are_ignored() -> None:
    assert isinstance(decode('{"type":"leave","data":{"why":"tired"},"extra":1}'), ClientMessage)


def test_a_batch_keeps_order_and_isolates_bad_items() -> None:
    items: list[Any] = [{"type": "ready"}, {"type": "dance"}, 7, {"type": "batch", "data": []}, {"type": "leave"}]
    batch = decode(json.dumps({"type": "batch", "data": items, "id": "b1"}))
    assert isinstance(batch, Batch)
    assert batch.id == "b1"
    kinds = [item.type if isinstance(item, ClientMessage) else item.code for item in batch.items]
    expected = ["ready", ErrorCode.UNKNOWN_TYPE, ErrorCode.INVALID_DATA, ErrorCode.INVALID_DATA, "leave"]
    assert kinds == expected


def test_a_batch_is_bounded() -> None:
    frame = json.dumps({"type": "batch", "data": [{"type": "leave"}] * (MAX_BATCH + 1)})
    assert rejection(frame).code is ErrorCode.BATCH_TOO_LARGE


@given(st.text())
def test_any_text_is_a_message_or_an_error(text: str) -> None:
    try:
        decode(text)
    except InvalidMessage as error:
        assert error.type in {*CLIENT_TYPES, "batch", "other"}


@given(st.sampled_from([*CLIENT_TYPES, "batch", "dance"]), JSON, st.none() | st.text(max_size=80))
def test_any_json_data_is_a_message_or_an_error(type: str, data: Any, id: str | None) -> None:
    try:
        decode(json.dumps({"type": type, "data": data, "id": id}))
    except InvalidMessage as error:
        assert error.message


def test_the_close_table_is_what_the_contract_says() -> None:
    rows = {(row.code, row.reason): row.reconnect for row in CLOSE_TABLE}
    assert len(rows) == len(CLOSE_TABLE)
    assert rows[1012, "draining"] is Reconnect.YES
    assert rows[4401, "token_expired"] is Reconnect.NEW_TOKEN
    assert rows[4430, "slow_consumer"] is Reconnect.RESUME
    assert rows[4409, "replaced"] is Reconnect.NO


@pytest.mark.parametrize(
    ("code", "comes_back"),
    [(1000, False), (1006, True), (1011, True), (1012, True), (4409, False), (4401, False), (4430, True), (3999, True)],
)
def test_clients_come_back_as_the_table_says(code: int, comes_back: bool) -> None:
    assert should_reconnect(code) is comes_back


def test_odd_codes_of_clients_are_other() -> None:
    assert client_close(4999) is Close.OTHER
    assert client_close(1001) is Close.GOING_AWAY
    assert client_close(1012) is Close.OTHER


def part_by_part(frame: str) -> bool:
    """Whether a frame is a message, found the slow way: the envelope first, then its data."""
    try:
        envelope = _decode_envelope(frame)
        if envelope.type == "batch":
            msgspec.json.decode(envelope.data, type=list[msgspec.Raw])
        else:
            _decode_data[envelope.type](envelope.data)
    except (msgspec.DecodeError, UnicodeError, KeyError):
        return False
    return True


DATA = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["ready", "not_ready", "maybe", 1]),
        "timestamp": st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3)),
        "rtt_ms": st.one_of(st.none(), st.floats(-1, 700_000), st.integers()),
        "code": st.text(max_size=3),
        "language": st.sampled_from(["python", "cobol"]),
        "percent": st.one_of(st.none(), st.integers(-1, 101)),
        "lines": st.one_of(st.none(), st.integers(-1, 2_000_000), st.floats(0, 9)),
        "token": st.text(max_size=3),
    },
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "data": DATA | JSON,
            "id": st.none() | st.text(max_size=70) | st.integers(),
            "type": st.sampled_from([*CLIENT_TYPES, "batch", "dance", None, 3]),
            "traceparent": st.none() | st.text(max_size=3) | st.integers(),
        },
    )
)
def test_one_pass_takes_exactly_what_two_would(message: dict[str, Any]) -> None:
    frame = json.dumps(message)
    try:
        decode(frame, max_batch=10**6)
    except InvalidMessage:
        assert not part_by_part(frame)
    else:
        assert part_by_part(frame)
