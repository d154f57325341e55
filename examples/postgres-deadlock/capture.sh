#!/usr/bin/env bash
# Two transfers between the same two accounts, each locking its own first: PostgreSQL ends one of them, again and again.
# Needs: PostgreSQL's server programs. Writes incident.log beside this script (about 25 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../postgres.sh"
home=/srv/bank port=55413
out=$here/incident.log
rm -rf "$home"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
: >"$out"

postgres_init "$home"
(postgres_run "$home" "$port" -c log_lock_waits=on -c deadlock_timeout=500ms -c log_connections=on \
    -c log_disconnections=on) >>"$out" &
server=$!
postgres_wait "$port"
psql -q -h 127.0.0.1 -p "$port" -U postgres -c "CREATE ROLE transfers LOGIN" -c "CREATE DATABASE bank OWNER transfers"
bank() { psql -q -h 127.0.0.1 -p "$port" -U transfers -d bank "$@" >/dev/null 2>&1; }
bank -c "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0))" \
    -c "INSERT INTO accounts SELECT n, 100000 FROM generate_series(1, 50) n"
transfer() {
    bank -v ON_ERROR_STOP=1 -c "BEGIN" -c "UPDATE accounts SET balance = balance - $3 WHERE id = $1" -c "SELECT pg_sleep(0.4)" \
        -c "UPDATE accounts SET balance = balance + $3 WHERE id = $2" -c "COMMIT" || true
}
for round in $(seq 1 10); do
    for pair in "3 4" "5 6" "8 9"; do transfer $pair 25 & done
    transfer 17 42 100 &
    transfer 42 17 250 &
    wait $(jobs -p | grep -v "^$server$")
done
kill -INT "$server" && wait "$server" || true
