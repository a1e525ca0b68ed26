"""Run attacks: ``python -m tests.attack [PART OF AN ID …]``; by default all, on every transport each concerns.

Prints a line for each and ends with 1 when somebody was hurt. `--code` is where the server's code is (another
checkout), `--json` where the figures go; tests/attack/report.py makes a table of two such files.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.attack.measure import TRIES, Run, measured
from tests.attack.model import Attack, Result
from tests.attack.stage import Helper, helper
from tests.attack.table import ATTACKS
from tools.harness.server import ROOT


def runs(attacks: Sequence[Attack], transports: Sequence[str]) -> Iterator[tuple[Attack, str]]:
    """Each attack on the transports it concerns, of those wanted."""
    for attack in attacks:
        for transport in attack.transports:
            if transport in transports:
                yield attack, transport


def run_one(attack: Attack, transport: str, code: Path, sink: int, known: dict[str, float], tries: int) -> Result:
    """One attack on one transport, in a folder of its own; `known` is what was just measured with the sink."""
    folder = Path(tempfile.mkdtemp(prefix="attack-"))
    run = Run(attack, transport, code, folder, sink, known)
    try:
        return measured(run, tries)
    except Exception as error:  # noqa: BLE001 - the others are run all the same
        traceback.print_exc()
        run.fail(f"it could not be carried out: {type(error).__name__}: {error}")
        return run.result
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sink_of(one: Helper) -> int:
    """Its port."""
    return int(one.told())


def _line(result: Result, took_s: float) -> str:
    worst = max(result.p99_s.items(), key=lambda item: item[1], default=("", 0.0))
    said = "; ".join(result.failures) or "green"
    grown, sent = result.grown_bytes / 2**20, result.sent_bytes / 2**20
    figures = f"{worst[0]} {worst[1] * 1000:.0f} ms, +{grown:.0f} MiB, {sent:.1f} MiB sent, {result.seen}"
    return f"{result.id} ({result.transport}): {said} [{figures}; {took_s:.1f} s]"


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="parts of ids; all by default")
    parser.add_argument("--code", type=Path, default=ROOT, help="the checkout whose server is attacked")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--transport", action="append", help="lean or uvicorn; both by default")
    parser.add_argument("--tries", type=int, default=TRIES, help="how often one that is only slow is measured")
    parser.add_argument("--list", action="store_true", help="only list them")
    arguments = parser.parse_args()
    parts = arguments.parts
    chosen = [one for one in ATTACKS if not parts or any(part in one.id for part in parts)]
    todo = list(runs(chosen, arguments.transport or ("lean", "uvicorn")))
    if arguments.list:
        print("\n".join(f"{attack.id} {transport}" for attack, transport in todo))  # noqa: T201 - a command's answer
        return 0
    results: list[Any] = []
    hurt = 0
    with helper("tests.attack.sink") as sink:
        port = sink_of(sink)
        last: tuple[str, dict[str, float]] = ("", {})
        for attack, transport in todo:
            began = time.monotonic()
            known = last[1] if last[0] == attack.id else {}
            result = run_one(attack, transport, arguments.code.resolve(), port, known, arguments.tries)
            last = (attack.id, result.sink_p99_s)
            hurt += not result.is_green
            results.append(result.document())
            print(_line(result, time.monotonic() - began), flush=True)  # noqa: T201 - a command's answer
            if arguments.json:
                arguments.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(f"{hurt} of {len(results)} hurt somebody")  # noqa: T201 - a command's answer
    return 1 if hurt else 0


if __name__ == "__main__":
    sys.exit(main())
