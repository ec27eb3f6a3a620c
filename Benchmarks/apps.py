#!/usr/bin/env python3
"""Measures a server with up to 1,000 apps on both stores: making them, starting, opening, what it holds.

Run it through `Benchmarks/apps.sh`, which starts a PostgreSQL with its own defaults of durability.

- Apps are made over the API on 4 connections; then each gets an entity of eight fields and a row.
- The server is started again and again. What counts is the time from the start of the process until `/ready` is
  answered 200, asked every 2 ms. Then up to 50 apps are asked for a list, one after the other: the first request of
  each opens it, the second does not.
- Memory is read a second after the start, with nothing asked yet, and with those apps open; `Pss` counts shared pages
  by their share, `RssAnon` what the process has for itself.
- wrk asks apps of chance for a list over 32 connections. An answer other than 200 and 503 is a failure. More apps than
  `database.max_open_apps` are closed and opened all the while; on PostgreSQL more than `database.pool_size` connections
  are.

The figures are medians over the starts, and over all first or second requests. Linux only: memory comes from /proc.
"""
import argparse
import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from measure import ROOT, Client, Server, fail, free_port, sign_in

SQLITE, POSTGRES = "sqlite", "postgres"
# On PostgreSQL 20 apps are fewer than the connections, and 100 are more.
COUNTS = {SQLITE: [1, 100, 1_000], POSTGRES: [1, 20, 100]}
MAKERS, OPENED, ASKERS = 4, 50, 32
TYPES = {"title": "string", "note": "text", "status": "string", "count": "int", "price": "decimal", "due": "date"}
BODY = {
    "title": "A title of some length", "note": "Something to be read by nobody. " * 4, "status": "open", "count": 3,
    "price": 19.9, "due": "2026-12-24",
}
ENTITY = {
    "name": "item", "table": "items", "soft_delete": False,
    "primary_key": {"field": "id", "type": "uuid", "generated": True},
    "fields": [
        {"name": "id", "type": "uuid"}, *({"name": name, "type": type} for name, type in TYPES.items()),
        {"name": "created_at", "type": "timestamp", "auto": "create"},
    ],
}
# With -t1 there is one thread, whose counts `done` reads.
SCRIPT = """
local names, headers, path = {}, { ["Authorization"] = os.getenv("TOKEN") }, os.getenv("CALL_PATH")
for name in io.lines(os.getenv("NAMES")) do names[#names + 1] = name end
local thread
function setup(it) thread = it end
function init() good, unavailable, other, last = 0, 0, 0, 0; math.randomseed(1) end
function request() return wrk.format("GET", "/api/" .. names[math.random(#names)] .. path, headers) end
function response(status)
  if status == 200 then good = good + 1 elseif status == 503 then unavailable = unavailable + 1
  else other = other + 1; last = status end
end
function done(summary, latency)
  local errors, out = summary.errors, io.open(os.getenv("OUT"), "w")
  out:write(string.format('{"good":%d,"unavailable":%d,"other":%d,"last":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,'
    .. '"most_ms":%f,"broken":%d}', thread:get("good"), thread:get("unavailable"), thread:get("other"),
    thread:get("last"), summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, errors.connect + errors.read + errors.write + errors.timeout))
  out:close()
end
"""


