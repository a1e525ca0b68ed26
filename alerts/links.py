"""The way from an alert to its board: around its time, with the variables that its labels fill in.

Templates of Prometheus: what stands between braces it fills in itself, when it evaluates the rule.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote_plus

from alerts.config import CONFIG

VARIABLES: Final = ("cluster", "namespace", "job", "instance")
"""The variables of every board, each of the name of a label."""
SCOPE_VARIABLES: Final = VARIABLES[:2]
"""Those that the labels of the canary and of supervisors may fill in: jobs beside the one that boards are about."""
ALL: Final = quote_plus("$__all")
_CONFIG: Final = CONFIG["dashboards"]


def template(board: str, variables: tuple[str, ...]) -> str:
    """Write an annotation that becomes the address of a board: around now, of what `variables` say."""
    filled = {
        name: f"{{{{ with $labels.{name} }}}}{{{{ . | urlquery }}}}{{{{ else }}}}{ALL}{{{{ end }}}}"
        for name in variables
    }
    return _url(board, _now(f"- {_CONFIG['before_s']}"), _now(f"+ {_CONFIG['after_s']}"), filled)


def _now(shifted: str) -> str:
    return f'{{{{ query "1000 * (time() {shifted})" | first | value | printf "%.0f" }}}}'


def rendered(board: str, variables: tuple[str, ...], labels: Mapping[str, str], at_s: int) -> str:
    """Write what Prometheus makes of the template for an alert of these labels, at a time in seconds."""
    filled = {name: quote_plus(labels[name]) for name in variables if name in labels}
    since, until = 1000 * (at_s - int(_CONFIG["before_s"])), 1000 * (at_s + int(_CONFIG["after_s"]))
    return _url(board, str(since), str(until), filled)


def of_the_last_hour(board: str) -> str:
    """Write the address of a board for whoever has no alert at hand: the last hour, of all there is."""
    return _url(board, "now-1h", "now", {})


def _url(board: str, since: str, until: str, filled: Mapping[str, str]) -> str:
    variables = "".join(f"&var-{name}={filled.get(name, ALL)}" for name in VARIABLES)
    return f"{_CONFIG['url']}/d/{board}?from={since}&to={until}{variables}"
