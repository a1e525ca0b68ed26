"""Write the rules with values of your own: ``python -m alerts --config mine.toml --to FOLDER``."""

import argparse
import sys
import tomllib
from pathlib import Path

from alerts.config import CONFIG, ConfigError


def main() -> int:
    """Write code-racer.yaml and, for the Operator, prometheus-rule.yaml; the exit code is 2 where the file is wrong."""
    parser = argparse.ArgumentParser(prog="python -m alerts", description=__doc__)
    parser.add_argument("--config", type=Path, help="a file like alerts/config.toml with what is to be otherwise")
    parser.add_argument("--to", type=Path, required=True, help="the folder that the rules are written to")
    arguments = parser.parse_args()
    try:
        if arguments.config:
            CONFIG.override(tomllib.loads(arguments.config.read_text("utf-8")))
    except (OSError, ConfigError, tomllib.TOMLDecodeError) as error:
        print(f"{arguments.config}: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 2
    from alerts.build import GROUPS  # noqa: PLC0415 - the rules take their values when they are imported
    from alerts.model import prometheus_rule, rules, to_yaml  # noqa: PLC0415 - the same
    from dashboards.build import homes  # noqa: PLC0415 - the same

    boards = homes()
    arguments.to.mkdir(parents=True, exist_ok=True)
    (arguments.to / "code-racer.yaml").write_text(to_yaml(rules(GROUPS, boards)), "utf-8")
    (arguments.to / "prometheus-rule.yaml").write_text(to_yaml(prometheus_rule(GROUPS, boards)), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
