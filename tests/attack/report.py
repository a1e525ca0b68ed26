"""The table of docs/hardening.md: ``python -m tests.attack.report BEFORE.json AFTER.json [--write PAGE]``."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.attack.model import Attack, Place
from tests.attack.table import ATTACKS

_HEADS: Final = ("input", "what", "item", "sends", "on 2d84426", "now")
_SHOWN: Final = 3
MARK: Final = "<!-- figures -->"
Document = dict[str, Any]


def table(before: Sequence[Document], after: Sequence[Document]) -> str:
    """Markdown: a row for each attack and transport that both runs have."""
    was = {(one["id"], one["transport"]): one for one in before}
    rows = [_HEADS, tuple("---" for _ in _HEADS)]
    attacks = {attack.id: attack for attack in ATTACKS}
    for one in after:
        old = was.get((one["id"], one["transport"]))
        rows.append(_row(attacks[one["id"]], one["transport"], old, one))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _row(attack: Attack, transport: str, before: Document | None, after: Document) -> tuple[str, ...]:
    name = attack.id if transport == "lean" else f"{attack.id} ({transport})"
    return (
        name,
        attack.what,
        str(attack.item),
        _sends(attack),
        "not run" if before is None else _said(before),
        _said(after),
    )


def _sends(attack: Attack) -> str:
    """Its bounds."""
    opened = f" ({attack.most_opened} in all)" if attack.most_opened > attack.connections else ""
    rate = f"{attack.per_second:g} a second each" if attack.per_second else "as fast as taken"
    most = attack.most_bytes / 2**20
    place = "" if attack.place is Place.MAIN else f", {attack.place}"
    return f"{attack.connections} connections{opened}, {rate}, at most {most:g} MiB, {attack.seconds:g} s{place}"


def _said(result: Document) -> str:
    """Who was hurt, and the figures."""
    slowest = max(result["p99_s"].values(), default=0.0)
    sink = max(result["sink_p99_s"].values(), default=0.0)
    figures = f"p99 {slowest * 1000:.0f} ms (sink {sink * 1000:.0f}), +{result['grown_bytes'] / 2**20:.0f} MiB"
    failures = result["failures"]
    if result["tries"] > 1:
        figures += f", of {result['tries']} tries the last"
    if not failures:
        return f"nobody was hurt: {figures}"
    more = f"; {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
    return f"**hurt**: {'; '.join(map(_escaped, failures[:_SHOWN]))}{more} ({figures})"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def write(page: Path, text: str) -> None:
    """Put the table behind the mark of the page."""
    head = page.read_text("utf-8").partition(MARK)[0]
    page.write_text(f"{head}{MARK}\n{text}", "utf-8")


def main() -> None:
    """Print it, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--write", type=Path, help="the page that has the table at its end")
    arguments = parser.parse_args()
    text = table(*(json.loads(path.read_text("utf-8")) for path in (arguments.before, arguments.after)))
    if arguments.write:
        write(arguments.write, text)
    else:
        print(text, end="")  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()
