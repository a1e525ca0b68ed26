"""The modules beside client.js: declared as they are, and named by the package."""

import json
import re

import pytest

from tools.harness.server import ROOT

CLIENT = ROOT / "clients/javascript"
EXPORT = re.compile(r"^export (?:class|function|const) (\w+)", re.MULTILINE)
METHOD = re.compile(r"^  (?:get |async )?(\w+)\(", re.MULTILINE)


@pytest.mark.parametrize("name", ["http", "index", "presence"])
def test_a_module_is_declared_as_it_is_and_part_of_the_package(name: str) -> None:
    source, declared = (CLIENT / f"{name}{end}" for end in (".js", ".d.ts"))
    package = json.loads((CLIENT / "package.json").read_text())
    assert EXPORT.findall(source.read_text()) == EXPORT.findall(declared.read_text())
    assert METHOD.findall(declared.read_text()) == METHOD.findall(source.read_text())
    named = package["exports"]["." if name == "index" else f"./{name}"]["import"]
    assert named == {"types": f"./{declared.name}", "default": f"./{source.name}"}
