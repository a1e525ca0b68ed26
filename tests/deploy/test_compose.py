"""The Compose file and all that it mounts: no engine runs here, so each is held to its schema and its own program.

Loki, Tempo and Grafana are not to be had here: their files are parsed, and what they and the Compose file say
of each other is compared. The collector's is run with a real one by `make conformance` (tests/proof).
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from alerts.config import CONFIG
from app.arguments import wanted_workers
from app.settings import Settings
from app.supervisor import require_supervisable
from tools.harness.nats import NATS_SERVER
from tools.harness.nats_exporter import OPTIONS
from tools.harness.nginx import Site
from tools.harness.server import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CONFIGS = {path.stem: path for path in DEPLOY.glob("compose/*.yaml")}
IN_THEIR_REFERENCES = {
    "loki": {
        "auth_enabled", "server.http_listen_port", "common.path_prefix", "common.replication_factor",
        "common.ring.kvstore.store", "common.storage.filesystem.chunks_directory",
        "common.storage.filesystem.rules_directory", "schema_config.configs.from", "schema_config.configs.store",
        "schema_config.configs.object_store", "schema_config.configs.schema", "schema_config.configs.index.prefix",
        "schema_config.configs.index.period", "limits_config.retention_period", "compactor.working_directory",
        "compactor.retention_enabled", "compactor.delete_request_store",
    },
    "tempo": {
        "server.http_listen_port", "distributor.receivers.otlp.protocols.grpc.endpoint", "storage.trace.backend",
        "storage.trace.local.path", "storage.trace.wal.path", "compactor.compaction.block_retention",
    },
}  # fmt: skip
"""What their published references have of what is written here; neither has a schema, and a name that it does not
know keeps it from starting. Loki takes OTLP where the schema is v13 and the store tsdb."""
HOSTS = re.compile(r"(?<![\w.-])([a-z][a-z0-9-]*):(\d{4,5})\b")


def test_it_is_a_compose_file() -> None:
    """By a parser of the Compose specification that knows every field (compose-spec, from PyPI)."""
    PyCompose.from_json(json.dumps(COMPOSE)).validate()
    for field, value in {"port": ["80:80"], "ports": ["eighty"]}.items():
        broken = json.loads(json.dumps(COMPOSE))
        broken["services"]["nginx"][field] = value
        with pytest.raises(ValueError, match="port"):
            PyCompose.from_json(json.dumps(broken))


def test_who_is_waited_for_is_there() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)


def test_every_image_is_pinned() -> None:
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(-[\w.]+)?", service["image"]), name


def test_what_is_mounted_is_there() -> None:
    made = {"./compose/tls/tls.crt", "./compose/tls/tls.key", "./compose/tls/ca.crt"}  # by make compose-env
    for name, service in SERVICES.items():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert source in made or (DEPLOY / source).exists(), f"{name}: {source}"
                assert mount.endswith(":ro"), f"{name} may not write {source}"
            elif not source.startswith("/"):
                assert source in COMPOSE["volumes"]
    assert set(COMPOSE["volumes"]) <= {
        mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", ())
    }


def test_the_racers_settings_are_usable_and_two_of_a_kind() -> None:
    ours = [service["environment"] for name, service in SERVICES.items() if name.startswith("racer")]
    assert len(ours) == 2
    for environment in ours:
        assert set(environment) <= {name.upper() for name in Settings.model_fields}
        made = {
            key: re.sub(r"\$\{\w+:\?.*\}", hashlib.sha256(key.encode()).hexdigest(), value)
            for key, value in environment.items()
        }
        filled = {key.lower(): re.sub(r"\$\{\w+:-(\w+)\}", r"\1", value) for key, value in made.items()}
        settings = Settings(_env_file=None, environment="production", **filled)  # type: ignore[arg-type] # read like an environment
        assert settings.guests_enabled
        assert wanted_workers(None, settings)[1] == 1
        require_supervisable(settings.model_copy(update={"ops_port": 9090}), 4, "WORKERS")  # the image's
        for service in SERVICES.values():
            if "REPLICA" in service.get("environment", {}):
                assert int(service["stop_grace_period"].rstrip("s")) > settings.drain.longest_s
                assert service["read_only"] is True


def test_only_the_game_is_public() -> None:
    public = {port for service in SERVICES.values() for port in service.get("ports", ())}
    assert public == {"80:80", "443:443", "127.0.0.1:3000:3000"}


def test_who_is_named_is_there_and_listens() -> None:
    """Every host and port that a configuration names is a service's, and the port is one that it listens on."""
    listens = {
        "racer-1": {8080, 9090}, "racer-2": {8080, 9090}, "canary": {9091}, "alertmanager": {9093},
        "prometheus": {9090},
        "loki": {3100}, "tempo": {3200, 4317}, "otel-collector": {4317, 4318}, "nats-0": {4222, 6222, 7777},
        "nats-1": {4222, 6222, 7777}, "nats-2": {4222, 6222, 7777},
    }  # fmt: skip
    for name in ("loki", "tempo"):
        assert str(yaml.safe_load(CONFIGS[name].read_text())["server"]["http_listen_port"]) in str(listens[name])
    texts = [path.read_text() for path in DEPLOY.glob("compose/**/*") if path.is_file() and "tls" not in path.parts]
    texts += [(DEPLOY / "nginx/compose.conf").read_text(), (DEPLOY / "nats/nats.conf").read_text()]
    texts += [json.dumps(service.get("environment", {})) for service in SERVICES.values()]
    named = {(host, int(port)) for text in texts for host, port in HOSTS.findall(text)}
    assert len(named) > 15
    for host, port in named:
        assert host in SERVICES, host
        assert port in listens[host], (host, port)


