#!/usr/bin/env python3
"""Loads a Rocket server up to its bounds and beyond, and judges every answer.

    scripts/torture/load.py [ROCKET] [--part NAME]... [--seconds 10] [--rows 20000]
    PGSAFE=1 scripts/with_postgres.sh scripts/torture/load.py --store postgres
    scripts/torture/load.py --part deliveries --rows 1000000

Parts (all of them, unless `--part` names some):

- connections: 1,000 connections ask at once, idle, and ask again, twice over; beside them new ones come. It is a fault
  where an answer is wrong or later than 10 s, where a newcomer waits longer than 5 s, where files or memory do not go
  back, and where a connection beyond the bound, be it set or that of the files that the system allows, is not told so
  within 5 s (503 with Retry-After, and closed), or does harm to those that are there.
- pool: three times as many writers as the app has connections (4), with transactions that last for seconds and
  webhooks that read the app before they agree. It is a fault where an answer is none of 2xx, or 503 with Retry-After;
  where one takes longer than 20 s; where a refused write is stored; where anything is left busy afterwards.
- neighbours: one app is saturated by 64 connections and another waits for a slow webhook, while a third is used by
  one client, who must get neither an error, nor wait for longer than 2 s, nor see a p99 over 500 ms.
- writers: 64 writers of one app: own rows, counters by If-Match, one transition, unique values, slugs, idempotency
  keys. It is a fault where a race has not exactly one winner, where an acknowledged write is lost, where an answer is
  a 5xx.
- deliveries: many deliveries (`--rows`) wait for a receiver that is down (`--down`); requests, lists of the log and
  starts must be quick meanwhile, and the memory small; then it comes, and each must arrive, with one id of its own.
- bounds: at each documented bound a request just under it works, and one over it is refused at once, with the code
  of the contract and words that say what was expected.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import tries  # noqa: E402
from kill9 import RoundFailure  # noqa: E402
from loading.bounds import run_bounds  # noqa: E402
from loading.connections import run_connections  # noqa: E402
from loading.deliveries import run_deliveries  # noqa: E402
from loading.neighbours import run_neighbours  # noqa: E402
from loading.pool import run_pool  # noqa: E402
from loading.writers import run_writers  # noqa: E402

PARTS_OF_LOAD = {
    "connections": run_connections, "pool": run_pool, "neighbours": run_neighbours, "writers": run_writers,
    "deliveries": run_deliveries, "bounds": run_bounds,
}


def run_try(options, directory, seed):
    """All parts, each with a server of its own. Raises RoundFailure with what was wrong in any of them."""
    failures = []
    for part in options.part or PARTS_OF_LOAD:
        begin = time.monotonic()
        try:
            lines = PARTS_OF_LOAD[part](options, directory, seed)
        except (RoundFailure, OSError, ValueError, KeyError) as failure:
            text = str(failure) if isinstance(failure, RoundFailure) else repr(failure)
            failures.append(f"{part}: {text}")
            print(f"{options.store} {part}: FAILED\n  " + text.replace("\n", "\n  "), flush=True)
        else:
            print(f"{options.store} {part} ({time.monotonic() - begin:.0f} s): " + "\n  ".join(lines), flush=True)
    if failures:
        raise RoundFailure("\n".join(failure.split("\n", 1)[0] for failure in failures))
    return len(options.part or PARTS_OF_LOAD)


def main():
    parser = tries.arguments(__doc__, 1)
    parser.add_argument("--part", action="append", choices=list(PARTS_OF_LOAD), help="may be given again; default: all")
    parser.add_argument("--seconds", type=float, default=10, help="of a phase of load (default: 10)")
    parser.add_argument("--rows", type=int, default=20_000, help="deliveries that wait (default: 20000)")
    words = "seconds in which deliveries drain, where all of them would take too long (default: until all have come)"
    parser.add_argument("--drain", type=float, help=words)
    words = "how the receiver is down: nobody listens, or nobody answers (default: refuse)"
    parser.add_argument("--down", choices=["refuse", "hang"], default="refuse", help=words)
    summary = lambda store, good, asked: f"{store}: {len(good)} of {asked} tries went as they must"  # noqa: E731
    tries.run(parser, "load", run_try, lambda parts: f"{parts} parts went as they must", summary)


if __name__ == "__main__":
    main()
