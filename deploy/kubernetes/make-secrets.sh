#!/usr/bin/env bash
# Make the two secrets that the production overlay needs, once; nothing is written to a file.
set -euo pipefail
namespace=${1:-code-racer}
nats=$(openssl rand -hex 32)
kubectl -n "$namespace" create secret generic code-racer \
    --from-literal=JWT_SECRET="$(openssl rand -hex 32)" \
    --from-literal=TICKET_SECRET="$(openssl rand -hex 32)" \
    --from-literal=OPS_TOKEN="$(openssl rand -hex 32)" \
    --from-literal=OPS_READ_TOKEN="$(openssl rand -hex 32)" \
    --from-literal=NATS_PASSWORD="$nats"
kubectl -n "$namespace" create secret generic nats-auth \
    --from-literal=NATS_PASSWORD="$nats" \
    --from-literal=NATS_ADMIN_PASSWORD="$(openssl rand -hex 32)"
