"""Helm's chart is made of the manifests that kustomize takes; what it gives is compared with theirs in tests/proof."""

import json
import re

import pytest
import yaml

from app import __version__
from app.settings import Settings
from tools.harness.kustomize import CHART_WAYS, KUBERNETES

HELPERS = (KUBERNETES / "templates/_manifests.tpl").read_text()
VALUES = yaml.safe_load((KUBERNETES / "values.yaml").read_text())
SETTINGS = (KUBERNETES / "base/settings.env").read_text()
SCHEMA = json.loads((KUBERNETES / "values.schema.json").read_text())
MADE_BY_THE_CHART = {"namespace.yaml", "deployment.yaml"}
"""Of production: what is the release's own, and what says of the image what the values say."""


def test_the_chart_has_every_manifest_of_production() -> None:
    taken = set(re.findall(r"^([a-z/-]+\.yaml)$", HELPERS, re.MULTILINE))
    assert all((KUBERNETES / name).exists() for name in taken)
    for folder in ("base", "production", "monitoring", *(f"overlays/{overlay}" for overlay in CHART_WAYS.values())):
        kustomization = yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text())
        names = {name for name in kustomization["resources"] if not name.startswith("..")} - MADE_BY_THE_CHART
        assert {f"{folder}/{name}" for name in names} <= taken, folder


def test_the_schema_knows_every_value_and_no_secret_is_one() -> None:
    assert set(SCHEMA["properties"]) - {"global"} == set(VALUES)
    assert SCHEMA["properties"]["wayIn"]["enum"] == list(CHART_WAYS)
    allowed, refused = (SCHEMA["properties"]["settings"]["propertyNames"][key] for key in ("pattern", "not"))
    names = {name.upper() for name in Settings.model_fields}
    assert all(re.search(allowed, name) for name in names)
    secret = set(re.findall(r"[A-Z_]+", re.search(r"secret `code-racer`: (.*)", SETTINGS)[1]))  # type: ignore[index] # it is there
    assert secret <= {name for name in names if re.search(refused["pattern"], name)}


def test_the_chart_has_the_version_of_the_service() -> None:
    chart = yaml.safe_load((KUBERNETES / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == VALUES["image"]["tag"] == __version__


@pytest.mark.parametrize("name", ["host", "frontend", "trustedProxies"])
def test_what_a_value_replaces_stands_in_the_manifests(name: str) -> None:
    assert VALUES[name] in (KUBERNETES / "production/settings.env").read_text()
