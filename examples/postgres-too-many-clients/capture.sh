#!/usr/bin/env bash
# A job runner opens a connection for every job; PostgreSQL allows twenty of them.
# Needs: PostgreSQL's server programs. Writes incident.log beside this script (about 20 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../postgres.sh"
home=/srv/jobs port=55414
out=$here/incident.log
rm -rf "$home"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
: >"$out"

postgres_init "$home"
(postgres_run "$home" "$port" -c max_connections=20 -c log_connections=on -c log_disconnections=on) >>"$out" &
server=$!
postgres_wait "$port"
psql -q -h 127.0.0.1 -p "$port" -U postgres -c "CREATE ROLE jobs LOGIN" -c "CREATE DATABASE jobs OWNER jobs"
clients=()
for job in $(seq 1 60); do
    PGAPPNAME="job-$job" psql -q -h 127.0.0.1 -p "$port" -U jobs -d jobs \
        -c "SELECT pg_sleep(6)" >/dev/null 2>&1 &
    clients+=($!)
    sleep 0.15
done
wait "${clients[@]}" || true
kill -INT "$server" && wait "$server" || true
