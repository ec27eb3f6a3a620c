#!/usr/bin/env bash
# Measures Rocket's release build on both stores: includes and nested writes; arguments go to relations.py:
#
#   Benchmarks/relations.sh [--secs 5] [--reps 3]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
PGSAFE=1 exec "$here/../scripts/with_postgres.sh" python3 "$here/relations.py" "$@"
