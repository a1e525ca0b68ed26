#!/usr/bin/env bash
# Make the tokens of the canary's two players, or new ones before those run out: a replica signs them with the key that it has.
# Whoever has them plays as canary-1 and canary-2, and as nobody else. The canary reads them before its next race.
set -euo pipefail
namespace=${1:-code-racer} life=${2:-365d}
sign() {
    kubectl -n "$namespace" exec deploy/code-racer -- code-racer token --player "$1" --ttl "$life" --yes-in-production
}
first=$(sign canary-1)
second=$(sign canary-2)
kubectl -n "$namespace" create secret generic code-racer-canary --from-literal=first="$first" --from-literal=second="$second" \
    --dry-run=client -o yaml | kubectl -n "$namespace" apply --server-side -f -
