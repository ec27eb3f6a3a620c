#!/usr/bin/env bash
# Measures what rules cost a create; arguments go to rules.py:
#
#   Benchmarks/rules.sh [--secs 3] [--reps 9]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
exec python3 "$here/rules.py" "$@"
