#!/usr/bin/env python3
"""Measures workflows on both stores: how quickly they run, what a trigger costs a create, how late timers are.

Run it through `Benchmarks/workflows.sh`, which starts a PostgreSQL with its own defaults of durability.

- steps: so many records are created, each of which starts a workflow of three steps that each write the record. What
  counts is the time from the first create until the last instance has ended.
- cost: wrk creates records over 16 connections, in turns: without a workflow, with one whose condition never holds, and
  with one that starts and rests. CPU is the server's for a create, the first step of the instance included.
- timers: so many instances rest until instants of their own within a minute; each then writes the instant into its
  record. Lateness is the difference between the two.

The figures are medians of the repetitions. An instance that does not end as it must makes it exit 1.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import sys
import time

from measure import REPORT, ROOT, Client, fail, on_connections, run_wrk, sign_in
from webhooks import BATCH, BODY, POSTGRES, SQLITE, make_entity, running

STEPS, COST, TIMERS = "steps", "cost", "timers"
PLAIN, JUDGED, STARTED = "without", "condition that never holds", "starts and rests"
CASES = {PLAIN: "plain", JUDGED: "judged", STARTED: "started"}
SCRIPT = """
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = os.getenv("TOKEN") }
local path, body = os.getenv("CALL_PATH"), os.getenv("BODY")
function request() return wrk.format("POST", path, headers, body) end
""" + REPORT


def make_workflow(rocket, app, entity, steps, condition=None):
    trigger = {"type": "record", "entity": entity, "action": "create"}
    if condition:
        trigger["condition"] = condition
    context = {"id": "record.id", "at": "record.note"}
    workflow = {"name": f"flow_{entity}", "trigger": trigger, "context": context, "steps": steps}
    Client(rocket.port, sign_in(rocket)).call("POST", f"/api/{app}/_admin/workflows", workflow)


def setting(entity, step, field, value, then):
    action = {"type": "set_field", "entity": entity, "record_id": "context.id", "field": field, "value": value}
    return {"id": step, "type": "action", "actions": [action], "then": then}


def write(rocket, app, entity, bodies):
    def run(client, number):
        part = bodies[number * BATCH : (number + 1) * BATCH]
        operations = [{"method": "POST", "path": f"/{entity}", "body": body} for body in part]
        client.call("POST", f"/api/{app}/_batch", {"operations": operations})

    on_connections(rocket.port, sign_in(rocket), (len(bodies) + BATCH - 1) // BATCH, run)


def count(rocket, app, status, entity=None):
    query = f"status={status}&per_page=1" + (f"&entity={entity}" if entity else "")
    return Client(rocket.port, sign_in(rocket)).call("GET", f"/api/{app}/_workflows?{query}")["meta"]["total"]


def wait_until_ended(rocket, app, entity, seconds=600):
    end = time.monotonic() + seconds
    while count(rocket, app, "running", entity):
        if time.monotonic() > end:
            fail(f"instances of {entity} run for longer than {seconds} s")
        time.sleep(0.1)


def measure_steps(options, store):
    results = []
    with running(options, store, STEPS) as (rocket, app, _):
        for number in range(options.reps):
            entity = f"item{number}"
            make_entity(rocket, app, entity)
            steps = [
                setting(entity, "one", "count", 1, "two"), setting(entity, "two", "status", "two", "three"),
                setting(entity, "three", "count", 3, "end"),
            ]
            make_workflow(rocket, app, entity, steps)
            cpu, begin = rocket.cpu_seconds(), time.monotonic()
            write(rocket, app, entity, [BODY] * options.instances)
            wait_until_ended(rocket, app, entity)
            seconds, cpu = time.monotonic() - begin, rocket.cpu_seconds() - cpu
            if count(rocket, app, "completed", entity) != options.instances:
                fail("an instance did not complete")
            results.append({
                "starts": options.instances / seconds, "steps": 3 * options.instances / seconds,
                "cpu_us": cpu / options.instances / 3 * 1e6,
            })
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


def measure_cost(options, store):
    with running(options, store, COST) as (rocket, app, directory):
        for entity in CASES.values():
            make_entity(rocket, app, entity)
        rest = [{"id": "rest", "type": "wait", "duration": "30d"}]
        make_workflow(rocket, app, CASES[JUDGED], rest, "record.count > 1000")
        make_workflow(rocket, app, CASES[STARTED], rest)
        (directory / "create.lua").write_text(SCRIPT, encoding="utf-8")
        runs = {case: [] for case in CASES}
        for repetition in range(options.reps + 1):
            for case, results in runs.items():
                environment = {
                    "CALL_PATH": f"/api/{app}/{CASES[case]}", "TOKEN": sign_in(rocket), "BODY": json.dumps(BODY),
                }
                before = rocket.cpu_seconds()
                result = run_wrk(case, rocket, directory / "create.lua", options.secs, directory, environment)
                time.sleep(2)
                result["cpu_us"] = (rocket.cpu_seconds() - before) / result["requests"] * 1e6
                if repetition:
                    results.append(result)
    return {
        case: {name: statistics.median(run[name] for run in results) for name in ("per_second", "cpu_us")}
        for case, results in runs.items()
    }


def measure_timers(options, store):
    with running(options, store, TIMERS) as (rocket, app, _):
        make_entity(rocket, app, "timed")
        steps = [
            {"id": "rest", "type": "wait", "until": "context.at", "then": "mark"},
            {
                "id": "mark", "type": "action", "then": "end", "actions": [{
                    "type": "set_field", "entity": "timed", "record_id": "context.id", "field": "title",
                    "expression": "now.toISOString()",
                }],
            },
        ]
        make_workflow(rocket, app, "timed", steps)
        # Late enough that all of them rest before the first is due.
        first = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=options.timers / 150 + 10)
        instants = [first + datetime.timedelta(seconds=60 * n / options.timers) for n in range(options.timers)]
        write(rocket, app, "timed", [BODY | {"note": at.isoformat()} for at in instants])
        wait_until_ended(rocket, app, "timed")
        client, late, page = Client(rocket.port, sign_in(rocket)), [], 1
        while len(late) < options.timers:
            rows = client.call("GET", f"/api/{app}/timed?per_page=100&page={page}&sort=id&fields=id,title,note")["data"]
            if not rows:
                fail(f"{len(late)} of {options.timers} records are there")
            for row in rows:
                done, due = (datetime.datetime.fromisoformat(row[name].replace("Z", "+00:00")) for name in ("title", "note"))
                late.append((done - due).total_seconds() * 1000)
            page += 1
    late.sort()
    return {"p50": late[len(late) // 2], "p99": late[len(late) * 99 // 100], "most": late[-1]}


def print_steps(result, options):
    print(f"\n  {options.instances} instances of three steps that write")
    print(f"  {'':<28}{result['starts']:>9.0f} instances/s{result['steps']:>9.0f} steps/s{result['cpu_us']:>9.1f} µs CPU a step")


def print_cost(result, options):
    print(f"\n  {'create, with a workflow':<28}{'requests/s':>11}{'CPU µs':>9}{'more':>9}")
    base = result[PLAIN]["cpu_us"]
    for case, row in result.items():
        print(f"  {case:<28}{row['per_second']:>11.0f}{row['cpu_us']:>9.1f}{row['cpu_us'] - base:>9.1f}")


def print_timers(result, options):
    print(f"\n  {options.timers} timers within a minute, ms late")
    print(f"  {'':<28}{result['p50']:>9.1f} p50{result['p99']:>9.1f} p99{result['most']:>9.1f} at most")


PARTS = {STEPS: (measure_steps, print_steps), COST: (measure_cost, print_cost), TIMERS: (measure_timers, print_timers)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--secs", type=int, default=2, help="of each run of wrk (default: 2)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions, of which the median counts (default: 3)")
    parser.add_argument("--instances", type=int, default=2000, help="of the steps' part (default: 2000)")
    parser.add_argument("--timers", type=int, default=10_000, help="of the timers' part (default: 10000)")
    parser.add_argument("--store", choices=[SQLITE, POSTGRES], help="default: both")
    parser.add_argument("--part", choices=list(PARTS), help="default: all")
    options = parser.parse_args()
    options.url = os.environ.get("TEST_POSTGRES_URL")
    if options.store != SQLITE and not options.url:
        parser.error("TEST_POSTGRES_URL is not set: run Benchmarks/workflows.sh")
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, {options.reps} repetitions")
    for store in [options.store] if options.store else [SQLITE, POSTGRES]:
        print(f"\n{store}")
        for part in [options.part] if options.part else PARTS:
            measure, show = PARTS[part]
            show(measure(options, store), options)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
