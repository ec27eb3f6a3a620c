#!/usr/bin/env bash
# Measures what the audit trail and an Idempotency-Key add to a write, on both stores; arguments go to history.py:
#
#   Benchmarks/history.sh [--secs 5] [--reps 3]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done
PGSAFE=1 exec "$here/../scripts/with_postgres.sh" python3 "$here/history.py" "$@"
