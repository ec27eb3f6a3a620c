#!/usr/bin/env python3
"""Measures what the audit trail and an Idempotency-Key add to a write, on both stores.

Run it through `Benchmarks/history.sh`, which starts a PostgreSQL with its own defaults of durability. Two entities with
the same twelve fields, of which one keeps no history. wrk creates and updates records of each in turns over 16
connections, and creates them with keys; what counts is the median of the repetitions, each beside the one without of
its own repetition. An answer that is not 2xx makes it exit 1.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import sys
import tempfile

from measure import REPORT, ROOT, Client, Server, fail, free_port, run_wrk, sign_in
from rules import BODY, FIELDS

APP = "bench"
ENTITIES = {"without": "quiet", "with history": "loud"}
CASES = [
    ("create", "without"), ("create", "with history"), ("create", "without, with a key"), ("update", "without"),
    ("update", "with history"),
]
SCRIPT = """
local method, path, body, keyed = os.getenv("METHOD"), os.getenv("CALL_PATH"), os.getenv("BODY"), os.getenv("KEYED") == "1"
local headers, n, run = { ["Content-Type"] = "application/json", ["Authorization"] = os.getenv("TOKEN") }, 0, os.getenv("RUN")
function request()
  n = n + 1
  if keyed then headers["Idempotency-Key"] = run .. "-" .. n end
  return wrk.format(method, path, headers, body)
end
""" + REPORT


def definitions():
    return {
        "version": 1,
        "entities": [
            {
                "name": name, "table": name, "soft_delete": False, "history": name == ENTITIES["with history"],
                "primary_key": {"field": "id", "type": "uuid", "generated": True},
                "fields": [{"name": "id", "type": "uuid"}]
                + [{"name": field, "type": kind} for field, kind in FIELDS.items()],
            }
            for name in ENTITIES.values()
        ],
    }


class Bench:
    def __init__(self, rocket, directory):
        self.rocket, self.directory, self.runs = rocket, directory, 0
        admin = Client(rocket.port, sign_in(rocket))
        admin.call("POST", "/api/_platform/apps", {"name": APP})
        admin.call("POST", f"/api/{APP}/_admin/import", definitions())
        self.ids = {}
        for name in ENTITIES.values():
            self.ids[name] = admin.call("POST", f"/api/{APP}/{name}", BODY)["data"]["id"]
            history = admin.call("GET", f"/api/{APP}/{name}/{self.ids[name]}/history")
            if history["meta"]["total"] != (1 if name == ENTITIES["with history"] else 0):
                fail(f"the history is not as it should be: {history}")
        (directory / "write.lua").write_text(SCRIPT, encoding="utf-8")

    def measure(self, case, seconds):
        action, kind = case
        self.runs += 1
        entity = ENTITIES["with history" if kind == "with history" else "without"]
        path = f"/api/{APP}/{entity}" + (f"/{self.ids[entity]}" if action == "update" else "")
        environment = {
            "METHOD": "PUT" if action == "update" else "POST", "CALL_PATH": path, "TOKEN": sign_in(self.rocket),
            "BODY": json.dumps({"note": "Something else. " * 8, "count": self.runs} if action == "update" else BODY),
            "KEYED": "1" if "key" in kind else "0", "RUN": f"run{self.runs}",
        }
        return run_wrk(f"{action} {kind}", self.rocket, self.directory / "write.lua", seconds, self.directory, environment)


def measure(options, store):
    with tempfile.TemporaryDirectory(prefix="rocket-history-") as folder:
        directory, port = pathlib.Path(folder), free_port()
        command, environment = [options.rocket, "serve", "--port", str(port)], os.environ | {"ROCKET_LOG_LEVEL": "error"}
        if store == "PostgreSQL":
            environment["ROCKET_DATABASE_URL"] = re.sub(r"/[^/]*$", "/rocket_history", os.environ["TEST_POSTGRES_URL"])
        else:
            command += ["--data-dir", str(directory / "data")]
        with Server(command, port, "/ready", directory, environment) as rocket:
            bench = Bench(rocket, directory)
            runs = {case: [] for case in CASES}
            for case in CASES:
                bench.measure(case, 1)
            for _ in range(options.reps):
                for case, results in runs.items():
                    results.append(bench.measure(case, options.secs))
    rows = []
    for case, results in runs.items():
        base = runs[(case[0], "without")]
        medians = {key: statistics.median(run[key] for run in results) for key in results[0]}
        times = statistics.median(one["per_second"] / other["per_second"] for one, other in zip(base, results))
        cpu = statistics.median(other["cpu_us"] / one["cpu_us"] for one, other in zip(base, results))
        rows.append({"store": store, "case": " ".join(case), "times": times, "cpu_times": cpu} | medians)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--secs", type=int, default=3, help="of each run of wrk (default: 3)")
    parser.add_argument("--reps", type=int, default=5, help="repetitions, of which the median counts (default: 5)")
    parser.add_argument("--store", choices=["SQLite", "PostgreSQL"], help="only this one")
    parser.add_argument("--json", type=pathlib.Path, help="where the figures go")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        fail("wrk is not there: scripts/setup.sh --bench")
    options.rocket = options.rocket.resolve()
    stores = [options.store] if options.store else ["SQLite", "PostgreSQL"]
    rows = [row for store in stores for row in measure(options, store)]
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, {options.reps} repetitions of {options.secs} s")
    print(f"\n{'':<42}{'requests/s':>11}{'p50 ms':>8}{'CPU µs':>8}{'× as long':>11}{'× CPU':>8}")
    for row in rows:
        print(
            f"{row['store'] + ' ' + row['case']:<42}{row['per_second']:>11.0f}{row['p50_ms']:>8.2f}"
            f"{row['cpu_us']:>8.1f}{row['times']:>11.2f}{row['cpu_times']:>8.2f}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
