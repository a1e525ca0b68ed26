#!/usr/bin/env bash
# Which package of Debian a Python lacks to make environments: `venv` is there without it, ensurepip is not.
"$1" -c 'import ensurepip, venv' 2>/dev/null || "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
