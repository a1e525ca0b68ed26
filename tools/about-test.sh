#!/usr/bin/env bash
# Say what `make test` will do here before it does it: what it installs, how big that is, how long it takes.
set -euo pipefail
venv=$1
todo() { [ -e "$venv/$1" ] || printf '  %-58s %8s  %s\n' "$2" "$3" "$4"; }
steps=$(
    todo .runtime "Python packages of the service" "200 MB" "half a minute"
    todo .dev "Python packages for checks and tests" "800 MB" "2 minutes"
    todo .debian "Chromium, Prometheus, nginx, Node and more from Debian" "1.6 GB" "4 minutes"
    todo .node "packages of npm, into tests/node" "660 MB" "a minute"
    todo .checkov "checkov, in an environment of its own" "300 MB" "1 minute"
)
if [ -n "$steps" ]; then
    echo "make test installs first what is missing:"
    echo "$steps"
    echo "  (free here: $(df -h --output=avail . | tail -n 1 | tr -d ' '); what the steps print goes to logs/setup.log)"
fi
echo "Then it checks formatting, lint and types, and runs all tests: seventeen minutes on two quiet cores."
echo "make test-quick needs none of Debian's and npm's packages, and takes three minutes."
