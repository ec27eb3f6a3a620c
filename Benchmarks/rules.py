#!/usr/bin/env python3
"""Measures what rules and a state machine cost a create, on SQLite.

Run it through `Benchmarks/rules.sh`. Entities with the same twelve fields differ in what judges them: nothing, one
expression rule, or five rules (two of fields, two expressions, one computed field) and a state machine. wrk creates
records of each in turns over 16 connections; what counts is the server's CPU for a request, as a median of the
repetitions, and its share that is more than without. An answer that is not 2xx makes it exit 1.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import sys
import tempfile

from measure import REPORT, ROOT, Client, Server, fail, free_port, run_wrk, sign_in

APP = "bench"
FIELDS = {
    "title": "string", "note": "text", "status": "string", "kind": "string", "total": "decimal", "paid": "decimal",
    "count": "int", "ratio": "float", "urgent": "boolean", "due": "date", "seen_at": "timestamp",
}
EXPRESSION = "record.total > 1000 && record.status === 'paid'"
PLAIN, ONE, ALL = "without", "one expression", "five rules, one machine"
ENTITIES = {PLAIN: "plain", ONE: "judged", ALL: "ruled"}
BODY = {
    "title": "A title of some length", "status": "open", "note": "Something to be read by nobody. " * 4, "kind": "order", "total": 19.9,
    "paid": 5, "count": 3, "ratio": 0.25, "urgent": False, "due": "2026-12-24", "seen_at": "2026-11-23T10:00:00Z",
}
SCRIPT = """
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = os.getenv("TOKEN") }
local path, body = os.getenv("CALL_PATH"), os.getenv("BODY")
function request() return wrk.format("POST", path, headers, body) end
""" + REPORT


def rule(entity, kind, **definition):
    return {"entity": entity, "type": kind, "definition": definition}


def definitions():
    entities = [
        {
            "name": name, "table": name, "soft_delete": False,
            "primary_key": {"field": "id", "type": "uuid", "generated": True},
            "fields": [{"name": "id", "type": "uuid"}] + [{"name": field, "type": kind} for field, kind in FIELDS.items()],
        }
        for name in ENTITIES.values()
    ]
    ruled = ENTITIES[ALL]
    return {
        "version": 1,
        "entities": entities,
        "rules": [
            rule(ENTITIES[ONE], "expression", expression=EXPRESSION),
            rule(ruled, "field", field="title", operator="min_length", value=5),
            rule(ruled, "field", field="kind", operator="pattern", value="^[a-z]+$"),
            rule(ruled, "expression", expression=EXPRESSION),
            rule(ruled, "expression", expression="record.due != null && record.due < now"),
            rule(ruled, "computed", field="ratio", expression="round(record.paid / record.total, 4)"),
        ],
        "state_machines": [
            {
                "entity": ruled, "field": "status",
                "definition": {"initial": "open", "transitions": [{"from": "open", "to": "paid"}]},
            }
        ],
    }


class Bench:
    def __init__(self, rocket, directory):
        self.rocket, self.directory = rocket, directory
        admin = Client(rocket.port, sign_in(rocket))
        admin.call("POST", "/api/_platform/apps", {"name": APP})
        admin.call("POST", f"/api/{APP}/_admin/import", definitions())
        made = admin.call("POST", f"/api/{APP}/{ENTITIES[ALL]}", BODY)["data"]
        if made["status"] != "open" or made["ratio"] != 0.2513:
            fail(f"the rules do not act: {made}")
        (directory / "create.lua").write_text(SCRIPT, encoding="utf-8")

    def measure(self, name, seconds):
        environment = {
            "CALL_PATH": f"/api/{APP}/{ENTITIES[name]}", "TOKEN": sign_in(self.rocket), "BODY": json.dumps(BODY),
        }
        return run_wrk(name, self.rocket, self.directory / "create.lua", seconds, self.directory, environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--secs", type=int, default=3, help="of each run of wrk (default: 3)")
    parser.add_argument("--reps", type=int, default=9, help="repetitions, of which the median counts (default: 9)")
    parser.add_argument("--json", type=pathlib.Path, help="where the figures go")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        fail("wrk is not there: scripts/setup.sh --bench")
    options.rocket = options.rocket.resolve()
    with tempfile.TemporaryDirectory(prefix="rocket-rules-") as folder:
        directory, port = pathlib.Path(folder), free_port()
        command = [options.rocket, "serve", "--port", str(port), "--data-dir", str(directory / "data")]
        with Server(command, port, "/ready", directory, os.environ | {"ROCKET_LOG_LEVEL": "error"}) as rocket:
            bench = Bench(rocket, directory)
            runs = {name: [] for name in ENTITIES}
            for name in ENTITIES:
                bench.measure(name, 1)
            for _ in range(options.reps):
                for name, results in runs.items():
                    results.append(bench.measure(name, options.secs))
    medians = {
        name: {key: statistics.median(run[key] for run in results) for key in results[0]}
        for name, results in runs.items()
    }
    # Each beside the one without of its own repetition, because the machine's speed drifts.
    shares = {
        name: statistics.median(1 - base["cpu_us"] / run["cpu_us"] for base, run in zip(runs[PLAIN], results))
        for name, results in runs.items()
    }
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, {options.reps} repetitions of {options.secs} s")
    print(f"\n{'create':<26}{'requests/s':>11}{'CPU µs':>9}{'share':>9}")
    for name, row in medians.items():
        print(f"{name:<26}{row['per_second']:>11.0f}{row['cpu_us']:>9.1f}{shares[name]:>9.1%}")
    if options.json:
        options.json.write_text(json.dumps({"medians": medians, "shares": shares}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
