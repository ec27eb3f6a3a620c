#!/usr/bin/env python3
"""Measures relations on both stores: what includes and nested writes cost beside what they replace.

Run it through `Benchmarks/relations.sh`, which starts a PostgreSQL with its own defaults of durability. On each store
it makes orders with lines and a customer, and compares, in turns on one machine:

- a create of an order with 100 lines in one request with 101 single creates on one connection, one after the other;
- a list of 25 orders with their customers (and one with their lines) with the same list without, by wrk with 16
  connections.

How many statements each sends is counted in PostgreSQL's own log. The figures are medians of the repetitions; an answer
that is not 2xx makes it exit 1.
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
import time

from measure import REPORT, ROOT, Client, Server, fail, free_port, on_connections, run_wrk, sign_in
from postgres import psql

APP, LINES, ORDERS, CUSTOMERS = "bench", 100, 2_000, 200
LIST, WITH_ONE, WITH_MANY = "list of 25", "with customer", "with 5 lines each"
PATHS = {
    LIST: f"/api/{APP}/order?sort=-number&per_page=25",
    WITH_ONE: f"/api/{APP}/order?sort=-number&per_page=25&include=customer",
    WITH_MANY: f"/api/{APP}/order?sort=-number&per_page=25&include=lines",
}
SCRIPT = """
local path = os.getenv("CALL_PATH")
local headers = { ["Authorization"] = os.getenv("TOKEN") }
function request() return wrk.format("GET", path, headers) end
""" + REPORT


def entity(name, fields):
    fields = [{"name": field, "type": kind} for field, kind in fields.items()]
    key = {"field": "id", "type": "uuid", "generated": True}
    created = {"name": "created_at", "type": "timestamp", "auto": "create"}
    return {
        "name": name, "table": name + "s", "primary_key": key, "soft_delete": False,
        "fields": [{"name": "id", "type": "uuid"}] + fields + [created],
    }


def relation(name, source, target, inverse):
    return {
        "name": name, "type": "one_to_many", "source": source, "target": target, "source_key": "id",
        "target_key": f"{source}_id", "on_delete": "cascade", "inverse": inverse,
    }


DEFINITIONS = {
    "version": 1,
    "entities": [
        entity("customer", {"name": "string", "email": "string"}),
        entity("order", {"number": "int", "customer_id": "uuid", "note": "text", "state": "string"}),
        entity("line", {"order_id": "uuid", "name": "string", "qty": "int", "price": "decimal"}),
    ],
    "relations": [relation("orders", "customer", "order", "customer"), relation("lines", "order", "line", "order")],
}


def line(number):
    return {"name": f"Line {number}", "qty": number, "price": number / 4}


class Bench:
    def __init__(self, rocket, directory, seconds, log=None, url=None):
        self.rocket, self.directory, self.seconds, self.log, self.url = rocket, directory, seconds, log, url
        admin = Client(rocket.port, sign_in(rocket))
        admin.call("POST", "/api/_platform/apps", {"name": APP})
        admin.call("POST", f"/api/{APP}/_admin/import", DEFINITIONS)

        def customer(client, number):
            body = {"name": f"Customer {number}", "email": f"c{number}@example.com"}
            return client.call("POST", f"/api/{APP}/customer", body)["data"]["id"]

        def order(client, number):
            body = {
                "number": number, "customer_id": customers[number % CUSTOMERS], "note": "A note. " * 10,
                "state": "open", "lines": [line(index) for index in range(5)],
            }
            client.call("POST", f"/api/{APP}/order", body)

        customers = on_connections(rocket.port, admin.headers["Authorization"], CUSTOMERS, customer)
        on_connections(rocket.port, admin.headers["Authorization"], ORDERS, order)
        if url:
            psql(re.sub(r"/[^/]*$", f"/rocket_{APP}", url), "VACUUM ANALYZE")
        (directory / "list.lua").write_text(SCRIPT, encoding="utf-8")

    def nested(self, client):
        body = {"number": 1, "lines": [line(index) for index in range(LINES)]}
        answer = client.call("POST", f"/api/{APP}/order", body)
        if len(answer["data"]["lines"]) != LINES:
            fail("the nested create is not whole")

    def singly(self, client):
        order = client.call("POST", f"/api/{APP}/order", {"number": 1})["data"]["id"]
        for index in range(LINES):
            client.call("POST", f"/api/{APP}/line", line(index) | {"order_id": order})

    def creates(self, repetitions):
        """Milliseconds of a nested create and of as many single ones, in turns."""
        client = Client(self.rocket.port, sign_in(self.rocket))
        times = {self.nested: [], self.singly: []}
        for _ in range(repetitions * 5):
            for call, taken in times.items():
                begin = time.perf_counter()
                call(client)
                taken.append((time.perf_counter() - begin) * 1e3)
        return [statistics.median(taken) for taken in times.values()]

    def lists(self, repetitions):
        runs = {name: [] for name in PATHS}
        for name in PATHS:
            self.wrk(name, 1)
        for _ in range(repetitions):
            for name, results in runs.items():
                results.append(self.wrk(name, self.seconds))
        return {name: statistics.median(results) for name, results in runs.items()}

    def wrk(self, name, seconds):
        environment = {"CALL_PATH": PATHS[name], "TOKEN": sign_in(self.rocket)}
        script = self.directory / "list.lua"
        return run_wrk(name, self.rocket, script, seconds, self.directory, environment)["per_second"]

    def statements(self):
        """How many statements each call sends to its tables, and in how many batches beside BEGIN and COMMIT."""
        client = Client(self.rocket.port, sign_in(self.rocket))
        calls = {"nested create": lambda: self.nested(client), "101 creates": lambda: self.singly(client)}
        for name, path in PATHS.items():
            calls[name] = lambda path=path: client.call("GET", path)
        counts = {}
        for name, call in calls.items():
            call()
            psql(self.url, "ALTER SYSTEM SET log_min_duration_statement = 0")
            psql(self.url, "SELECT pg_reload_conf()")
            time.sleep(0.5)
            begin = self.log.stat().st_size
            call()
            time.sleep(0.3)
            text = self.log.read_bytes()[begin:].decode()
            psql(self.url, "ALTER SYSTEM RESET log_min_duration_statement")
            psql(self.url, "SELECT pg_reload_conf()")
            sent = re.findall(r"duration: [^\n]* execute \w+: ([^\n]*)", text)
            counts[name] = sum(1 for sql in sent if re.search(r'"(orders|lines|customers)"', sql))
        return counts


def measure(options, environment, log=None, url=None):
    with tempfile.TemporaryDirectory(prefix="rocket-relations-") as folder:
        directory, port = pathlib.Path(folder), free_port()
        command = [options.rocket, "serve", "--port", str(port)] + ([] if url else ["--data-dir", str(directory / "data")])
        with Server(command, port, "/ready", directory, os.environ | {"ROCKET_LOG_LEVEL": "error"} | environment) as rocket:
            bench = Bench(rocket, directory, options.secs, log, url)
            nested, singly = bench.creates(options.reps)
            lists = bench.lists(options.reps)
            return {
                "nested_ms": nested, "single_ms": singly, "create_ratio": singly / nested, "lists": lists,
                "list_ratio": {name: lists[LIST] / lists[name] for name in (WITH_ONE, WITH_MANY)},
                "statements": bench.statements() if url else None,
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--secs", type=int, default=4, help="of each run of wrk (default: 4)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions, of which the median counts (default: 3)")
    parser.add_argument("--json", type=pathlib.Path, help="where the figures go")
    options = parser.parse_args()
    url, data = os.environ.get("TEST_POSTGRES_URL"), os.environ.get("TEST_POSTGRES_DATA")
    if not url or not data:
        fail("run it through Benchmarks/relations.sh")
    if not shutil.which("wrk"):
        fail("wrk is not there: scripts/setup.sh --bench")
    options.rocket = options.rocket.resolve()
    log = pathlib.Path(data) / "server.log"
    results = {
        "sqlite": measure(options, {}),
        "postgres": measure(options, {"ROCKET_DATABASE_URL": re.sub(r"/[^/]*$", "/rocket_relations", url)}, log, url),
    }
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, {options.reps} repetitions")
    for store, result in results.items():
        print(f"\n{store}")
        print(f"  create with {LINES} lines {result['nested_ms']:8.1f} ms")
        print(f"  {LINES + 1} single creates  {result['single_ms']:8.1f} ms   {result['create_ratio']:.1f} times as long")
        for name, rate in result["lists"].items():
            ratio = result["list_ratio"].get(name)
            print(f"  {name:<20}{rate:9.0f}/s" + (f"   {ratio:.2f} times as long" if ratio else ""))
        for name, count in (result["statements"] or {}).items():
            print(f"  {name:<20}{count:9} statements")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
