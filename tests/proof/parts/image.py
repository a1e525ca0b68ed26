"""The image, built by podman on a stand-in of its base, and run as Compose and Kubernetes have it.

The base is Debian's Python (debootstrap) under the name that the Dockerfile asks for.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx
from packaging.utils import canonicalize_name

from tests.proof.containers import BASE, Engine, engine, eventually, lacks, versions
from tests.proof.record import Record
from tools.harness import fetch
from tools.harness.nginx import ThroughProxy
from tools.harness.player import Player
from tools.harness.server import ROOT

IMAGE: Final = "localhost/code-racer:proof"
AT_MOST_BYTES: Final = 110_000_000
DATED: Final = "--timestamp=1767225600"
CONFINED: Final = (
    "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=256m",
    "--oom-score-adj=1000", "--restart=always", "--volume=data:/data", "--publish=127.0.0.1::8080",
)  # fmt: skip
READY_S: Final = 120
CYCLONEDX: Final = "cyclonedx-bom>=7,<8"
# The service is to be the one that the kernel ends, so whoever fills the memory goes without the mark that it has.
FILL: Final = "open('/proc/self/oom_score_adj', 'w').write('0'); kept = [bytes(1_000_000) for _ in iter(int, 1)]"
LICENCES: Final = frozenset(
    {"MIT", "BSD", "Apache", "PSF-2.0", "MPL-2.0", "ISC"}
)  # of each package one of them, by the words of its own metadata
READ_LICENCES: Final = """
import importlib.metadata as m, json
print(json.dumps({d.metadata["Name"]: [
    d.metadata.get("License-Expression") or "", (d.metadata.get("License") or "")[:60],
    *[c.rpartition(":: ")[2] for c in d.metadata.get_all("Classifier") or () if c.startswith("License")]]
    for d in m.distributions()}))
