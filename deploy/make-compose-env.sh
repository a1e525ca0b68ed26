#!/usr/bin/env bash
# What deploy/compose.yaml needs and the repository must not hold: secrets (deploy/.env) and a certificate, made once.
set -euo pipefail
cd "$(dirname "$0")"
./make-tls.sh compose/tls localhost nginx
if [ ! -e .env ]; then
    umask 077
    for name in JWT_SECRET NATS_PASSWORD NATS_ADMIN_PASSWORD GRAFANA_PASSWORD; do
        echo "$name=$(openssl rand -hex 32)"
    done >.env
fi
echo "now: docker compose -f deploy/compose.yaml up --build --detach --wait; Grafana's password is in deploy/.env"