class Rocket(Server):
    """A server whose start is timed."""

    def __init__(self, options, store, count, directory):
        port = free_port()
        # A management database for each number of apps.
        url = re.sub(r"/[^/]*$", f"/management_apps_{count}", options.url or "")
        where = ["--database-url", url] if store == POSTGRES else ["--data-dir", str(directory / "data")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
        environment["ROCKET_LOG_LEVEL"] = "critical"
        self.begin = time.monotonic()
        command = [options.rocket, "serve", "--port", str(port), *where]
        super().__init__(command, port, "/ready", directory, environment)

    def wait_until_ready(self):
        while time.monotonic() - self.begin < 60:
            if self.process.poll() is not None:
                fail(f"the server ended at its start: {self.log.read_text(encoding='utf-8').strip()}")
            with contextlib.suppress(OSError, SystemExit):
                Client(self.port).call("GET", self.probe)
                self.ready_ms = (time.monotonic() - self.begin) * 1000
                return
            time.sleep(0.002)
        fail("the server was not ready after 60 s")

    def held(self):
        """Memory in megabytes, and how many files are open."""
        kinds = {
            f"{kind} MB": self.process_megabytes(file, kind)
            for kind, file in {"VmRSS": "status", "Pss": "smaps_rollup", "RssAnon": "status"}.items()
        }
        return kinds | {"files": len(os.listdir(f"/proc/{self.process.pid}/fd"))}

    def process_megabytes(self, file, kind):
        text = pathlib.Path(f"/proc/{self.process.pid}/{file}").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{kind}:")) / 1024


# MARK: steps


def names_of(store, count):
    # PostgreSQL has all databases in one place, so that the names of one run must differ.
    return [f"{store[0]}{count}_{number:04}" for number in range(count)]


def for_each(rocket, names, work):
    """Runs `work` for each name on its connections. Returns names a second."""
    token, place = sign_in(rocket), threading.local()

    def run(name):
        if not hasattr(place, "client"):
            place.client = Client(rocket.port, token)
        work(place.client, name)

    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(MAKERS) as pool:
        collections.deque(pool.map(run, names), maxlen=0)
    return len(names) / (time.monotonic() - begin)


def make(rocket, names):
    def fill(client, name):
        client.call("POST", f"/api/{name}/_admin/entities", ENTITY)
        client.call("POST", f"/api/{name}/item", BODY)

    made = for_each(rocket, names, lambda client, name: client.call("POST", "/api/_platform/apps", {"name": name}))
    filled = for_each(rocket, names, fill)
    return {"apps made a second": made, "entities made a second, with a row": filled}


def ask_once(client, name):
    begin = time.monotonic()
    rows = client.call("GET", f"/api/{name}/item")["data"]
    if len(rows) != 1 or rows[0]["title"] != BODY["title"]:
        fail(f"{name}: the list is wrong: {rows}")
    return (time.monotonic() - begin) * 1000


def start(rocket, names):
    """What one start gives."""
    time.sleep(1)
    result = {"start to /ready, ms": [rocket.ready_ms]}
    result |= {f"idle: {name}": [value] for name, value in rocket.held().items()}
    client = Client(rocket.port, sign_in(rocket))
    # What the first request of all prepares is not the app's.
    client.call("GET", "/api/_platform/auth/me")
    chosen = names[:: max(1, len(names) // OPENED)][:OPENED]
    pairs = [(ask_once(client, name), ask_once(client, name)) for name in chosen]
    result["first request to a closed app, ms"] = [first for first, _ in pairs]
    result["the next one, ms"] = [second for _, second in pairs]
    return result | {f"up to {OPENED} open: {name}": [value] for name, value in rocket.held().items()}


def ask_many(options, rocket, names, directory):
    """One run of wrk over all apps."""
    files = {"NAMES": directory / "names.txt", "OUT": directory / "run.json"}
    files["NAMES"].write_text("\n".join(names) + "\n", encoding="utf-8")
    script = directory / "ask.lua"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = os.environ | {name: str(file) for name, file in files.items()}
    environment |= {"TOKEN": sign_in(rocket), "CALL_PATH": "/item"}
    before = rocket.cpu_seconds()
    done = subprocess.run(
        ["wrk", "-t1", f"-c{ASKERS}", f"-d{options.secs}s", "--timeout", "20s", "-s", str(script),
         f"http://127.0.0.1:{rocket.port}"],
        env=environment, capture_output=True, text=True, check=False,
    )
    if done.returncode != 0 or not files["OUT"].exists():
        fail(f"wrk: {done.stdout}{done.stderr}")
    run = json.loads(files["OUT"].read_text(encoding="utf-8"))
    if run["other"] or run["broken"]:
        fail(f"{run['other']} answers were neither 200 nor 503, the last {run['last']}; {run['broken']} were broken")
    cpu, held = rocket.cpu_seconds() - before, rocket.held()
    return {
        "asking apps of chance: lists a second": run["good"] / run["seconds"],
        "server CPU a list, µs": cpu / max(1, run["good"]) * 1e6, "p50 ms": run["p50_ms"],
        "p99 ms": run["p99_ms"], "longest, ms": run["most_ms"], "answers 503": run["unavailable"],
        "afterwards: VmRSS MB": held["VmRSS MB"], "afterwards: files": held["files"],
        "most VmRSS MB": rocket.memory_megabytes(),
    }


def measure(options, store, count):
    names = names_of(store, count)
    with tempfile.TemporaryDirectory(prefix="rocket-apps-") as folder:
        directory = pathlib.Path(folder)
        with Rocket(options, store, count, directory) as rocket:
            result = make(rocket, names)
        if store == SQLITE:
            result["files of an app, KB"] = app_kilobytes(directory)
        starts = collections.defaultdict(list)
        for number in itertools.count(1):
            with Rocket(options, store, count, directory) as rocket:
                for name, values in start(rocket, names).items():
                    starts[name] += values
                if number < options.starts:
                    continue
                asked = ask_many(options, rocket, names, directory)
                break
    return result | {name: statistics.median(values) for name, values in starts.items()} | asked


def app_kilobytes(directory):
    sizes = [file.stat().st_blocks * 512 for file in (directory / "data/apps").iterdir()]
    return sum(sizes) / len({file.name.partition(".")[0] for file in (directory / "data/apps").iterdir()}) / 1024


# MARK: the table


def shown(value):
    if value == int(value) and value < 1_000_000:
        return f"{int(value):,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def print_table(store, results):
    print(f"\n| {store}, with so many apps | " + " | ".join(f"{count:,}" for count in results) + " |")
    print("| --- |" + " --: |" * len(results))
    for name in next(iter(results.values())):
        print(f"| {name} | " + " | ".join(shown(result[name]) for result in results.values()) + " |")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--apps", help="numbers with commas (default: 1,100,1000; on PostgreSQL 1,20,100)")
    parser.add_argument("--starts", type=int, default=5, help="of each server, of which the median counts (default: 5)")
    parser.add_argument("--secs", type=int, default=10, help="of asking apps of chance (default: 10)")
    parser.add_argument("--store", choices=[SQLITE, POSTGRES], help="default: both")
    options = parser.parse_args()
    options.url = os.environ.get("TEST_POSTGRES_URL")
    options.rocket = options.rocket.resolve()
    if options.store != SQLITE and not options.url:
        parser.error("TEST_POSTGRES_URL is not set: run Benchmarks/apps.sh")
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, {options.starts} starts")
    for store in [options.store] if options.store else [SQLITE, POSTGRES]:
        counts = [int(text) for text in options.apps.split(",")] if options.apps else COUNTS[store]
        print_table(store, {count: measure(options, store, count) for count in counts})


if __name__ == "__main__":
    main()
