"""The systemd unit: systemd's own programs accept it, and it is true to the service."""

import re
import subprocess
from pathlib import Path

from app.settings import Settings, load_settings

UNIT = Path(__file__).parents[2] / "deploy/systemd/code-racer@.service"
MOST_EXPOSED = 20
"""Of 100, as systemd-analyze counts: what of the machine a service could still reach."""


def checked(tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A check of the unit as an instance; the program it starts is not installed here."""
    unit = tmp_path / "code-racer@8081.service"
    unit.write_text(UNIT.read_text().replace("/opt/code-racer/bin/code-racer serve", "/bin/true"))
    return subprocess.run(["systemd-analyze", *command, unit], capture_output=True, text=True, check=False)


def test_systemd_accepts_it(tmp_path: Path) -> None:
    done = checked(tmp_path, "verify", "--man=no", "--recursive-errors=no")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_can_reach_little_of_the_machine(tmp_path: Path) -> None:
    done = checked(tmp_path, "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}")
    assert done.returncode == 0, done.stdout


def test_it_waits_longer_than_the_longest_drain() -> None:
    (timeout_s,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    settings = Settings(
        _env_file=None, environment="production", jwt_secret="f00dfeed" * 8 + "1245789ac"
    )  # read like an environment
    assert settings.drain.delay_s > 0
    assert int(timeout_s) > settings.drain.longest_s


def test_an_instance_has_a_port_of_its_own_for_probes_and_metrics() -> None:
    ports = dict(re.findall(r"^Environment=(PORT|OPS_PORT)=(.+)$", UNIT.read_text(), re.MULTILINE))
    for instance in ("8081", "8082"):
        settings = load_settings(**{name.lower(): value.replace("%i", instance) for name, value in ports.items()})
        assert (settings.port, settings.ops_port) == (int(instance), 10_000 + int(instance))


def test_its_environment_holds_only_settings_that_exist() -> None:
    names = re.findall(r"^Environment=([A-Z_]+)=", UNIT.read_text(), re.MULTILINE)
    assert set(names) <= {name.upper() for name in Settings.model_fields}
