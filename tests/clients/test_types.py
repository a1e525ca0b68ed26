"""The TypeScript declarations name what client.js exports, and every message; the package's tests compile them."""

import re

from app.protocol import BATCH, CLIENT_TYPES, SENT_TYPES
from tools.harness.server import ROOT

CLIENT = ROOT / "clients/javascript"
EXPORT = re.compile(r"^export (?:abstract )?(?:class|function|const) (\w+)", re.MULTILINE)


def test_the_declarations_name_what_the_module_exports() -> None:
    declared = set(EXPORT.findall((CLIENT / "client.d.ts").read_text()))
    assert declared == set(EXPORT.findall((CLIENT / "client.js").read_text()))


def test_every_declared_method_is_there() -> None:
    declared = re.findall(
        r"^  (?:override )?(\w+)(?:<.*>)?\(.*\): ", (CLIENT / "client.d.ts").read_text(), re.MULTILINE
    )
    source = (CLIENT / "client.js").read_text()
    missing = [name for name in declared if not re.search(rf"^  (?:async )?{name}\(", source, re.MULTILINE)]
    assert declared
    assert not [name for name in missing if name not in {"send", "close"}]


def test_every_message_of_the_server_is_declared() -> None:
    table = (CLIENT / "client.d.ts").read_text().partition("export interface ServerMessages {")[2].partition("}")[0]
    assert re.findall(r"^  (\w+): Server", table, re.MULTILINE) == list(SENT_TYPES)


def test_every_message_of_a_client_is_declared() -> None:
    table = (CLIENT / "client.d.ts").read_text().partition("export interface ClientMessages {")[2].partition("}")[0]
    assert re.findall(r"^  (\w+): ", table, re.MULTILINE) == [*CLIENT_TYPES, BATCH]
