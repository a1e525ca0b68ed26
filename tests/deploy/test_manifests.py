"""Manifests and Dockerfile: valid, and true to the service."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCUMENTS: list[dict[str, Any]] = [
    document for path in sorted(DEPLOY.glob("kubernetes/*.yaml")) for document in yaml.safe_load_all(path.read_text())
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document["kind"]))
def test_each_manifest_fits_its_schema(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, "1.31", strict=True)


def container() -> dict[str, Any]:
    (deployment,) = (document for document in DOCUMENTS if document["kind"] == "Deployment")
    (one,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(one)


def test_the_probes_ask_endpoints_that_exist() -> None:
    paths = {name: container()[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    source = (DEPLOY.parent / "app/web/ops.py").read_text()
    assert all(f'"{path}"' in source for path in paths.values())


def test_the_environment_holds_only_settings_that_exist() -> None:
    names = {entry["name"] for entry in container()["env"]}
    assert names <= {name.upper() for name in Settings.model_fields}


def test_the_pod_waits_longer_than_the_longest_drain() -> None:
    (deployment,) = (document for document in DOCUMENTS if document["kind"] == "Deployment")
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    env = {entry["name"].lower(): entry["value"] for entry in container()["env"] if "value" in entry}
    settings = Settings(_env_file=None, jwt_secret="f00dfeed" * 8 + "1245789ac", **env)  # type: ignore[call-arg, arg-type] # read like an environment
    assert settings.drain.delay_s > 0
    assert grace > settings.drain.longest_s


def test_the_container_is_locked_down() -> None:
    context = container()["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_dockerfile_keeps_its_promises() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    final = text.rsplit("\nFROM ", 1)[1]
    assert text.count("\nFROM ") == 2
    assert re.search(r"^USER 10001$", final, re.MULTILINE)
    assert not re.search(r"^(CMD|ENTRYPOINT) [^\[]", text, re.MULTILINE), "exec form only"
    assert "HEALTHCHECK" in final
    assert "pip install" not in final
    assert all(re.search(r":\d+\.\d+\.\d+", line) for line in re.findall(r"^FROM (.+)$", text, re.MULTILINE))
    names = set(re.findall(r"^(?:ENV )?\s*([A-Z_]+)=\S+ ?\\?$", final, re.MULTILINE)) - {
        "PATH",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
    }
    assert names <= {name.upper() for name in Settings.model_fields}
