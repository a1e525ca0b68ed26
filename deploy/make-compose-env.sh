#!/usr/bin/env bash
# What deploy/compose.yaml needs and the repository must not hold: secrets (deploy/.env) and a certificate, made once.
set -euo pipefail
cd "$(dirname "$0")"
./make-tls.sh compose/tls localhost nginx
umask 077
touch .env
for name in JWT_SECRET OPS_TOKEN OPS_READ_TOKEN NATS_PASSWORD NATS_ADMIN_PASSWORD GRAFANA_PASSWORD; do
    grep -q "^$name=" .env || echo "$name=$(openssl rand -hex 32)" >>.env # one that is new is added to those of before
done
echo "now: docker compose -f deploy/compose.yaml up --build --detach --wait; Grafana's password is in deploy/.env"
