#!/usr/bin/env bash
# Measures Rocket's release build on both stores: running workflows, and what they cost; arguments go to workflows.py:
#
#   Benchmarks/workflows.sh [--secs 2] [--reps 5] [--store sqlite] [--part steps|cost|timers]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
PGSAFE=1 exec "$here/../scripts/with_postgres.sh" python3 "$here/workflows.py" "$@"
