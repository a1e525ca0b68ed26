#!/usr/bin/env bash
# A certificate authority and a certificate of it for the names given, to try TLS out: deploy/make-tls.sh FOLDER NAME...
# What players use comes from a real authority (docs/operations.md).
set -euo pipefail
folder=$1
shift
mkdir -p "$folder"
cd "$folder"
openssl x509 -checkend 86400 -noout -in tls.crt >/dev/null 2>&1 && exit 0 # there is one, and it lasts
umask 077
quiet() { # openssl talks much, and is listened to when it fails
    local said
    said=$("$@" 2>&1) || { echo "$said" >&2 && exit 1; }
}
quiet openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=Code Racer to try out" \
    -addext "keyUsage=critical,keyCertSign" -keyout ca.key -out ca.crt
quiet openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout tls.key -out tls.csr
names=$(printf ',DNS:%s' "$@")
quiet openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out tls.crt \
    -extfile <(printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' "${names#,}")
rm -f ca.key tls.csr ca.srl # nobody signs with it again
chmod 644 ca.crt tls.crt
