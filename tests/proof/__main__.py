"""The programs that the service is run with, started for real and asked: ``python -m tests.proof [PART]...``.

A part is a module of `tests/proof/parts`: its docstring says what it is about, `prove(record)` does it, and `MAY_MISS`
(none unless it is there) declares what it may be unable to try. Without a name all parts run; ``--today`` runs one, by
the date. What a part says is written to `docs/proof`, whether it held or not.
"""

import argparse
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Sequence

from tests.proof import parts
from tests.proof.record import Record
from tools.harness.slices import days_of


def names() -> list[str]:
    """The parts there are."""
    return sorted(module.name for module in pkgutil.iter_modules(parts.__path__))


def run(name: str) -> bool:
    """Run one part and write its record; tell whether all of it held."""
    module = importlib.import_module(f"{parts.__name__}.{name}")
    about = " ".join((module.__doc__ or "").split())
    record = Record(name, about, frozenset(getattr(module, "MAY_MISS", ())))
    try:
        module.prove(record)
        record.verify()
    except Exception:  # noqa: BLE001 - a part that breaks is told, and the others are run
        traceback.print_exc()
        return False
    finally:
        record.write()
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that were asked for; 1 if one of them did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(names())}")
    parser.add_argument("--today", action="store_true", help="one part, by the date")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(names()):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(names())}")
    chosen = days_of(names(), len(names()))[:1] if options.today else options.parts or names()
    failed = [name for name in chosen if not run(name)]
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed{': ' * bool(failed)}{', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
