"""The Autobahn suite against both transports: `make autobahn`. docs/wire.md says how to get its client, `wstest`."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.*", "13.*"]
LIMIT_S = 1_800


def failures(index: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """The cases of the suite's `index.json` that were not passed, in words; its exit code is 0 whatever it finds."""
    return [
        f"{agent} {case}: {result['behavior']}, closing {result['behaviorClose']}"
        for agent, cases in index.items()
        for case, result in cases.items()
        if result["behavior"] not in GOOD or result["behaviorClose"] not in GOOD
    ]


def run(client: str, kind: str, folder: Path) -> dict[str, Any]:
    """Run all cases against one transport; the suite's index."""
    command = [sys.executable, "-m", "tests.wire.echo", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as echo:
        try:
            assert echo.stdout is not None
            port = int(echo.stdout.readline())
            spec = {
                "outdir": str(folder),
                "servers": [{"agent": kind, "url": f"ws://127.0.0.1:{port}"}],
                "cases": CASES,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
            path = folder / "fuzzingclient.json"
            path.write_text(json.dumps(spec))
            subprocess.run([client, "-m", "fuzzingclient", "-s", str(path)], check=True, timeout=LIMIT_S)
        finally:
            echo.terminate()
    return dict(json.loads((folder / "index.json").read_text()))


def main() -> None:
    """Both transports, or say what is missing."""
    client = shutil.which("wstest")
    if client is None:
        raise SystemExit(
            "the Autobahn suite's client, wstest, is not on the PATH: it wants Python 2.7, which Debian 12 and later\n"
            "do not have; docs/wire.md says how to make it where there is one. Nothing was tested."
        )
    found = []
    for kind in ("lean", "uvicorn"):
        with tempfile.TemporaryDirectory() as folder:
            index = run(client, kind, Path(folder))
        print(f"{kind}: {len(index[kind])} cases")  # noqa: T201 - a program for people
        found += failures(index)
    raise SystemExit("\n".join(found) or 0)


if __name__ == "__main__":
    main()
