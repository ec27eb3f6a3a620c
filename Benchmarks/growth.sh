#!/usr/bin/env bash
# Measures how cost grows with rows and with entities, on both stores; arguments go to growth.py:
#
#   Benchmarks/growth.sh [--rows 1000,100000] [--entities 5,200] [--secs 5]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
PGSAFE=1 exec "$here/../scripts/with_postgres.sh" python3 "$here/growth.py" "$@"
