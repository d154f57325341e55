#!/usr/bin/env bash
# An import fills the small volume of a PostgreSQL server, whose write-ahead log then finds no room either.
# Needs: root (for the tmpfs), PostgreSQL's server programs. Writes incident.log beside this script (about 20 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../postgres.sh"
volume=/srv/pgvolume port=55412
out=$here/incident.log
mkdir -p "$volume"
mount -t tmpfs -o size=150m tmpfs "$volume"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; umount "$volume"; rmdir "$volume"' EXIT
: >"$out"

postgres_init "$volume"
(postgres_run "$volume" "$port" -c max_wal_size=64MB -c min_wal_size=32MB -c log_min_duration_statement=0 \
    -c log_temp_files=0) >>"$out" &
server=$!
postgres_wait "$port"
warehouse() { psql -q -h 127.0.0.1 -p "$port" -U postgres -d warehouse "$@" >/dev/null 2>&1; }
psql -q -h 127.0.0.1 -p "$port" -U postgres -c "CREATE DATABASE warehouse"
warehouse -c "CREATE TABLE events (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), body text)"
for batch in $(seq 1 60); do
    warehouse -c "INSERT INTO events (body) SELECT md5(n::text) || repeat(md5(random()::text), 8) FROM generate_series(1, 4000) n" || true
    warehouse -c "SELECT count(*) FROM events WHERE id % 1000 = $batch" || true
    sleep 0.1
done
sleep 2
kill -INT "$server" 2>/dev/null && wait "$server" || true
