#!/usr/bin/env bash
# Install the real components that the tests run against, where they are missing.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
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
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
echo "installing from Debian: ${missing[*]}"

# Packages of services must not start them: the tests start their own.
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod +x "$policy"
    made=yes
fi
status=0
{ $sudo apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; } || status=$?
[ -z "$made" ] || $sudo rm -f "$policy"
if [ "$status" != 0 ]; then
    echo "make: could not install; run: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
