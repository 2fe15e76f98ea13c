#!/usr/bin/env bash
# Runs the SQS conformance suite against the local SQS and against ministack, an SQS by others.
# ministack is installed below target/ and is up for as long as the suite runs.
set -euo pipefail
cd "$(dirname "$0")/../../../.."
port=${1:-4566}
version=1.5.33 # The table in differences.rs is of this version.
home=target/sqs-conformance

cargo test --package sqs-fifo --test conformance --no-run
if [[ ! -x $home/bin/ministack ]]; then
    python3 -m venv "$home"
fi
"$home/bin/pip" install --quiet --disable-pip-version-check "ministack==$version"

health=http://127.0.0.1:$port/_ministack/health
up() { "$home/bin/python" -c "import urllib.request as r; r.urlopen('$health', timeout=2)" 2>/dev/null; }
if up; then
    echo "port $port is taken; give another: just sqs-conformance PORT" >&2
    exit 64
fi
GATEWAY_PORT=$port BIND_HOST=127.0.0.1 SERVICES=sqs LOG_LEVEL=WARNING \
    "$home/bin/ministack" >"$home/ministack.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
tries=0
until up; do
    tries=$((tries + 1))
    if ((tries > 100)) || ! kill -0 "$server" 2>/dev/null; then
        echo "ministack does not start; see $home/ministack.log" >&2
        exit 1
    fi
    sleep 0.2
done

SQS_CONFORMANCE_ENDPOINT=http://127.0.0.1:$port \
    cargo test --package sqs-fifo --test conformance -- --show-output
