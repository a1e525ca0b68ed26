"""Manifests and Dockerfile: valid, and true to the service."""

import json
import re
import subprocess
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
    assert {container()[name]["httpGet"]["port"] for name in ("startupProbe", "livenessProbe", "readinessProbe")} == {
        "ops"
    }
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert {"OPS_PORT": str(ports["ops"])}.items() <= {
        one["name"]: one.get("value") for one in container()["env"]
    }.items()
    (service,) = (document for document in DOCUMENTS if document["kind"] == "Service")
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"], "not for the public"
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


MONITORING: list[dict[str, Any]] = [
    document
    for path in sorted(DEPLOY.glob("kubernetes/monitoring/*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]


def operator_accepts(documents: list[dict[str, Any]]) -> bool:
    """Whether they fit the Prometheus Operator's own types (npm; the operator itself needs a cluster)."""
    done = subprocess.run(
        ["node", "operator.mjs"],
        cwd=DEPLOY.parent / "tests/node",
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


def test_the_operators_manifests_fit_its_types() -> None:
    assert [document["kind"] for document in MONITORING] == ["PrometheusRule"]
    assert operator_accepts(MONITORING)
    broken = json.loads(json.dumps(MONITORING))
    broken[0]["spec"]["groups"][0]["rules"][0]["expr"] = {"not": "an expression"}
    assert not operator_accepts(broken)


def test_the_operator_gets_the_very_rules_that_are_tested() -> None:
    shipped = yaml.safe_load((DEPLOY.parent / "alerts/rules/code-racer.yaml").read_text())
    assert MONITORING[0]["spec"] == shipped
