"""The Kubernetes manifests as kubectl renders them: valid, and true to the service."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import SecretStr

from alerts.config import CONFIG
from app.settings import Settings
from dashboards.build import boards
from tools.harness.kustomize import KUBERNETES, OVERLAYS, of_kind, plain_name, rendered
from tools.harness.nats import NATS_SERVER
from tools.harness.nats_exporter import OPTIONS, shipped_relabelling
from tools.harness.server import ROOT

OPERATOR = "monitoring.coreos.com/v1"
NODE = ROOT / "tests/node"
BIN = Path(sys.executable).parent
GUIDE = (ROOT / "docs/operations.md").read_text()
WAYS_IN = tuple(overlay for overlay in OVERLAYS if overlay.startswith("production"))
ALL = {
    json.dumps(one): pytest.param(one, id=f"{overlay}-{one['kind']}-{plain_name(one)}")
    for overlay in reversed(OVERLAYS)
    for one in rendered(overlay)
}
OF_OTHERS = (OPERATOR, "gateway.networking.k8s.io/v1", "gateway.envoyproxy.io/v1alpha1")
"""Kinds that are not Kubernetes' own: the operator's are held to its types below, all of them by tests/proof."""
NAMES = {name.upper() for name in Settings.model_fields}
SECRET_NAMES = {name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
BOTH = pytest.mark.parametrize("overlay", ["dev", "production"])
ACCEPTED = {
    "CKV_K8S_11": "no limit of CPU: being throttled is latency for all players of a replica",
    "CKV_K8S_15": "in development the image is one that was built here",
    "CKV_K8S_35": "secrets are settings, and settings are read from the environment alone",
    "CKV_K8S_43": "the digest is of the release that is deployed: kustomize edit set image",
}
"""Checks of checkov that do not hold here, each with its reason."""


@pytest.mark.parametrize("document", ALL.values())
def test_each_manifest_fits_its_schema(document: dict[str, Any]) -> None:
    if document["apiVersion"] not in OF_OTHERS:
        kubernetes_validate.validate(document, "1.34", strict=True)


def test_the_validator_would_notice() -> None:
    broken = json.loads(json.dumps(of_kind("production", "Deployment")))
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.34", strict=True)


@BOTH
def test_no_policy_is_broken(overlay: str, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    overlays = WAYS_IN if overlay in WAYS_IN else (overlay,)
    file.write_text(yaml.safe_dump_all({json.dumps(one): one for each in overlays for one in rendered(each)}.values()))
    program = str(BIN.parent / "checkov/bin/checkov")
    options = ("--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "-o", "json", "-f", str(file))
    command = [program, *options, "--skip-check", ",".join(ACCEPTED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    result = json.loads(done.stdout)
    assert done.returncode == 0, [one["check_name"] for one in result["results"]["failed_checks"]]
    assert result["summary"]["passed"] > 80


# ---------------------------------------------------------------- the operator's kinds


def operator_accepts(documents: list[dict[str, Any]]) -> bool:
    """Whether they fit the Prometheus Operator's own schemas (npm; the operator itself needs a cluster)."""
    done = subprocess.run(
        ["node", "operator.mjs"], cwd=NODE, input=json.dumps(documents), capture_output=True, text=True, check=False
    )
    return done.returncode == 0


def unknown_fields(documents: list[dict[str, Any]], folder: Path) -> str:
    """What the compiler says of fields that the operator's types do not have: their schemas let them pass."""
    source = NODE / f"check-{folder.name}.ts"
    kinds = sorted({one["kind"] for one in documents})
    lines = [
        f"import {{ I{kind} }} from '@kubernetes-models/prometheus-operator/{OPERATOR}/{kind}';\n" for kind in kinds
    ]
    lines += [
        f"export const one{number}: I{one['kind']} = {json.dumps(one)};\n" for number, one in enumerate(documents)
    ]
    source.write_text("".join(lines))
    try:
        command = ["npx", "tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", source.name]
        done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=False)
    finally:
        source.unlink()
    return done.stdout


def test_the_operators_manifests_fit_its_types(tmp_path: Path) -> None:
    ours = [one for one in rendered("production") if one["apiVersion"] == OPERATOR]
    assert sorted(one["kind"] for one in ours) == ["PodMonitor", "PodMonitor", "PrometheusRule", "ServiceMonitor"]
    assert operator_accepts(ours)
    assert unknown_fields(ours, tmp_path) == ""
    assert next(one for one in ours if one["kind"] == "ServiceMonitor")["spec"]["scrapeClassicHistograms"], "for rules"
    broken = json.loads(json.dumps(ours))
    (rules,) = (one for one in broken if one["kind"] == "PrometheusRule")
    rules["spec"]["groups"][0]["rules"][0]["expr"] = {"not": "an expression"}
    assert not operator_accepts(broken)
    (monitor,) = (one for one in broken if one["kind"] == "ServiceMonitor")
    monitor["spec"]["endpoints"][0]["intervall"] = "15s"
    assert "intervall" in unknown_fields([monitor], tmp_path)


