#!/usr/bin/env bash
# Builds the bare server and measures Rocket's release build beside it; arguments go to measure.py:
#
#   Benchmarks/run.sh [--secs 5] [--rocket PATH] [--hello PATH] [--synchronous full|normal] [--json FILE]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

"$here/../scripts/setup.sh" --bench
case " $* " in
    *" --hello"*) ;;
    *) swift build -c release --package-path "$here" --product hello-server ;;
esac
exec python3 "$here/measure.py" "$@"
