#!/usr/bin/env bash
# A migration waits for a lock that a forgotten transaction holds; everybody else waits behind the migration.
# Needs: PostgreSQL's server programs, python3 with venv, pip. Writes incident.log beside this script (about 70 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../postgres.sh"
home=/srv/checkout port=55411 web=8411
out=$here/incident.log
rm -rf "$home/postgres" && mkdir -p "$home"
cp "$here/app.py" "$here/traffic.py" "$home/"
[ -x "$home/.venv/bin/uvicorn" ] || { /usr/bin/python3 -m venv "$home/.venv" &&
    "$home/.venv/bin/pip" install -q fastapi uvicorn sqlalchemy 'psycopg[binary]' httpx; }
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
named() { sed -u "s/^/$(printf '%-10s' "$1") | /" >>"$out"; } # as `docker compose logs` shows it
sql() { psql -q -h 127.0.0.1 -p "$port" -U postgres -d shop "$@"; }
: >"$out"

postgres_init "$home/postgres"
(postgres_run "$home/postgres" "$port" -c max_connections=40 -c log_lock_waits=on -c deadlock_timeout=1s \
    -c log_min_duration_statement=2s -c log_checkpoints=off -c log_connections=on \
    -c idle_in_transaction_session_timeout=18s) > >(named postgres-1) 2>&1 &
server=$!
postgres_wait "$port"
psql -q -h 127.0.0.1 -p "$port" -U postgres -c "CREATE ROLE checkout LOGIN" -c "CREATE ROLE reporting LOGIN" \
    -c "CREATE ROLE migrations LOGIN SUPERUSER" -c "CREATE DATABASE shop"
sql -c "CREATE TABLE orders (id bigserial PRIMARY KEY, customer bigint NOT NULL, amount bigint NOT NULL)" \
    -c "INSERT INTO orders (customer, amount) SELECT n % 5000, n % 900 FROM generate_series(1, 60000) n" \
    -c "CREATE INDEX ON orders (customer)" -c "GRANT ALL ON ALL TABLES IN SCHEMA public TO checkout, reporting" \
    -c "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO checkout" -c "VACUUM ANALYZE orders"

cd "$home"
DATABASE_URL="postgresql+psycopg://checkout@127.0.0.1:$port/shop" .venv/bin/uvicorn app:app --host 127.0.0.1 \
    --port "$web" --no-access-log > >(named checkout-1) 2>&1 &
app=$!
until curl -sf -o /dev/null "http://127.0.0.1:$web/healthz"; do sleep 0.2; done
.venv/bin/python traffic.py "http://127.0.0.1:$web" 6 50 > >(named gateway-1) 2>&1 &
traffic=$!

sleep 18
# The report that leaves its transaction open: that keeps a lock on orders until the server ends the connection.
(printf 'BEGIN; SELECT count(*) FROM orders;\n'; sleep 40) |
    PGAPPNAME=nightly-report psql -q -h 127.0.0.1 -p "$port" -U reporting -d shop >/dev/null &
sleep 4
{
    echo "$(date -u +'%F %T,%3N') INFO    [migrate] applying 0042_add_coupon_to_orders"
    PGAPPNAME=migrate psql -q -h 127.0.0.1 -p "$port" -U migrations -d shop -c "ALTER TABLE orders ADD COLUMN coupon text" 2>&1
    echo "$(date -u +'%F %T,%3N') INFO    [migrate] 0042_add_coupon_to_orders done"
} > >(named migrate-1) 2>&1 &
wait "$traffic"
sleep 3
kill -INT "$app" && wait "$app" || true
kill -INT "$server" && wait "$server" || true
sleep 1
