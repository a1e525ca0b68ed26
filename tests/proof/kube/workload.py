"""What is run on the node: the production overlay's Deployment, Services, budget and settings, and one NATS server."""

import base64
import json
from typing import Any, Final

from tests.proof.kube.plane import Plane
from tools.harness.kustomize import rendered
from tools.harness.server import SECRET

SPACE: Final = "code-racer"
IMAGE: Final = "docker.io/library/code-racer:0.1.0"
NATS_IMAGE: Final = "localhost/nats:proof"
NATS_ADDRESS: Final = "10.96.0.50"
"""Of the Service: the cluster has no names."""
NATS_PASSWORD: Final = "proof"
NATS_MAX_BYTES: Final = 1_000_000_000
SETTINGS: Final = {
    "EVENT_LOG_URL": f"nats://{NATS_ADDRESS}:4222",
    "NATS_REPLICAS": "1",
    "NATS_MAX_BYTES": str(NATS_MAX_BYTES),
    "JUDGE_PROCESSES": "1",
    "DRAIN_GAME_WAIT_S": "2",
    "DRAIN_SPREAD_S": "5",
    "SCRAPE_WAIT_S": "1",
    "RECONNECT_GRACE_S": "120",
    "FINISHED_LINGER_S": "120",
    "MAX_GAMES_PER_PLAYER": "1000",
    "API_REQUESTS_PER_PLAYER_PER_SECOND": "0",
    "OVERLOAD_LAG_S": "60",
}
"""Two cores carry a whole cluster here, and a hundred bots: the drain is shorter, and a slow machine is no overload."""
NATS_CONFIG: Final = """
port: 4222
jetstream { store_dir: "/data" }
accounts { RACER { jetstream: enabled, users: [{ user: code-racer, password: $NATS_PASSWORD }] } }
"""

Document = dict[str, Any]


def run(plane: Plane, **settings: str) -> None:
    """Apply all of it; returns before it runs."""
    documents = list(rendered("production", **(SETTINGS | settings)))
    plane.apply([one for one in documents if one["kind"] == "Namespace"])
    plane.apply([_secret("JWT_JWKS_URL" not in settings), *_nats()])
    plane.apply([_fitted(one) for one in documents if one["kind"] in _KINDS and one["metadata"]["name"] in _names(one)])


_KINDS: Final = (
    "ServiceAccount",
    "ConfigMap",
    "Service",
    "Deployment",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
)


def _names(one: Document) -> set[str]:
    """Of the service alone; the canary waits for a name that nobody resolves here."""
    name = one["metadata"]["name"]
    is_board = "grafana_dashboard" in one["metadata"].get("labels", {})
    return set() if is_board or name.startswith("code-racer-canary") else {name}


def _fitted(one: Document) -> Document:
    """Fit a document to this machine: the image is here, two cores carry all, and two replicas are enough."""
    text = json.dumps(one).replace("registry.example.org/code-racer:0.1.0", IMAGE)
    fitted: Document = json.loads(text)
    if one["kind"] == "Deployment":
        (container,) = fitted["spec"]["template"]["spec"]["containers"]
        container["imagePullPolicy"] = "Never"
        container["resources"]["requests"] = {"cpu": "50m", "memory": "128Mi"}
    if one["kind"] == "HorizontalPodAutoscaler":
        fitted["spec"]["minReplicas"] = 2
    return fitted


def _secret(has_key: bool) -> Document:
    """With the key of tokens, unless public keys are to be fetched."""
    data = {"TICKET_SECRET": SECRET[::-1], "NATS_PASSWORD": NATS_PASSWORD}
    data |= {"OPS_TOKEN": SECRET.upper(), "OPS_READ_TOKEN": SECRET.upper()[::-1]}
    data |= {"JWT_SECRET": SECRET} if has_key else {}
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "code-racer", "namespace": SPACE},
        "data": encoded,
    }


def _nats() -> list[Document]:
    labels = {"app.kubernetes.io/name": "nats"}
    metadata = {"name": "nats", "namespace": SPACE, "labels": labels}
    port = {"name": "nats", "port": 4222, "targetPort": 4222}
    service = {"clusterIP": NATS_ADDRESS, "selector": labels, "ports": [port]}
    container = {
        "name": "nats",
        "image": NATS_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-c", "/config/nats.conf"],
        "env": [{"name": "NATS_PASSWORD", "value": NATS_PASSWORD}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "config", "mountPath": "/config"}, {"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "nats"}}, {"name": "data", "emptyDir": {}}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}, "template": template}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"nats.conf": NATS_CONFIG}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
    ]
