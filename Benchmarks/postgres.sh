#!/usr/bin/env bash
# Measures Rocket's release build on a PostgreSQL of its own beside pgbench; arguments go to postgres.py:
#
#   Benchmarks/postgres.sh [--secs 5] [--reps 3] [--calls get,create]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
PGSAFE=1 exec "$here/../scripts/with_postgres.sh" python3 "$here/postgres.py" "$@"
