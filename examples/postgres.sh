# Sourced by the capture scripts: a PostgreSQL of their own under /srv, not run by root, gone when the script ends.
# postgres_init DIRECTORY makes a cluster; postgres_run DIRECTORY PORT [OPTION...] is its server, in the foreground.
POSTGRES_BIN=${POSTGRES_BIN:-$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb | tail -n 1)")}

unprivileged() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi
}

postgres_init() {
    mkdir -p "$1"
    [ "$(id -u)" != 0 ] || chown nobody:nogroup "$1"
    (cd "$1" && unprivileged "$POSTGRES_BIN/initdb" -D "$1/data" -U postgres -A trust -E UTF8 --no-locale >/dev/null)
}

postgres_run() {
    local directory=$1 port=$2
    shift 2
    cd "$directory" && exec setpriv $([ "$(id -u)" != 0 ] || echo --reuid=nobody --regid=nogroup --clear-groups) \
        "$POSTGRES_BIN/postgres" -D "$directory/data" -h 127.0.0.1 -p "$port" -k "$directory" \
        -c log_line_prefix='%m [%p] %q%u@%d ' -c log_timezone=UTC -c timezone=UTC "$@" 2>&1
}

postgres_wait() {
    until "$POSTGRES_BIN/pg_isready" -q -h 127.0.0.1 -p "$1" -U postgres -d postgres; do sleep 0.2; done
}
