#!/usr/bin/env bash
# Install the real components that the tests run against, where they are missing.
set -euo pipefail

missing=()
need() { # PROGRAM PACKAGE
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || [[ " ${missing[*]} " == *" $2 "* ]] || missing+=("$2")
}
need chromium chromium
need prometheus prometheus
need promtool prometheus
need node nodejs
need npm npm
need nginx nginx-light
need rsyslogd rsyslog
need prometheus-alertmanager prometheus-alertmanager
need amtool prometheus-alertmanager
need jq jq
need systemd-analyze systemd
need cc gcc
need kubectl kubernetes-client
need openssl openssl
need curl curl
need git git
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
missing+=($("$(dirname "$0")/venv-package.sh" "${PYTHON:-python3}"))
[ ${#missing[@]} -eq 0 ] || "$(dirname "$0")/apt.sh" "for the tests" "${missing[@]}"
