#!/usr/bin/env bash
# Nanoseconds and allocations that an expression takes, on typical rules:
#
#   Benchmarks/expressions.sh [evaluations]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
swift build -c release --product expression-benchmark
bench=.build/release/expression-benchmark
"$bench" "${1:-1000000}"

# Allocations are counted by valgrind, where it is there: those of more evaluations less those of fewer.
command -v valgrind >/dev/null || exit 0
allocations() {
    valgrind --tool=memcheck "$bench" "$1" "$2" 2>&1 >/dev/null | sed -nE 's/.*total heap usage: ([0-9,]+) allocs.*/\1/p' | tr -d ,
}
for rule in 0 1 2; do
    few=$(allocations 6000 $rule)
    many=$(allocations 16000 $rule)
    echo "rule $rule: $(((many - few) / 1000)) tenths of an allocation for an evaluation"
done
