"""What players come through in Kubernetes, Gateway or Ingress: the same as nginx's site says."""

import json
import re
from typing import Any

import pytest
import yaml

from app.settings import Settings
from app.web import pages
from tools.harness.kustomize import KUBERNETES, OVERLAYS, of_kind
from tools.harness.server import ROOT

SITE = (ROOT / "deploy/nginx/code-racer.conf").read_text()
EACH = Settings.model_fields["max_connections"].default
"""Connections that a replica takes."""
WAYS_IN = tuple(overlay for overlay in OVERLAYS if overlay.startswith("production"))
PATHS = {("/", "Exact"), ("/ws", "Prefix"), ("/api", "Prefix"), ("/schema", "Prefix")}
PATHS |= {(f"/{name}", "Exact") for name in pages.served()}


def test_the_ingress_says_what_the_site_says() -> None:
    notes = of_kind("production-ingress", "Ingress")["metadata"]["annotations"]
    prefix = "nginx.ingress.kubernetes.io/"
    for name in ("proxy-next-upstream", "proxy-next-upstream-tries", "proxy-buffering"):
        assert f"{name.replace('-', '_')} {notes[prefix + name]};" in SITE, name
    for name in ("proxy-read-timeout", "proxy-send-timeout", "proxy-connect-timeout", "proxy-next-upstream-timeout"):
        assert f"{name.replace('-', '_')} {notes[prefix + name]}s;" in SITE, name
    assert f"limit_conn code_racer_connections {notes[prefix + 'limit-connections']};" in SITE
    assert "$uri" in notes[f"{prefix}upstream-hash-by"]
    (rule,) = of_kind("production-ingress", "Ingress")["spec"]["rules"]
    assert {(one["path"], one["pathType"]) for one in rule["http"]["paths"]} == PATHS


def test_the_gateway_says_what_the_site_says() -> None:
    def route(name: str) -> list[dict[str, Any]]:
        spec = of_kind("production", "HTTPRoute", name)["spec"]
        assert spec["parentRefs"] == [{"name": "code-racer", "sectionName": "https"}]
        return list(spec["rules"])

    rules = [*route("code-racer-ws"), *route("code-racer")]
    found = [
        (one["path"]["value"], one["path"]["type"].removeprefix("Path")) for rule in rules for one in rule["matches"]
    ]
    assert (len(found), set(found)) == (len(PATHS), PATHS)
    timeouts = {rule["matches"][0]["path"]["value"]: rule["timeouts"]["request"] for rule in rules}
    assert timeouts == {"/ws": "0s", "/api": "60s", "/": "60s"}, "a WebSocket lasts as long as it likes"
    assert "proxy_read_timeout 60s;" in SITE
    services = {(one["name"], one["port"]) for rule in rules for one in rule["backendRefs"]}
    assert services == {("code-racer", of_kind("production", "Service")["spec"]["ports"][0]["port"])}
    hosts = {one["hostname"] for one in of_kind("production", "Gateway")["spec"]["listeners"]}
    assert [f"https://{host}" for host in hosts] == [of_kind("production", "ConfigMap")["data"]["PUBLIC_URL"]]
    secured = [rule for rule in rules if "filters" in rule]
    value = secured[0]["filters"][0]["responseHeaderModifier"]["set"][0]["value"]
    assert (len(secured), f'"{value}"' in SITE) == (2, True)


def test_envoy_brings_the_players_of_a_game_together_and_logs_no_query() -> None:
    front = of_kind("production-envoy", "ClientTrafficPolicy")["spec"]
    (header,) = front["headers"]["earlyRequestHeaders"]["set"]
    assert header["value"] == "%PATH(NQ:PATH)%", "a token in a query would bring each player elsewhere"
    back = of_kind("production-envoy", "BackendTrafficPolicy", "code-racer-ws")["spec"]
    assert back["loadBalancer"]["consistentHash"] == {"type": "Headers", "headers": [{"name": header["name"]}]}
    assert f"proxy_connect_timeout {back['timeout']['tcp']['connectTimeout']};" in SITE
    assert f"proxy_next_upstream_tries {1 + back['retry']['numRetries']};" in SITE
    most = of_kind("production", "HorizontalPodAutoscaler")["spec"]["maxReplicas"] * EACH
    assert back["circuitBreaker"]["maxConnections"] >= most, "one proxy alone may carry all"
    other = of_kind("production-envoy", "BackendTrafficPolicy")["spec"]["retry"]["retryOn"]
    assert other == {"triggers": ["connect-failure"]}, "a POST is sent once"
    (log,) = of_kind("production-envoy", "EnvoyProxy")["spec"]["telemetry"]["accessLog"]["settings"]
    operators = set(re.findall(r"%(\w+(?:\([^)]*\))?)", " ".join(log["format"]["json"].values())))
    assert not [one for one in operators if re.match(r"(REQ|PATH|QUERY)", one) and one != "REQ(:METHOD)"]
    gateway = of_kind("production-envoy", "Gateway")["spec"]
    assert (
        gateway["infrastructure"]["parametersRef"]["name"]
        == of_kind("production-envoy", "EnvoyProxy")["metadata"]["name"]
    )
    assert gateway["listeners"] == of_kind("production", "Gateway")["spec"]["listeners"]


@pytest.mark.parametrize("overlay", WAYS_IN)
def test_players_come_to_the_http_port_alone(overlay: str) -> None:
    policy = of_kind(overlay, "NetworkPolicy", "code-racer-door")["spec"]
    assert policy["podSelector"] == of_kind(overlay, "NetworkPolicy")["spec"]["podSelector"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": "http"}]


def test_the_controllers_logs_hold_no_query() -> None:
    """What nginx offers that has one: request, uri of the request, arguments, referrer, any header."""
    config = yaml.safe_load((KUBERNETES / "ingress-nginx-values.yaml").read_text())["controller"]["config"]
    assert config["error-log-level"] == "emerg", "any other may quote a request line"
    names = set(re.findall(r"\$(\w+)", config["log-format-upstream"]))
    assert names >= {"status", "limit_req_status", "upstream_status"}
    assert not [
        name for name in names if re.match(r"request(_uri)?$|uri|args|query|arg_|http_|cookie_|sent_http", name)
    ]
    assert set(json.loads(config["log-format-upstream"])) >= {"time", "status"}
