"""The series of NATS, as its exporter (nats-io/prometheus-nats-exporter) has told them beside real servers."""

import re
from pathlib import Path
from typing import Final

RECORDED: Final = Path(__file__).with_name("nats_exporter.prom")
"""What the real exporter has answered; what it is of stands in its first lines."""
_SERIES: Final = re.compile(r"^(nats_\w+)\{(.*)\} \S+$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="[^"]*"')


def labels_by_name(text: str) -> dict[str, frozenset[str]]:
    """List the series that an exporter's answer has: the labels of each name."""
    return {name: frozenset(_LABEL.findall(labels)) for name, labels in _SERIES.findall(text)}
