#!/usr/bin/env bash
# Drives apps by their OpenAPI documents with schemathesis, with all checks, each on a server of its own: the help desk
# and, for each number of SEEDS, an app that scripts/generated_app.py draws. Arguments go to schemathesis:
#
#   scripts/schemathesis.sh                                    the release build, the help desk
#   SEEDS="1 2 3" scripts/schemathesis.sh --max-examples 100
#   HELPDESK=0 SEEDS=7 ROCKET=.build/debug/rocket scripts/schemathesis.sh --max-examples 5
#   ROCKET_DATABASE_URL=postgres://… scripts/schemathesis.sh   on PostgreSQL, the generated apps
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=4.32.5
rocket=${ROCKET:-.build/release/rocket}
home=.build/schemathesis
export ROCKET_AUTH_BCRYPT_COST=4

install_tool() {
    [[ -e $home/$version ]] && return
    rm -rf "$home"
    python3 -m venv "$home"
    "$home/bin/pip" install -q --disable-pip-version-check "schemathesis==$version"
    touch "$home/$version"
}

folder=$(mktemp -d)
server=
stop_server() {
    [[ -z $server ]] && return
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap 'stop_server; rm -rf "$folder"' EXIT

fail() {
    cat "$folder/log" >&2
    echo "schemathesis: $*" >&2
    exit 1
}

# What a line of the server's log has behind these words.
said() {
    for _ in {1..200}; do
        found=$(sed -n "s/^.*$1//p" "$folder/log" | head -n 1)
        [[ -n $found ]] && return
        sleep 0.1
    done
    fail "the server did not come up"
}

serve_helpdesk() {
    env -u ROCKET_DATABASE_URL "$rocket" demo --port 0 >"$folder/log" 2>&1 &
    server=$!
    said 'The help desk is at '
    api=$found
}

serve_generated() {
    local app=fuzz$1-$$ data=$folder/data$1
    python3 scripts/generated_app.py "$1" >"$folder/app.json"
    local where=(--data-dir "$data")
    [[ -n ${ROCKET_DATABASE_URL:-} ]] && where=()
    "$rocket" app create "$app" "${where[@]}" >"$folder/log" 2>&1 || fail "no app"
    "$rocket" import "$app" "$folder/app.json" "${where[@]}" >>"$folder/log" 2>&1 || fail "the app of seed $1 is refused"
    "$rocket" serve --port 0 "${where[@]}" >>"$folder/log" 2>&1 &
    server=$!
    said 'listening on '
    api=$found/api/$app
}

drive() {
    local token
    token=$(curl -sS "$api/auth/login" -H 'Content-Type: application/json' \
        -d '{"email":"admin@localhost","password":"changeme"}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
    curl -sSf "$api/_openapi.json" -H "Authorization: Bearer $token" >"$folder/openapi.json"
    # Signing in is left out: wrong passwords are counted, and soon all of them are refused.
    "$home/bin/schemathesis" --config-file scripts/schemathesis.toml run "$folder/openapi.json" --url "$api" \
        -H "Authorization: Bearer $token" --checks all --max-examples 20 --continue-on-failure \
        --exclude-path-regex '^/auth' --no-color "$@"
    stop_server
}

install_tool
if [[ ${HELPDESK:-1} == 1 ]]; then
    echo "--- the help desk"
    serve_helpdesk
    drive "$@"
fi
for seed in ${SEEDS:-}; do
    echo "--- the app of seed $seed"
    serve_generated "$seed"
    drive "$@"
done
