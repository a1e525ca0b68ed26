#!/usr/bin/env bash
# Make a virtual environment; install Debian's python3-venv where it is missing and we may.
set -euo pipefail
tools=$(dirname "$0")
target=$1
python=${PYTHON:-python3}

command -v "$python" >/dev/null || { echo "make: $python not found; install Python 3.11 or newer" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "make: $("$python" --version) is too old; Python 3.11 or newer is needed (PYTHON=/path/to/python make ...)" >&2
    exit 1
}

package=$("$tools/venv-package.sh" "$python")
[ -z "$package" ] || "$tools/apt.sh" "for Python's environment" "$package"
rm -rf "$target"
"$tools/step.sh" "An environment for Python in $target (15 MB, some seconds)" "$python" -m venv "$target"