def test_the_operator_gets_the_very_rules_that_are_tested() -> None:
    shipped = yaml.safe_load((ROOT / "alerts/rules/code-racer.yaml").read_text())
    assert of_kind("production", "PrometheusRule")["spec"] == shipped


def test_the_series_get_the_jobs_that_boards_and_alerts_ask_for() -> None:
    for kind, name in (("ServiceMonitor", "code-racer"), ("PodMonitor", "code-racer-canary")):
        monitor = of_kind("production", kind, name)
        assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/name"
    (endpoint,) = of_kind("production", "PodMonitor", "code-racer-nats")["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": CONFIG["jobs"]["nats"]}]
    (ours,), (composes,) = endpoint["metricRelabelings"], shipped_relabelling()
    assert ours == {
        re.sub(r"_(\w)", lambda match: match[1].upper(), name): value for name, value in composes.items()
    }, "the same, in the operator's spelling"
    wanted = of_kind("production", "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    selected = [one for one in rendered("production") if wanted.items() <= one["metadata"].get("labels", {}).items()]
    assert [one["metadata"]["name"] for one in selected if one["kind"] == "Service"] == ["code-racer-ops"]
    (endpoint,) = of_kind("production", "ServiceMonitor")["spec"]["endpoints"]
    assert int(endpoint["interval"].rstrip("s")) <= settings("production").drain.scrape_wait_s, "one last scrape"


def test_grafana_gets_the_very_boards_that_are_tested() -> None:
    maps = [one for one in rendered("production") if one["metadata"].get("labels", {}).get("grafana_dashboard") == "1"]
    shipped = {name: json.loads(text) for one in maps for name, text in one["data"].items()}
    assert shipped == {name: json.loads(text) for name, text in boards().items()}


# ---------------------------------------------------------------- the pods


def pod(overlay: str) -> dict[str, Any]:
    return dict(of_kind(overlay, "Deployment")["spec"]["template"]["spec"])


def container(overlay: str) -> dict[str, Any]:
    (one,) = pod(overlay)["containers"]
    return dict(one)


def settings(overlay: str) -> Settings:
    """What a pod reads."""
    data = {name.lower(): value for name, value in of_kind(overlay, "ConfigMap")["data"].items()}
    return Settings(_env_file=None, jwt_secret="f00dfeed" * 8 + "1245789ac", **data)  # read like an environment


@BOTH
def test_the_settings_are_usable_and_none_is_unknown(overlay: str) -> None:
    assert set(of_kind(overlay, "ConfigMap")["data"]) <= NAMES - SECRET_NAMES
    assert settings(overlay).ops_port == 9090


def test_every_setting_is_named() -> None:
    text = (KUBERNETES / "base/settings.env").read_text()
    named = set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", text, re.MULTILINE))
    secret = set(re.search(r"Keys of the secret `code-racer`: (.*)\.", text)[1].split(", "))  # type: ignore[index] # it is there
    own = {entry["name"] for entry in container("production")["env"]}
    assert named | secret | own == NAMES
    assert secret == SECRET_NAMES
    made = (KUBERNETES / "make-secrets.sh").read_text()
    assert set(re.findall(r"--from-literal=([A-Z_]+)=", made)) - {"NATS_ADMIN_PASSWORD"} <= SECRET_NAMES


@BOTH
def test_the_probes_ask_endpoints_that_exist_on_a_port_of_their_own(overlay: str) -> None:
    probes = [container(overlay)[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert [probe["path"] for probe in probes] == ["/startupz", "/livez", "/readyz"]
    assert {probe["port"] for probe in probes} == {"ops"}
    own_end_s = container(overlay)["livenessProbe"]["terminationGracePeriodSeconds"]
    pause_s = container(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause_s < own_end_s < pod(overlay)["terminationGracePeriodSeconds"], "who does not answer drains nobody"
    ports = {port["name"]: port["containerPort"] for port in container(overlay)["ports"]}
    assert ports == {"http": settings(overlay).port, "ops": settings(overlay).ops_port}
    service = of_kind(overlay, "Service")
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"], "ops is not for the public"
    source = (ROOT / "app/web/ops.py").read_text()
    assert all(f'"{probe["path"]}"' in source for probe in probes)


@BOTH
def test_a_pod_waits_longer_than_the_longest_drain(overlay: str) -> None:
    pause_s = container(overlay)["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace_s = pod(overlay)["terminationGracePeriodSeconds"]
    assert pause_s + settings(overlay).drain.delay_s >= 5, "load balancers learn that it goes before it does"
    assert grace_s >= pause_s + settings(overlay).drain.longest_s


@BOTH
def test_the_pods_are_locked_down(overlay: str) -> None:
    for one in rendered(overlay):
        if one["kind"] != "Deployment":
            continue
        spec = one["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for each in spec["containers"]:
            context = each["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert each["resources"]["limits"]["memory"]


def test_what_selects_pods_selects_those_of_the_service() -> None:
    labels = of_kind("production", "Deployment")["spec"]["template"]["metadata"]["labels"]
    for kind, path in {
        "PodDisruptionBudget": ("selector", "matchLabels"),
        "NetworkPolicy": ("podSelector", "matchLabels"),
        "Service": ("selector",),
    }.items():
        part = of_kind("production", kind)["spec"]
        for name in path:
            part = part[name]
        assert part.items() <= labels.items(), kind
    scaler = of_kind("production", "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"]["name"] == "code-racer"
    (metric,) = (one["pods"]["metric"]["name"] for one in scaler["metrics"] if one["type"] == "Pods")
    adapter = yaml.safe_load((KUBERNETES / "prometheus-adapter-values.yaml").read_text())
    assert [one["name"]["as"] for one in adapter["rules"]["custom"]] == [metric]
    assert "replicas" not in of_kind("production", "Deployment")["spec"], (
        "an apply would take the autoscaler's number back"
    )


def test_the_canary_gets_to_each_replica() -> None:
    """The name of its example leads to the pods' own addresses and port, and both policies let it through."""
    (told,) = re.findall(r"canary --each (http://\S+) --once.*\n", GUIDE)
    (name, port) = re.findall(r"http://([a-z-]+):(\d+)", told)[0]
    service = of_kind("production", "Service", name)["spec"]
    labels = of_kind("production", "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["clusterIP"] == "None"
    assert "publishNotReadyAddresses" not in service, "who is not ready yet takes no players"
    assert service["selector"].items() <= labels.items()
    assert int(port) == settings("production").port, "an address of a pod has no other"
    canary = of_kind("production", "Deployment", "code-racer-canary")["spec"]["template"]["metadata"]["labels"]
    (rule,) = of_kind("production", "NetworkPolicy", name)["spec"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"].items() <= canary.items()
    assert of_kind("production", "NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    out = of_kind("production", "NetworkPolicy", "code-racer-canary")["spec"]["egress"]
    (to_pods,) = (one for one in out if "to" in one)
    assert to_pods["to"][0]["podSelector"]["matchLabels"].items() <= labels.items()
    assert rule["ports"] == to_pods["ports"] == [{"port": "http"}]


@BOTH
def test_the_console_of_a_replica_asks_the_others_and_nobody_else_comes_to_them(overlay: str) -> None:
    policy = of_kind(overlay, "NetworkPolicy", "code-racer")["spec"]
    labels = of_kind(overlay, "Deployment")["spec"]["template"]["metadata"]["labels"]
    ours = {"podSelector": {"matchLabels": labels}}
    assert {"to": [ours], "ports": [{"port": "ops"}]} in policy["egress"]
    let_in = [rule["from"] for rule in policy["ingress"] if {"port": "ops"} in rule["ports"]]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert let_in == [[monitoring], [ours]]
    made = (KUBERNETES / "make-secrets.sh").read_text()
    assert all(f"--from-literal={name}=" in made for name in ("OPS_TOKEN", "OPS_READ_TOKEN")), "in the secret of all"


# ---------------------------------------------------------------- what changes a pod


def test_a_changed_setting_is_another_template() -> None:
    """So an apply replaces the pods, and a rollback brings back the settings of then."""

    def refers_to(documents: tuple[dict[str, Any], ...]) -> str:
        (deployment,) = (one for one in documents if one["kind"] == "Deployment" and plain_name(one) == "code-racer")
        name = deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
        assert name in {one["metadata"]["name"] for one in documents if one["kind"] == "ConfigMap"}
        return str(name)

    assert refers_to(rendered("production", MAX_CONNECTIONS="10000")) != refers_to(rendered("production"))
    assert refers_to(rendered("production")) == refers_to(rendered("production-ingress"))


def test_what_a_changed_secret_needs_stands_in_the_guide() -> None:
    assert "kubectl -n code-racer rollout restart deployment/code-racer" in GUIDE


def test_the_canary_has_no_key() -> None:
    """It has two tokens, in files of a secret that the script makes, and which follow that secret while it runs."""
    spec = of_kind("production", "Deployment", "code-racer-canary")["spec"]["template"]["spec"]
    (volume,) = spec["volumes"]
    script = (KUBERNETES / "make-canary-tokens.sh").read_text()
    keys = set(re.findall(r"--from-literal=(\w+)=", script))
    assert f"secret generic {volume['secret']['secretName']} " in script
    for one in spec["containers"]:
        assert not {"env", "envFrom"} & one.keys()
        (mount,) = one["volumeMounts"]
        assert "subPath" not in mount, "such a file would stay as it was"
        assert one["args"] == [word for key in sorted(keys) for word in ("--token-file", f"{mount['mountPath']}/{key}")]


def test_the_canary_is_started_as_it_can_be() -> None:
    """One as players come, and one on each replica, whose metrics are both scraped."""
    containers = of_kind("production", "Deployment", "code-racer-canary")["spec"]["template"]["spec"]["containers"]
    helped = subprocess.run([BIN / "code-racer", "canary", "--help"], capture_output=True, text=True, check=True).stdout
    where = {}
    for one in containers:
        words: list[str] = one["command"] + one["args"]
        program, command, *options = words
        assert (program, command) == ("code-racer", "canary")
        assert all(option in helped for option in options if option.startswith("--"))
        (port,) = one["ports"]
        assert options[options.index("--port") + 1] == str(port["containerPort"])
        where[port["name"]] = tuple(options[:2])
    host = of_kind("production-ingress", "Ingress")["spec"]["rules"][0]["host"]
    assert where == {
        "metrics": ("--url", f"https://{host}"),
        "metrics-each": ("--each", "http://code-racer-each:8080"),
    }
    scraped = of_kind("production", "PodMonitor", "code-racer-canary")["spec"]["podMetricsEndpoints"]
    (let_in,) = of_kind("production", "NetworkPolicy", "code-racer-canary")["spec"]["ingress"]
    assert {one["port"] for one in scraped} == {one["port"] for one in let_in["ports"]} == set(where)
    assert f"https://{host}" == settings("production").public_url


def test_the_charts_nats_has_the_shipped_configuration(tmp_path: Path) -> None:
    """The chart cannot be rendered here (no helm): its `merge` parts are what goes into the file, so they are tried."""
    values = yaml.safe_load((KUBERNETES / "nats-values.yaml").read_text())["config"]
    assert values["cluster"] == {"enabled": True, "replicas": 3}
    merged = values["merge"] | {"jetstream": {"store_dir": str(tmp_path), **values["jetstream"]["merge"]}}
    file = tmp_path / "nats.conf"
    text = json.dumps(merged, indent=1)
    file.write_text(re.sub(r'"<< (.*?) >>"', r"\1", text))  # the chart's mark for what is no string
    environment = {"NATS_PASSWORD": "a", "NATS_ADMIN_PASSWORD": "b"}
    done = subprocess.run([NATS_SERVER, "-t", "-c", file], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shipped = (ROOT / "deploy/nats/nats.conf").read_text()
    rights = values["merge"]["accounts"]["RACER"]["users"][0]["permissions"]
    for subject in (*rights["publish"]["allow"], *rights["subscribe"]["allow"]):
        assert f'"{subject}"' in shipped
    assert values["jetstream"]["merge"]["sync_interval"] == "always"


def test_nats_exporters_can_be_asked_and_tell_what_alerts_ask_for() -> None:
    values = yaml.safe_load((KUBERNETES / "nats-values.yaml").read_text())
    exporter = values["promExporter"]
    port = f"-port={exporter['port']}"
    assert exporter["enabled"]
    assert exporter["merge"]["args"] == [port, *OPTIONS, "http://localhost:8222/"]
    policy = of_kind("production", "NetworkPolicy", "code-racer-nats")["spec"]
    (endpoint,) = of_kind("production", "PodMonitor", "code-racer-nats")["spec"]["podMetricsEndpoints"]
    assert policy["podSelector"] == of_kind("production", "PodMonitor", "code-racer-nats")["spec"]["selector"]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert {"from": [monitoring], "ports": [{"port": endpoint["port"]}]} in policy["ingress"]
    ours = of_kind("production", "Deployment")["spec"]["template"]["metadata"]["labels"]
    (service,) = (rule for rule in policy["ingress"] if rule["ports"] == [{"port": 4222}])
    assert service["from"][0]["podSelector"]["matchLabels"].items() <= ours.items()
    assert values["container"]["env"]["GOMEMLIMIT"] == "1700MiB"
    assert values["container"]["merge"]["resources"]["limits"]["memory"] == "2Gi", "and GOMEMLIMIT is under it"
