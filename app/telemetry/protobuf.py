"""Prometheus's protobuf exposition: the one that has native histograms, which prometheus-client does not write.

The messages are those of https://github.com/prometheus/client_model (metrics.proto), `MetricFamily` each
after its length. Three kinds of field are all they need, and their encoding is a few lines
(https://protobuf.dev/programming-guides/encoding/): fewer than a description of the messages for a library would be.
"""

import re
from collections.abc import Iterable
from struct import pack
from typing import Final

from prometheus_client.samples import Exemplar

from app.telemetry.catalogue import Kind, Metric
from app.telemetry.native import ZERO_THRESHOLD, NativeBuckets

_MEDIA: Final = "application/vnd.google.protobuf"
_PARAMETERS: Final = ("proto=io.prometheus.client.MetricFamily", "encoding=delimited")
CONTENT_TYPE: Final = "; ".join((_MEDIA, *_PARAMETERS))
_TEXTS: Final = ("application/openmetrics-text", "text/plain")
_QUALITY: Final = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_TYPES: Final = {Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.HISTOGRAM: 4}
_DOUBLE: Final = 1
_BLOCK: Final = 2
"""Wire types; that of whole numbers is 0."""


def is_preferred(accept: str) -> bool:
    """Tell whether an Accept header names these messages, and no text format before them (RFC 9110 section 12.5.1)."""
    ours = texts = 0.0
    wanted = {parameter.lower() for parameter in _PARAMETERS}
    for offer in accept.lower().replace(" ", "").split(","):
        media, *parameters = offer.split(";")
        quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        weight = float(quality) if _QUALITY.fullmatch(quality) else 0.0
        if media == _MEDIA and wanted <= set(parameters):
            ours = max(ours, weight)
        elif media in _TEXTS:
            texts = max(texts, weight)
    return 0 < ours >= texts


def family(metric: Metric, values: Iterable[tuple[tuple[str, ...], bytes]]) -> bytes:
    """Encode a family after its length: for each row of labels what `value` or `histogram` made of it."""
    content = _text(1, metric.name) + _text(2, metric.help) + _number(3, _TYPES[metric.kind])
    rows = (_block(4, _labels(zip(metric.labels, row, strict=True)) + value) for row, value in values)
    content += b"".join(rows)
    return _varint(len(content)) + content


def value(kind: Kind, number: float) -> bytes:
    """Encode the value of a counter or gauge."""
    return _block(3 if kind is Kind.COUNTER else 2, _double(1, number))


def histogram(
    buckets: Iterable[tuple[float, float, Exemplar | None]], total: float, native: NativeBuckets | None
) -> bytes:
    """Encode a histogram: its classic buckets (cumulative, the last is all), its sum, and its native buckets."""
    content, count = bytearray(_double(2, total)), 0.0
    for edge, count, exemplar in buckets:
        content += _block(3, _number(1, int(count)) + _double(2, edge) + (_exemplar(exemplar) if exemplar else b""))
    content += _number(1, int(count))
    if native is not None:
        content += _number(5, _zigzag(native.schema)) + _double(6, ZERO_THRESHOLD) + _number(7, native.zero_count)
        for gap, length in native.spans:
            content += _block(12, _number(1, _zigzag(gap)) + _number(2, length))
        content += b"".join(_number(13, _zigzag(delta)) for delta in native.deltas)
    return _block(7, content)


def _exemplar(exemplar: Exemplar) -> bytes:
    nanoseconds = int(float(exemplar.timestamp or 0) * 1_000_000_000)
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    timestamp = _block(3, _number(1, seconds) + _number(2, rest))
    return _block(3, _labels(exemplar.labels.items()) + _double(2, exemplar.value) + timestamp)


def _labels(pairs: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(_block(1, _text(1, name) + _text(2, value)) for name, value in pairs)


def _varint(number: int) -> bytes:
    """Encode a whole number from 0 on: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - what seven bits hold
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _zigzag(number: int) -> int:
    """Map a signed number to one from 0 on, small ones to small ones."""
    return 2 * number if number >= 0 else -2 * number - 1


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _double(field: int, number: float) -> bytes:
    return _varint(field << 3 | _DOUBLE) + pack("<d", number)


def _block(field: int, content: bytes | bytearray) -> bytes:
    return _varint(field << 3 | _BLOCK) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _block(field, text.encode())
