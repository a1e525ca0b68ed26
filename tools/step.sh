#!/usr/bin/env bash
# One step of the set-up: tools/step.sh "WHAT (SIZE, TIME)" COMMAND...
# Says what it does and how long it has been at it; what the command prints goes to a file, which is named when it fails.
set -uo pipefail
what=$1
shift
log=${SETUP_LOG:-logs/setup.log}
{ mkdir -p "$(dirname "$log")" && touch "$log"; } 2>/dev/null || {
    echo "make: cannot write $PWD/$log; set up in a folder that is yours" >&2
    exit 1
}
before=$(wc -l <"$log")
echo "$what"

exec {never}<> <(:) # nothing ever comes: waiting for it is a pause that leaves no process behind
tick() {            # on a terminal every second in place, elsewhere a line every half minute
    local every=30 last
    [ ! -t 1 ] || every=1
    while true; do
        read -rt "$every" -u "$never"
        last=$(tail -n 1 "$log" | tr -d '\r' | cut -c 1-80)
        if [ -t 1 ]; then printf '\r\033[K  %d s  %s' "$SECONDS" "$last"; else echo "  $SECONDS s  $last"; fi
    done
}
SECONDS=0
tick &
ticker=$!
trap 'kill "$ticker" 2>/dev/null' EXIT # also after Ctrl+C, which a process in the background does not hear
trap 'exit 130' INT TERM
echo "--- $(date -Is) $*" >>"$log"
"$@" >>"$log" 2>&1 </dev/null
status=$?
kill "$ticker" && wait "$ticker" 2>/dev/null
trap - EXIT INT TERM
[ ! -t 1 ] || printf '\r\033[K'
if [ "$status" = 0 ]; then
    echo "  done in $SECONDS s"
    exit 0
fi

printed() { tail -n "+$((before + 2))" "$log"; }
first() { printed | grep -m 1 -iE "$1" | cut -c 1-160; }
echo "make: this failed: $what" >&2
if line=$(first 'certificate.?verify.?failed|self.?signed.?cert|unable to get local issuer'); then
    echo "  A certificate on the way is not trusted: $line" >&2
    echo "  Behind a proxy that inspects, name its authority: PIP_CERT, NODE_EXTRA_CA_CERTS." >&2
elif line=$(first 'temporary failure (in name )?resol|could not resolve|name or service not known|nameresolution|network is unreachable|newconnectionerror|EAI_AGAIN|ENOTFOUND|ETIMEDOUT|ECONNREFUSED|connection (timed out|refused|reset)|connecttimeout|readtimeout|proxyerror|unable to connect|from versions: none'); then
    echo "  The network cannot be reached: $line" >&2
    echo "  Is there one? A proxy is named by https_proxy and http_proxy, a mirror by PIP_INDEX_URL." >&2
elif line=$(first 'no space left on device'); then
    echo "  The disk is full: $line" >&2
elif line=$(first 'dpkg.* lock|could not get lock'); then
    echo "  Another installation is under way: $line" >&2
else
    printed | tail -n 5 | sed 's/^/  /' >&2
fi
echo "  All that was said is in $log. What is done stays done: type the same again." >&2
exit 1
