"""Write the rules and boards with values of your own: ``python -m alerts --config mine.toml --to FOLDER``."""

import argparse
import sys
import tomllib
from pathlib import Path

from alerts.config import CONFIG, ConfigError


def main() -> int:
    """Write the rules, those for the Operator and the boards; the exit code is 2 where the file is wrong."""
    parser = argparse.ArgumentParser(prog="python -m alerts", description=__doc__)
    parser.add_argument("--config", type=Path, help="a file like alerts/config.toml with what is to be otherwise")
    parser.add_argument("--to", type=Path, required=True, help="the folder that they are written to")
    arguments = parser.parse_args()
    try:
        if arguments.config:
            CONFIG.override(tomllib.loads(arguments.config.read_text("utf-8")))
    except (OSError, ConfigError, tomllib.TOMLDecodeError) as error:
        print(f"{arguments.config}: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 2
    from alerts.build import GROUPS  # noqa: PLC0415 - the rules take their values when they are imported
    from alerts.model import prometheus_rule, rules, to_yaml  # noqa: PLC0415 - the same
    from dashboards.build import boards, homes  # noqa: PLC0415 - the same

    files = {
        "code-racer.yaml": to_yaml(rules(GROUPS, homes())),
        "prometheus-rule.yaml": to_yaml(prometheus_rule(GROUPS, homes())),
        **boards(),
    }
    arguments.to.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (arguments.to / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
