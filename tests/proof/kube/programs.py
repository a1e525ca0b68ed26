"""What the cluster is made of: programs of Kubernetes, built here, and types that others define."""

import re
import subprocess
from pathlib import Path
from typing import Final

from tests.proof.built import Program, module_folder

KUBERNETES: Final = "k8s.io/kubernetes"
VERSION: Final = "v1.34.4"
"""Of the last minor version whose kubelet runs on control groups of both kinds without a word of its settings."""
_STAGED: Final = "v0" + VERSION.removeprefix("v1")
OPERATOR: Final = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd")
GATEWAY: Final = ("sigs.k8s.io/gateway-api", "v1.4.1", "config/crd/standard")
ENVOY: Final = ("github.com/envoyproxy/gateway", "v1.6.0", "charts/gateway-helm/crds/generated")


def kubernetes(name: str) -> Program:
    """One of the programs of Kubernetes, as ``kube-apiserver`` and ``kubelet``."""
    stamp = {"gitVersion": VERSION, "gitMajor": "1", "gitMinor": VERSION.split(".")[1]}
    words = " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamp.items())
    return Program(
        name,
        f"{KUBERNETES}/cmd/{name}",
        KUBERNETES,
        VERSION,
        replaces=dict.fromkeys(_staged(), _STAGED),
        flags=(f"-ldflags=-s -w {words}",),
    )


def _staged() -> list[str]:
    """The modules that Kubernetes replaces by folders of its own, which the module's archive does not have."""
    lines = (module_folder(KUBERNETES, VERSION) / "go.mod").read_text()
    return re.findall(r"^\s*(\S+) => \./staging/", lines, re.MULTILINE)


def definitions() -> dict[str, list[Path]]:
    """The files of types that the manifests use, by the module and version that they are from."""
    found = {}
    for module, version, folder in (OPERATOR, GATEWAY, ENVOY):
        found[f"{module} {version}"] = sorted((module_folder(module, version) / folder).glob("*.yaml"))
    return found


def version_of(program: Path | str, *arguments: str) -> str:
    """What a program says its version is."""
    done = subprocess.run([program, *(arguments or ("--version",))], capture_output=True, text=True, check=True)
    match = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    assert match is not None, done
    return match[0]
