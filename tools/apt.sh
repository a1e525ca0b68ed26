#!/usr/bin/env bash
# Install packages of Debian, as root or with sudo; where neither is to be had, say what an administrator must run:
# tools/apt.sh WHAT-FOR PACKAGE...
set -euo pipefail
step=$(dirname "$0")/step.sh
purpose=$1
shift

command -v apt-get >/dev/null || {
    echo "make: $purpose: this is no Debian; install what these packages of it have: $*" >&2
    exit 1
}
as_root=()
if [ "$(id -u)" != 0 ]; then
    # sudo asks for a password only where somebody can type it
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
        as_root=(sudo)
    else
        echo "make: $purpose: packages of Debian are missing, and only an administrator (root) can install them:" >&2
        echo "  apt-get update && apt-get install -y --no-install-recommends $*" >&2
        echo "After that, type the same again." >&2
        exit 1
    fi
fi

# With sudo the environment is another: what is meant for apt is said in the command.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
"$step" "$purpose: Debian's list of packages (some 10 MB, half a minute)" \
    "${apt[@]}" -o APT::Update::Error-Mode=any update
sizes=$("${apt[@]}" install --no-install-recommends --assume-no "$@" 2>/dev/null |
    sed -nE 's/^Need to get (.*) of archives.*/\1 to fetch/p; s/^After this operation, (.*) of additional disk space.*/, \1 on disk/p' |
    tr -d '\n') || true
read -rd '' install <<'ROOT' || true
set -euo pipefail
policy=/usr/sbin/policy-rc.d # packages of services must not start them: the tests start their own
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    trap 'rm -f "$policy"' EXIT
    chmod +x "$policy"
fi
dpkg --configure -a # what an interrupted installation has left
"$@"
ROOT
"$step" "$purpose: $* (${sizes:-size unknown})" \
    "${as_root[@]}" bash -c "$install" apt.sh "${apt[@]:${#as_root[@]}}" install -y --no-install-recommends "$@"
