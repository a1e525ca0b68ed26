#!/usr/bin/env bash
# Run the tests, first those that may be beside others, in so many processes, then those that measure and must be alone:
# tools/run-tests.sh PYTHON PROCESSES [ARGUMENT OF PYTEST]...
# Both parts are run to their end, whatever the first shows; the exit code is that of the first that failed.
set -uo pipefail
python=$1 processes=$2
shift 2
unset PYTHONDONTWRITEBYTECODE # hundreds of servers are started: each would compile the service anew
nothing=5 # pytest's exit code where nothing was selected

"$python" -m pytest --alone never --numprocesses "$processes" --dist loadfile --no-loadscope-reorder "$@"
beside=$?
[ $beside -ne 2 ] || exit $beside # broken off
"$python" -m pytest --alone only "$@"
alone=$?
case "$beside $alone" in
    "0 $nothing") exit 0 ;;
    "0 "* | "$nothing "*) exit $alone ;;
    *) exit $beside ;;
esac
