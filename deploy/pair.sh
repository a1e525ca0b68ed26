#!/usr/bin/env bash
# Two server processes behind nginx with TLS on this machine, with the shipped configurations: make pair
# Ports: TLS_PORT (8443), HTTP_PORT (8480), RACER_PORT and the one after it (8081). Ends all of them when it ends.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bin=${BIN:-$root/.venv/bin}
state=${STATE:-$root/var/pair}
tls_port=${TLS_PORT:-8443} http_port=${HTTP_PORT:-8480} racer_port=${RACER_PORT:-8081} nats_port=${NATS_PORT:-4222}
mkdir -p "$state/nginx/code-racer" "$state/nats" "$state/secrets"
PATH=$bin:$PATH:/usr/sbin

"$root/deploy/make-tls.sh" "$state/nginx/code-racer" localhost
umask 077
for name in jwt nats admin; do
    [ -e "$state/secrets/$name" ] || openssl rand -hex 32 >"$state/secrets/$name"
done

pids=() # NATS, the servers, nginx
end() { # the servers first: they drain, and write what happens to the log
    trap - EXIT
    for pid in "${pids[@]:1:2}" "${pids[@]:3}" "${pids[@]:0:1}"; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
trap end EXIT
trap 'exit 0' INT TERM HUP

answers() { # wait until a URL does, as long as all the programs run
    until curl -fs "$@" >/dev/null; do
        for pid in "${pids[@]}"; do
            kill -0 "$pid" 2>/dev/null || { echo "one of the programs did not start:" >&2; tail "$state"/*.log >&2; exit 1; }
        done
        sleep 0.2
    done
}

# The shipped files, with the paths and ports of this place.
sed -e "s#port: 4222#listen: 127.0.0.1:$nats_port#" -e "s#\"/data\"#\"$state/nats\"#" \
    -e '/^http:/d' -e '/^cluster {/,/^}/d' -e 's#50GB#1GB#' "$root/deploy/nats/nats.conf" >"$state/nats.conf"
site=$state/nginx
sed -e "s#/etc/nginx/code-racer#$site/code-racer#" -e "s#/var/log/nginx#$site#" \
    -e "s#listen 80;#listen $http_port;#" -e "s#listen 443 #listen $tls_port #" \
    -e "s#https://\$host\$request_uri#https://\$host:$tls_port\$request_uri#" \
    "$root/deploy/nginx/code-racer.conf" >"$site/site.conf"
for port in "$racer_port" $((racer_port + 1)); do echo "server 127.0.0.1:$port max_fails=0;"; done \
    >"$site/code-racer/replicas.conf"
cat >"$site/nginx.conf" <<CONF
$([ "$(id -u)" != 0 ] || echo "user $(id -un);")
daemon off;
pid $site/nginx.pid;
error_log $site/error.log;
include $root/deploy/nginx/workers.conf;
events {}
http {
    client_body_temp_path $site/body; proxy_temp_path $site/proxy; fastcgi_temp_path $site/f; uwsgi_temp_path $site/u;
    scgi_temp_path $site/s;
    include $site/site.conf;
}
CONF

# Each in a session of its own, out of reach of Ctrl+C: `end` tells them, each once and in order.
SERVER_NAME=nats-0 NATS_PASSWORD=$(cat "$state/secrets/nats") NATS_ADMIN_PASSWORD=$(cat "$state/secrets/admin") \
    setsid nats-server -c "$state/nats.conf" >"$state/nats.log" 2>&1 &
pids+=($!)
for number in 0 1; do
    (cd "$state" && exec setsid env ENVIRONMENT=production GUESTS=true TRUSTED_PROXIES=127.0.0.1 REPLICA="racer-$number" \
        PORT=$((racer_port + number)) OPS_PORT=$((racer_port + 1000 + number)) JWT_SECRET="$(cat "$state/secrets/jwt")" \
        PUBLIC_URL="https://localhost:$tls_port" FRONTEND_URL="https://localhost:$tls_port" \
        EVENT_LOG_URL="nats://127.0.0.1:$nats_port" NATS_USER=code-racer NATS_PASSWORD="$(cat "$state/secrets/nats")" \
        DRAIN_DELAY_S=0 DRAIN_GAME_WAIT_S=0 SCRAPE_WAIT_S=0 \
        code-racer serve >"$state/racer-$number.log" 2>&1) &
    pids+=($!)
done
setsid nginx -c "$site/nginx.conf" -p "$site" &
pids+=($!)

for number in 0 1; do
    answers "http://127.0.0.1:$((racer_port + 1000 + number))/readyz"
done
answers --cacert "$site/code-racer/ca.crt" "https://localhost:$tls_port/api/problems"
echo "Code Racer is ready: https://localhost:$tls_port/ (its authority: $site/code-racer/ca.crt; logs: $state; Ctrl+C stops it)"
wait -n
echo "one of the programs has ended; see $state" >&2
exit 1
