#!/usr/bin/env bash
# Keys that never expire fill a Redis that may not evict; late in a busy log, writes begin to fail and reads go on.
# Needs: redis-server, python3 with venv, pip. Writes incident.log, about 20,000 lines (about 60 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/sessions port=6381
mkdir -p "$home"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
cp "$here/sessions.py" "$home/"
cd "$home"
[ -x /srv/checkout/.venv/bin/python ] && python=/srv/checkout/.venv/bin/python || {
    /usr/bin/python3 -m venv .venv && .venv/bin/pip install -q redis && python=.venv/bin/python; }
redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --maxmemory 32mb --maxmemory-policy noeviction \
    --dir "$home" >/dev/null &
until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.2; done
"$python" sessions.py "$port" 19800 >"$here/incident.log" 2>&1
