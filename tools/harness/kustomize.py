"""The shipped manifests as Kubernetes gets them: rendered by the real kubectl."""

import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tools.harness.server import ROOT

KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAYS = ("dev", "production", "production-envoy", "production-ingress")
CHART_WAYS = {"gateway": "production", "envoy": "production-envoy", "ingress": "production-ingress"}
"""The chart's value `wayIn`, and the overlay that is the same."""


@functools.cache
def rendered(overlay: str, **changes: str) -> tuple[dict[str, Any], ...]:
    """All documents of an overlay; `changes` are lines that its production's settings end with."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "kubernetes"
        shutil.copytree(KUBERNETES, tree)
        with (tree / "production/settings.env").open("a") as settings:
            settings.writelines(f"{name}={value}\n" for name, value in changes.items())
        if _is_old():
            for path in tree.rglob("kustomization.yaml"):
                _for_old(path)
        command = ["kubectl", "kustomize", str(tree / "overlays" / overlay)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def _is_old() -> bool:
    """Debian 12's kubectl 1.20 has kustomize 2.0, with other names for the same."""
    told = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=False).stdout
    match = re.search(r'v1\.(\d+)\.|Minor:"(\d+)', told)
    assert match is not None, told
    return int(match[1] or match[2]) < 21


def _for_old(path: Path) -> None:
    one = yaml.safe_load(path.read_text())
    one["bases"] = [name for name in one["resources"] if (path.parent / name).is_dir()]
    one["resources"] = [name for name in one["resources"] if name not in one["bases"]]
    one["patchesStrategicMerge"] = [patch["path"] for patch in one.pop("patches", ())]
    for made in one.get("configMapGenerator", ()):
        (made["env"],) = made.pop("envs")
        one["generatorOptions"] = made.pop("options", {})
    path.write_text(yaml.safe_dump(one))


def plain_name(document: dict[str, Any]) -> str:
    """The name of a document without the hash of what is in it."""
    return re.sub(r"^(code-racer)-[a-z0-9]{10}$", r"\1", document["metadata"]["name"])


def of_kind(overlay: str, kind: str, name: str = "code-racer") -> dict[str, Any]:
    """The one document of a kind and a name, which may end with the hash of what is in it."""
    (found,) = (one for one in rendered(overlay) if one["kind"] == kind and plain_name(one) == name)
    return found
