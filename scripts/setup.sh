#!/usr/bin/env bash
# Installs the system packages that the build needs and the system lacks; where all is there, it changes nothing.
#
#   scripts/setup.sh            what building needs
#   scripts/setup.sh --test     and what the tests need
#   scripts/setup.sh --bench    and what the benchmarks need
set -euo pipefail

fail() {
    echo "setup: $*" >&2
    exit 1
}

check_swift() {
    local needs="the project needs Swift 6.2 or later: https://www.swift.org/install"
    command -v swift >/dev/null || fail "swift is not on the PATH; $needs"
    local said
    said=$(swift --version 2>/dev/null) || fail "swift --version failed; $needs"
    [[ $said =~ Swift\ version\ ([0-9]+)\.([0-9]+) ]] || fail "swift --version names no version; $needs"
    local major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
    ((major > 6 || (major == 6 && minor >= 2))) || fail "this is Swift $major.$minor; $needs"
}

has_postgres() {
    command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

missing_packages() {
    [[ -e /usr/include/sqlite3.h ]] || echo libsqlite3-dev
    [[ -e /usr/include/crypt.h ]] || echo libcrypt-dev
    [[ -e /usr/include/re2/re2.h ]] || echo libre2-dev
    [[ -e /usr/include/libpq-fe.h || -e /usr/include/postgresql/libpq-fe.h ]] || echo libpq-dev
    # The tests start a PostgreSQL of their own.
    if [[ ${1:-} == --test || ${1:-} == --bench ]]; then
        has_postgres || echo postgresql
        # The oracle of the expression language.
        command -v node >/dev/null || echo nodejs
        # It brings an independent verifier of signatures.
        python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    fi
    if [[ ${1:-} == --bench ]]; then
        command -v pgbench >/dev/null || ls /usr/lib/postgresql/*/bin/pgbench >/dev/null 2>&1 || echo postgresql-contrib
        command -v wrk >/dev/null || echo wrk
        command -v python3 >/dev/null || echo python3
    fi
}

install_packages() {
    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "run as root: apt-get install $*"
        as_root=(sudo)
    fi
    local log
    log=$(mktemp)
    # The path is fixed now, as the local is gone when the trap runs.
    # shellcheck disable=SC2064
    trap "rm -f '$log'" EXIT
    echo "setup: installing $*"
    # Mirrors fail now and then, so the list is asked for twice. An old list may do, so the install decides.
    apt_get "$log" update || { sleep 5; apt_get "$log" update; } || true
    apt_get "$log" install --no-install-recommends "$@" || {
        tail -n 20 "$log" >&2
        fail "apt-get could not install $*"
    }
}

apt_get() {
    local log=$1
    shift
    # On bash before 4.4 an empty array is unset to `set -u`, hence the +.
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@" </dev/null >>"$log" 2>&1
}

install_verifiers() {
    local home
    home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.build/python
    local mark=$home/${verifiers// /_}
    [[ -x $home/bin/python && -e $mark ]] && return
    local log
    log=$(mktemp)
    echo "setup: installing ${verifiers}"
    mkdir -p "$(dirname "$home")"
    # Names of packages have no spaces: the split into words is meant.
    # shellcheck disable=SC2086
    { rm -rf "$home" && python3 -m venv "$home" && "$home/bin/pip" install --disable-pip-version-check $verifiers; } \
        >>"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "pip could not install $verifiers"
    }
    rm -f "$log"
    touch "$mark"
}

# Of the Python Package Index: the tests check signatures, OpenAPI documents and TypeScript with them.
verifiers="standardwebhooks==1.1.0 openapi-spec-validator==0.9.0 tree-sitter==0.26.1 tree-sitter-typescript==0.23.2"

[[ $# -eq 0 || $* == --test || $* == --bench ]] || fail "unknown arguments: $* (there are --test and --bench)"
check_swift
if command -v apt-get >/dev/null; then
    missing=$(missing_packages "$@")
    # Names of packages have no spaces: the split into words is meant.
    # shellcheck disable=SC2086
    [[ -z $missing ]] || install_packages $missing
else
    echo "setup: no apt-get here; the build needs SQLite 3, libcrypt and libpq with their headers"
    echo "setup: (sqlite3.h, crypt.h, libpq-fe.h), and the tests need PostgreSQL's initdb and pg_ctl"
fi
if [[ ${1:-} == --test ]]; then install_verifiers; fi
