#!/usr/bin/env bash
# Measures what policies cost a read, and the times of sign-ins; arguments go to permissions.py:
#
#   Benchmarks/permissions.sh [--secs 2] [--reps 5]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
exec python3 "$here/permissions.py" "$@"
