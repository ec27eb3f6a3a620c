#!/usr/bin/env bash
# Measures Rocket's release build with many apps, on both stores; arguments go to apps.py:
#
#   Benchmarks/apps.sh [--apps 1,100,1000] [--store sqlite] [--starts 5]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
PGSAFE=1 exec "$here/../scripts/with_postgres.sh" python3 "$here/apps.py" "$@"