def test_prometheus_and_alertmanager_accept_theirs(tmp_path: Path) -> None:
    config = CONFIGS["prometheus"].read_text().replace("/etc/prometheus/rules", str(ROOT / "alerts/rules"))
    known = re.sub(
        r"^ *(always_scrape_classic|scrape_native)_histograms: .*\n", "", config, flags=re.MULTILINE
    )  # not to 2.x
    (tmp_path / "prometheus.yaml").write_text(known)
    for command in (
        ["promtool", "check", "config", str(tmp_path / "prometheus.yaml")],
        ["amtool", "check-config", str(ROOT / "alerts/alertmanager.yaml")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (
        "rules found"
        in subprocess.run(
            ["promtool", "check", "config", str(tmp_path / "prometheus.yaml")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    jobs = {one["job_name"]: one for one in yaml.safe_load(config)["scrape_configs"]}
    assert set(jobs) == set(CONFIG["jobs"].values()), "boards and alerts ask for them"
    for one in jobs.values():
        relabelled = {rule["target_label"]: rule["replacement"] for rule in one.get("relabel_configs", ())}
        assert all(
            (static["labels"] | relabelled)["namespace"] == "compose"
            for static in one.get("static_configs", [{"labels": {}}])
        ), "NATS's page silences the service's"


def test_prometheus_asks_each_racer_whom_to_scrape_so_that_workers_may_change() -> None:
    jobs = {one["job_name"]: one for one in yaml.safe_load(CONFIGS["prometheus"].read_text())["scrape_configs"]}
    racers = [name for name in SERVICES if name.startswith("racer")]
    for job, path in (("service", "/sd"), ("supervisor", "/sd/supervisor")):
        asked = [one["url"] for one in jobs[CONFIG["jobs"][job]]["http_sd_configs"]]
        assert asked == [f"http://{name}:9090{path}" for name in racers]


def test_each_server_of_nats_has_its_exporter_where_prometheus_asks() -> None:
    """It is in its server's network, which tells itself alone (`http`), and listens on the exporter's own port."""
    scraped = yaml.safe_load(CONFIGS["prometheus"].read_text())["scrape_configs"]
    (job,) = (one for one in scraped if one["job_name"] == "code-racer-nats")
    (static,) = job["static_configs"]
    servers = [name for name in SERVICES if re.fullmatch(r"nats-\d", name)]
    assert static["targets"] == [f"{name}:7777" for name in servers]
    (monitor,) = re.findall(r"^http: (\S+)", (DEPLOY / "nats/nats.conf").read_text(), re.MULTILINE)
    exporters = [SERVICES[name.replace("nats", "nats-exporter")] for name in servers]
    assert [one["network_mode"] for one in exporters] == [f"service:{name}" for name in servers]
    for one in exporters:
        assert one["command"] == [*OPTIONS, f"http://{monitor}"]


def test_prometheus_keeps_the_classic_histograms_that_rules_ask_for_beside_native_ones() -> None:
    """Prometheus takes the native ones alone unless it is told otherwise; 3.9 and newer know these names for both."""
    (job,) = (
        one
        for one in yaml.safe_load(CONFIGS["prometheus"].read_text())["scrape_configs"]
        if one["job_name"] == "code-racer"
    )
    assert SERVICES["racer-1"]["environment"]["METRICS_NATIVE_HISTOGRAMS"] == "true"
    major, minor = re.match(r"prom/prometheus:v(\d+)\.(\d+)", SERVICES["prometheus"]["image"]).groups()  # type: ignore[union-attr] # it is pinned
    assert (int(major), int(minor)) >= (3, 9)
    assert job["scrape_native_histograms"] is True
    assert job["always_scrape_classic_histograms"] is True


def test_nginx_accepts_the_site_with_the_racers_of_compose(tmp_path: Path) -> None:
    lines = (DEPLOY / "nginx/compose.conf").read_text()
    racers = re.findall(r"^server (\S+) max_fails=0;$", lines, re.MULTILINE)
    assert racers == ["racer-1:8080", "racer-2:8080"]
    with Site(
        tmp_path, [one.replace("racer-1", "127.0.0.1").replace("racer-2", "127.0.0.1") for one in racers]
    ) as site:
        assert site.workers


@pytest.mark.parametrize("number", [0, 1, 2])
def test_nats_accepts_its_own(number: int) -> None:
    name = f"nats-{number}"
    environment = SERVICES[name]["environment"]
    assert environment["SERVER_NAME"] == name
    filled = {key: re.sub(r"\$\{\w+:\?.*\}", "x", value) for key, value in environment.items()}
    done = subprocess.run(
        [NATS_SERVER, "-t", "-c", DEPLOY / "nats/nats.conf"],
        env=os.environ | filled, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_grafana_gets_the_data_sources_and_the_boards() -> None:
    sources = yaml.safe_load((DEPLOY / "compose/grafana/datasources/datasources.yaml").read_text())["datasources"]
    types = {one["type"]: one for one in sources}
    wanted = {
        variable["query"]
        for path in ROOT.glob("dashboards/*.json")
        for variable in json.loads(path.read_text())["templating"]["list"]
        if variable["type"] == "datasource"
    }
    assert wanted <= set(types)
    uids = {one["uid"] for one in sources}
    assert {types["prometheus"]["jsonData"]["exemplarTraceIdDestinations"][0]["datasourceUid"]} <= uids
    assert {field["datasourceUid"] for field in types["loki"]["jsonData"]["derivedFields"]} <= uids
    provider = yaml.safe_load((DEPLOY / "compose/grafana/dashboards/dashboards.yaml").read_text())["providers"][0]
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
    assert mounts["../dashboards"] == provider["options"]["path"]


def mounted(service: str, volume: str) -> str:
    """Where a service has a volume."""
    return str(dict(mount.split(":")[:2] for mount in SERVICES[service]["volumes"])[volume])


def test_the_collector_reads_the_logs_that_the_racers_write_with_the_label_that_the_boards_ask_for() -> None:
    reader = yaml.safe_load(CONFIGS["otel-collector"].read_text())["receivers"]["file_log"]
    assert reader["resource"]["service.name"] == "code-racer"
    files = [SERVICES[name]["environment"]["LOG_FILE"] for name in ("racer-1", "racer-2")]
    assert len(set(files)) == len(files), "each has its own"
    for file in files:
        assert Path(file).parent == Path(mounted("racer-1", "logs"))
        for written in (file, f"{file}.1"):
            read = f"{mounted('otel-collector', 'logs')}/{Path(written).name}"
            assert any(fnmatch(read, pattern) for pattern in reader["include"]), read


def test_nobody_has_the_engines_socket() -> None:
    assert ".sock" not in (DEPLOY / "compose.yaml").read_text()


def test_nginx_alone_is_trusted_and_what_it_asks_has_addresses_that_stay() -> None:
    """Nginx resolves the racers' names once, when it starts; one that is made anew is found at the same address."""
    (config,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    subnet, given = ip_network(config["subnet"]), ip_network(config["ip_range"])
    fixed = {
        name: ip_address(one["networks"]["default"]["ipv4_address"])
        for name, one in SERVICES.items()
        if "networks" in one
    }
    assert set(fixed) == {"nginx", "racer-1", "racer-2"}
    assert all(one in subnet and one not in given for one in fixed.values())
    assert len(set(fixed.values())) == len(fixed)
    assert given.subnet_of(subnet)  # type: ignore[arg-type] # both are of IPv4
    for name in ("racer-1", "racer-2"):
        assert SERVICES[name]["environment"]["TRUSTED_PROXIES"] == str(fixed["nginx"])


@pytest.mark.parametrize("name", IN_THEIR_REFERENCES)
def test_loki_and_tempo_are_told_what_their_references_have(name: str) -> None:
    assert set(_paths(yaml.safe_load(CONFIGS[name].read_text()))) == IN_THEIR_REFERENCES[name]
    if name == "loki":
        (schema,) = yaml.safe_load(CONFIGS[name].read_text())["schema_config"]["configs"]
        assert (schema["store"], schema["schema"]) == ("tsdb", "v13")


def _paths(config: Any) -> Iterator[str]:
    """Name all that is set, in each item of a list alike."""
    for one in config if isinstance(config, list) else [config]:
        for key, value in one.items():
            inner = _paths(value) if isinstance(value, (dict, list)) else [""]
            yield from (f"{key}.{rest}".rstrip(".") for rest in inner)


def test_the_collector_hands_on_what_it_takes() -> None:
    collector = yaml.safe_load(CONFIGS["otel-collector"].read_text())
    for pipeline in collector["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(collector[part])
    assert set(collector["receivers"]) == {"otlp", "file_log"}
    assert set(collector["service"]["extensions"]) == set(collector["extensions"])


def test_secrets_are_made_and_stay_private(tmp_path: Path) -> None:
    for name in ("make-compose-env.sh", "make-tls.sh"):
        shutil.copy(DEPLOY / name, tmp_path / name)
    for _ in range(2):
        subprocess.run([tmp_path / "make-compose-env.sh"], check=True, capture_output=True)
        text = (tmp_path / ".env").read_text()
    assert subprocess.run([tmp_path / "make-compose-env.sh"], check=True, capture_output=True).returncode == 0
    assert (tmp_path / ".env").read_text() == text, "made once"
    (tmp_path / ".env").write_text(text.replace("OPS_TOKEN=", "OTHER="))
    subprocess.run([tmp_path / "make-compose-env.sh"], check=True, capture_output=True)
    assert len(re.findall(r"^OPS_TOKEN=[0-9a-f]{64}$", (tmp_path / ".env").read_text(), re.MULTILINE)) == 1
    assert (tmp_path / ".env").read_text().startswith(text.replace("OPS_TOKEN=", "OTHER=")), "all others stay"
    made = dict(line.split("=", 1) for line in text.splitlines())
    needed = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    assert set(made) == needed
    assert len(set(made.values())) == len(made)
    assert all(len(value) >= 64 for value in made.values())
    for private in (".env", "compose/tls/tls.key"):
        assert (tmp_path / private).stat().st_mode & 0o077 == 0
    verify = ["openssl", "verify", "-CAfile", "compose/tls/ca.crt", "compose/tls/tls.crt"]
    assert subprocess.run(verify, cwd=tmp_path, check=True, capture_output=True).returncode == 0
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/.env", "deploy/compose/tls/tls.key"], cwd=ROOT, capture_output=True, check=False
    )
    assert ignored.returncode == 0
