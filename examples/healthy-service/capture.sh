#!/usr/bin/env bash
# The checkout service of ../checkout-lock on a quiet day: started, used for 45 s, stopped. Nothing is wrong.
# Needs: PostgreSQL's server programs, python3 with venv, pip. Writes service.log beside this script (about 50 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../postgres.sh"
home=/srv/checkout port=55415 web=8415
out=$here/service.log
rm -rf "$home/postgres" && mkdir -p "$home"
cp "$here/../checkout-lock/app.py" "$here/traffic.py" "$home/"
[ -x "$home/.venv/bin/uvicorn" ] || { /usr/bin/python3 -m venv "$home/.venv" &&
    "$home/.venv/bin/pip" install -q fastapi uvicorn sqlalchemy 'psycopg[binary]' httpx; }
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
named() { sed -u "s/^/$(printf '%-10s' "$1") | /" >>"$out"; } # as `docker compose logs` shows it
: >"$out"

postgres_init "$home/postgres"
(postgres_run "$home/postgres" "$port" -c log_lock_waits=on -c log_min_duration_statement=2s -c log_connections=on) \
    > >(named postgres-1) 2>&1 &
server=$!
postgres_wait "$port"
psql -q -h 127.0.0.1 -p "$port" -U postgres -c "CREATE ROLE checkout LOGIN" -c "CREATE DATABASE shop OWNER checkout"
psql -q -h 127.0.0.1 -p "$port" -U checkout -d shop \
    -c "CREATE TABLE orders (id bigserial PRIMARY KEY, customer bigint NOT NULL, amount bigint NOT NULL)"
cd "$home"
DATABASE_URL="postgresql+psycopg://checkout@127.0.0.1:$port/shop" .venv/bin/uvicorn app:app --host 127.0.0.1 \
    --port "$web" --no-access-log > >(named checkout-1) 2>&1 &
app=$!
until curl -sf -o /dev/null "http://127.0.0.1:$web/healthz"; do sleep 0.2; done
.venv/bin/python traffic.py "http://127.0.0.1:$web" 45 > >(named gateway-1) 2>&1
kill -INT "$app" && wait "$app" || true
kill -INT "$server" && wait "$server" || true
sleep 1
