#!/usr/bin/env bash
# Make a virtual environment; install Debian's python3-venv where it is missing and we may.
set -euo pipefail
target=$1
python=${PYTHON:-python3}

command -v "$python" >/dev/null || { echo "make: $python not found; install Python 3.11 or newer" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "make: $("$python" --version) is too old; Python 3.11 or newer is needed (PYTHON=/path/to/python make ...)" >&2
    exit 1
}

# On Debian `venv` exists without python3-venv but cannot make an environment: ensurepip tells.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    if ! { $sudo apt-get update -qq && $sudo apt-get install -qq -y --no-install-recommends "$package"; } >&2; then
        echo "make: Python cannot make virtual environments here; run: sudo apt-get install $package" >&2
        exit 1
    fi
fi
rm -rf "$target"
"$python" -m venv "$target"
