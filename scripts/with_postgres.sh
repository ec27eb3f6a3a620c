#!/usr/bin/env bash
# Runs a command beside a throw-away PostgreSQL on loopback, which is gone with it:
#
#   scripts/with_postgres.sh swift test
#
# The command finds its URL in TEST_POSTGRES_URL. The server keeps nothing safe (no fsync): it is for tests. For
# measurements, PGSAFE=1 leaves the server's own defaults of durability in force.
set -euo pipefail

fail() {
    echo "with_postgres: $*" >&2
    exit 1
}

(($# > 0)) || fail "expected a command"

# Debian keeps the server's programs out of the PATH.
find_programs() {
    local folder
    if command -v initdb >/dev/null && command -v pg_ctl >/dev/null; then return; fi
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin; do
        if [[ -x $folder/initdb ]]; then PATH=$folder:$PATH; fi
    done
    command -v initdb >/dev/null || fail "there is no initdb here: run scripts/setup.sh --test"
}

# PostgreSQL refuses to run as root, so root lends it the user that came with it.
as_owner() {
    if ((EUID == 0)); then
        su postgres -s /bin/bash -c 'cd / && PATH="$0" exec "$@"' -- "$PATH" "$@"
    else
        "$@"
    fi
}

free_port() {
    local port
    for _ in {1..50}; do
        port=$((20000 + RANDOM % 20000))
        # Nothing answers on a free port.
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    fail "no free port"
}

find_programs
if ((EUID == 0)); then id postgres >/dev/null 2>&1 || fail "there is no user postgres to run the server as"; fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/rocket-postgres.XXXXXX")
if ((EUID == 0)); then chown postgres "$folder"; fi
stop() {
    as_owner pg_ctl -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

as_owner initdb -D "$folder/data" -U rocket -A trust -E UTF8 --locale=C >"$folder/initdb.log" 2>&1 || {
    tail -n 20 "$folder/initdb.log" >&2
    fail "initdb failed"
}
options="-c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder -c max_connections=1000"
if [[ ${PGSAFE:-} != 1 ]]; then
    options+=" -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off"
fi
for _ in {1..5}; do
    port=$(free_port)
    if as_owner pg_ctl -D "$folder/data" -l "$folder/data/server.log" -w -o "$options -c port=$port" start \
        >"$folder/start.log" 2>&1; then
        export TEST_POSTGRES_URL="postgres://rocket@127.0.0.1:$port/postgres"
        export TEST_POSTGRES_DATA="$folder/data"
        "$@"
        exit
    fi
done
tail -n 20 "$folder/data/server.log" >&2
fail "PostgreSQL did not start"