"""


def prove(record: Record) -> None:
    """Build it twice, look into it, and run it: healthy, raced on, killed."""
    if why := lacks():
        record.not_run("the image", why)
        return
    with engine() as one:
        for program in versions(one):
            record.started(*program)
        one.make_base()
        _built(record, one)
        _inside(record, one)
        _confined(record, one)


def _built(record: Record, one: Engine) -> None:
    layers = []
    for _ in range(2):
        one.build(ROOT / "deploy/Dockerfile", IMAGE, ROOT, "--no-cache", DATED)
        layers.append(one.layers(IMAGE))
    ours = one.bytes_on_top(IMAGE, BASE)
    record.asked(
        "what is ours in the image, on top of its base?",
        f"{ours / 1e6:.0f} MB, at most 110",
        held=ours <= AT_MOST_BYTES,
    )
    same = layers[0] == layers[1]
    said = f"{layers[1][-1][:19]}…, the same" if same else f"{layers[0]} and {layers[1]}"
    record.asked("built twice without a cache, what are the digests of its layers?", said, held=same)


def _inside(record: Record, one: Engine) -> None:
    """What is installed, by its own metadata; nothing that installs or tests."""
    run = ("run", "--rm", "--network=none", "--no-healthcheck", IMAGE)
    found: dict[str, list[str]] = json.loads(one.run(*run, "python", "-c", READ_LICENCES))
    odd = {name: words for name, words in found.items() if not _is_free(words)}
    record.asked(
        f"under which licences are the {len(found)} packages inside?",
        f"MIT, BSD, Apache, PSF, ISC or MPL, each of them{f'; but {odd}' if odd else ''}",
        held=not odd,
    )
    _listed(record, set(found))
    files = one.run(*run, "find", "/opt/code-racer", "-name", "*.pyc", "-o", "-name", "pip", "-o", "-name", "pytest")
    record.asked("is there a pip, a pytest or a .pyc in it?", files.strip() or "no", held=not files.strip())


def _listed(record: Record, inside: set[str]) -> None:
    """A bill of materials, by the tool that makes them of a lock, has what the image has, and the hashes of it."""
    uv = str(Path(sys.executable).with_name("uv"))
    tool = [uv, "tool", "run", "--from", CYCLONEDX, "cyclonedx-py", "requirements", "deploy/requirements.lock"]
    done = subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, timeout=READY_S, check=False)
    parts = json.loads(done.stdout)["components"] if done.returncode == 0 else []
    named = {canonicalize_name(part["name"]) for part in parts if part["version"] and "SHA-256" in str(part)}
    other = named ^ {canonicalize_name(name) for name in inside - {"code-racer"}}
    record.asked(
        f"is what is inside what a bill of materials of the lock has ({CYCLONEDX})?",
        f"not {sorted(other)} {done.stderr[-300:]}" if other else f"yes, {len(named)} packages, each with its hashes",
        held=not other,
    )


def _is_free(words: list[str]) -> bool:
    return any(licence in word for word in words for licence in LICENCES)


def _confined(record: Record, one: Engine) -> None:
    secret = secrets.token_hex(32)
    one.run("run", "--detach", "--name=racer", *CONFINED, f"--env=JWT_SECRET={secret}", "--env=GUESTS=true", IMAGE)
    # Podman's own timer for it is systemd's: the check is run here, what it says is podman's.
    eventually(lambda: "unhealthy" not in one.run("healthcheck", "run", "racer", fails=True), READY_S)
    health = _health(one)
    record.asked("what does its HEALTHCHECK come to, in 256 MB?", health, held=health == "healthy")
    status = one.run("exec", "racer", "cat", "/proc/1/status")
    of = {line.partition(":")[0]: line.split()[1:] for line in status.splitlines()}
    held = (of["Uid"][0], of["Gid"][0], int(of["CapEff"][0], 16), int(of["CapBnd"][0], 16), of["NoNewPrivs"][0])
    record.asked(
        "user, group, capabilities (effective, bounding) and no-new-privileges of its first process?",
        ", ".join(map(str, held)),
        held=held == ("10001", "10001", 0, 0, "1"),
    )
    refused = one.run("exec", "--user=0", "racer", "touch", "/opt/code-racer/x", fails=True)
    record.asked("can root write beside its program?", refused.strip()[-60:], held="Read-only file system" in refused)
    _raced(record, one)
    _killed(record, one)


def _health(one: Engine) -> str:
    state = one.inspect("racer")["State"]
    return str((state.get("Healthcheck") or state.get("Health"))["Status"])


def _url(one: Engine) -> str:
    return f"http://{one.run('port', 'racer', '8080').strip()}"


def _raced(record: Record, one: Engine) -> None:
    bots = [sys.executable, "-m", "app.client", "--quiet", "--players=8", f"--url={_url(one)}"]
    done = subprocess.run(bots, cwd=ROOT, capture_output=True, text=True, timeout=READY_S, check=False)
    record.asked("do eight bots race on it to the end?", (done.stdout or done.stderr).strip(), held=not done.returncode)


def _killed(record: Record, one: Engine) -> None:
    """A player knows what she was told; the memory is filled; she is told the same again."""
    url = _url(one)
    ann = fetch.post(f"{url}/api/guests", json={"name": "ann"}).json()
    headers = {"authorization": f"Bearer {ann['token']}"}
    game = fetch.post(f"{url}/api/games", json={"min_players": 2}, headers=headers).json()["game_id"]
    before = _told(url, game, ann["token"], ready=True)
    began = one.inspect("racer")["State"]["StartedAt"]
    one.run("exec", "--user=0", "--privileged", "racer", "python", "-c", FILL, fails=True)
    how = "its memory was filled"
    if not eventually(lambda: _began_again(one, began), 10):
        how = "SIGKILL, as this machine's cgroup ends nobody for its memory"
        os.kill(one.inspect("racer")["State"]["Pid"], signal.SIGKILL)  # by podman it would be somebody's wish
    back = eventually(lambda: _began_again(one, began) and _is_ready(_url(one)), READY_S)
    after = _told(_url(one), game, ann["token"], ready=False) if back else []
    record.asked(
        f"killed ({how}), does it come back with all that a player was told?",
        f"{len(before)} events before, {len(after)} after, the same",
        held=len(before) > 1 and after[: len(before)] == before,
    )


def _began_again(one: Engine, before: str) -> bool:
    state = one.inspect("racer")["State"]
    return bool(state["Running"] and state["StartedAt"] != before)


def _is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return fetch.get(url).is_success
    return False


def _told(url: str, game: str, token: str, *, ready: bool) -> list[Any]:
    """The events of the game, from its beginning, that its player is told."""
    through = ThroughProxy(int(url.rpartition(":")[2]))
    with Player(through, game, token, "?last_seq=0") as player:  # type: ignore[arg-type] # as much of a server as a player needs
        if ready:
            player.send("ready")
        player.until("player_ready")
        return player.events
