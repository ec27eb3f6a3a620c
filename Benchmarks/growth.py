#!/usr/bin/env python3
"""Measures how the cost of a request grows with the rows of a table and with the entities of an app, on both stores.

Run it through `Benchmarks/growth.sh`, which starts a PostgreSQL with its own defaults of durability.

- rows: an entity with an index on its status and its date gets so many rows, written by the database itself. wrk (1 thread, 16
  connections) asks for records by id, for a list of 25 by that index without and with its total, and creates records.
- entities: an app of so many entities of twelve fields; a record by id, a create, the time that saving one change of the metadata
  takes, and the server's memory.

How it grows with apps is measured by `Benchmarks/apps.sh`. The figures are medians of the repetitions. An answer that is
not 2xx makes it exit 1.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time

from measure import REPORT, ROOT, Client, Server, fail, free_port, run_wrk, sign_in
from postgres import psql

APP, PAGE = "bench", 25
GET, LIST, TOTAL, CREATE = "get by id", "list of 25 by an index", "the same with its total", "create"
SCRIPT = """
local mode, path, token, body = os.getenv("MODE"), os.getenv("CALL_PATH"), os.getenv("TOKEN"), os.getenv("BODY")
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = token }
local count, name = tonumber(os.getenv("COUNT")), os.getenv("IDS")
math.randomseed(7)
function request()
  if mode == "create" then return wrk.format("POST", path, headers, body) end
  if mode ~= "get by id" then return wrk.format("GET", path, headers) end
  local id = string.format("%08x-0000-7000-8000-000000000000", math.random(count))
  return wrk.format("GET", path .. "/" .. id, headers)
end
""" + REPORT
FIELDS = {
    "title": "string", "status": "string", "note": "text", "n": "int", "price": "decimal", "urgent": "boolean",
    "seen_at": "timestamp",
}
BODY = {"title": "A title", "status": "open", "note": "Something to be read. " * 5, "n": 1, "price": "1.50", "urgent": True}


def entity(name, fields=FIELDS, indexed=False):
    definition = {
        "name": name, "table": name, "soft_delete": False, "primary_key": {"field": "id", "type": "uuid", "generated": True},
        "fields": [{"name": "id", "type": "uuid"}] + [{"name": field, "type": kind} for field, kind in fields.items()],
    }
    if indexed:
        definition["indexes"] = [{"fields": ["status", "-seen_at"]}]
    return definition


class Stage:
    """A server on one of the stores, which can be stopped and started again."""

    def __init__(self, options, store, directory):
        self.options, self.store, self.directory = options, store, directory
        self.url = re.sub(r"/[^/]*$", "/rocket_growth", os.environ["TEST_POSTGRES_URL"]) if store == "PostgreSQL" else None
        (directory / "calls.lua").write_text(SCRIPT, encoding="utf-8")

    def server(self):
        port = free_port()
        command = [self.options.rocket, "serve", "--port", str(port)]
        environment = os.environ | {"ROCKET_LOG_LEVEL": "error"}
        if self.url:
            environment["ROCKET_DATABASE_URL"] = self.url
        else:
            command += ["--data-dir", str(self.directory / "data")]
        return Server(command, port, "/ready", self.directory, environment)

    def measure(self, server, call, count, name="item"):
        path = f"/api/{APP}/{name}"
        if call in (LIST, TOTAL):
            path += "?filter[status]=open&sort=-seen_at" + ("&count=none" if call == LIST else "")
            rows = Client(server.port, sign_in(server)).call("GET", path)["data"]
            if len(rows) != PAGE or any(row["status"] != "open" for row in rows):
                fail(f"{call}: the answer is wrong")
        environment = {
            "MODE": CREATE if call == CREATE else GET if call == GET else "list", "CALL_PATH": path,
            "TOKEN": sign_in(server), "COUNT": str(count), "BODY": json.dumps(BODY), "IDS": name,
        }
        runs = [
            run_wrk(call, server, self.directory / "calls.lua", seconds, self.directory, environment)
            for seconds in [1] + [self.options.secs] * self.options.reps
        ][1:]
        return {key: statistics.median(run[key] for run in runs) for key in runs[0]}

    # MARK: rows

    def fill(self, count):
        """So many rows, of which a tenth are open; a list by the index finds them at once."""
        columns = '"id", "title", "status", "note", "n", "price", "urgent", "seen_at"'
        if self.url:
            psql(
                re.sub(r"/[^/]*$", f"/rocket_{APP}", self.url),
                f"INSERT INTO item ({columns}) SELECT (lpad(to_hex(i), 8, '0') || '-0000-7000-8000-000000000000')::uuid,"
                " 'Title ' || i, CASE WHEN i % 10 = 0 THEN 'open' ELSE 'closed' END, repeat('Something to be read. ', 5),"
                " i % 1000, 1.5, i % 2 = 0, TIMESTAMPTZ '2026-01-01Z' + i * INTERVAL '1 second'"
                f" FROM generate_series(1, {count}) AS i",
            )
            psql(re.sub(r"/[^/]*$", f"/rocket_{APP}", self.url), "VACUUM ANALYZE")
            return
        database = sqlite3.connect(self.directory / "data" / "apps" / f"{APP}.db")
        database.create_collation("ROCKET_DECIMAL", lambda one, other: (float(one) > float(other)) - (float(one) < float(other)))
        database.execute("PRAGMA cache_size = -200000")
        database.execute(
            f"INSERT INTO item ({columns}) WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {count})"
            " SELECT printf('%08x-0000-7000-8000-000000000000', i), 'Title ' || i,"
            " CASE WHEN i % 10 = 0 THEN 'open' ELSE 'closed' END, replace(hex(zeroblob(5)), '00', 'Something to be read. '),"
            " i % 1000, '1.5', i % 2, strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1767225600 + i, 'unixepoch') FROM s"
        )
        database.commit()
        database.close()

    def rows(self, count):
        with self.server() as server:
            client = Client(server.port, sign_in(server))
            client.call("POST", "/api/_platform/apps", {"name": APP})
            client.call("POST", f"/api/{APP}/_admin/import", {"version": 1, "entities": [entity("item", indexed=True)]})
        begin = time.perf_counter()
        self.fill(count)
        filled = time.perf_counter() - begin
        with self.server() as server:
            calls = [GET, LIST, TOTAL, CREATE]
            result = {call: self.measure(server, call, count) for call in calls}
            memory = server.memory_megabytes()
            Client(server.port, sign_in(server)).call("DELETE", f"/api/_platform/apps/{APP}")
        print(f"{self.store}, {count:,} rows (written in {filled:.0f} s):", flush=True)
        for call in calls:
            one = result[call]
            print(f"  {call:<26}{one['per_second']:>9.0f}/s  p99 {one['p99_ms']:8.2f} ms  CPU {one['cpu_us']:9.1f} µs")
        print(f"  {memory:.0f} MB at most", flush=True)
        return {"store": self.store, "rows": count, "calls": result, "memory_mb": memory}

    # MARK: entities

    def entities(self, count):
        fields = FIELDS | {f"more_{number}": "string" for number in range(12 - len(FIELDS))}
        names = [f"thing_{number}" for number in range(count)]
        with self.server() as server:
            client = Client(server.port, sign_in(server))
            client.call("POST", "/api/_platform/apps", {"name": APP})
            definitions = {"version": 1, "entities": [entity(name, fields) for name in names]}
            client.call("POST", f"/api/{APP}/_admin/import", definitions)
            name = names[-1]
            row = {"id": "00000001-0000-7000-8000-000000000000"} | BODY
            client.call("POST", f"/api/{APP}/_admin/import", {"version": 1, "sample_data": {name: [row]}})
            got, made = self.measure(server, GET, 1, name), self.measure(server, CREATE, 1, name)
            times = []
            for number in range(9):
                begin = time.perf_counter()
                client.call("PUT", f"/api/{APP}/_admin/entities/{name}", entity(name, fields | {f"new_{number}": "int"}))
                fields = fields | {f"new_{number}": "int"}
                times.append((time.perf_counter() - begin) * 1e3)
            memory = server.memory_megabytes()
            client.call("DELETE", f"/api/_platform/apps/{APP}")
        print(
            f"{self.store}, {count} entities: get {got['cpu_us']:.1f} µs CPU, create {made['cpu_us']:.1f} µs, saving a change"
            f" {statistics.median(times):.1f} ms, {memory:.0f} MB at most", flush=True,
        )
        return {
            "store": self.store, "entities": count, "get": got, "create": made, "save_ms": statistics.median(times),
            "memory_mb": memory,
        }


def main():
    numbers = lambda text: [int(part) for part in text.split(",") if part]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--rows", type=numbers, default=[1_000, 100_000, 5_000_000])
    parser.add_argument("--entities", type=numbers, default=[5, 50, 200])
    parser.add_argument("--secs", type=int, default=3, help="of each run of wrk (default: 3)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions, of which the median counts (default: 3)")
    parser.add_argument("--json", type=pathlib.Path, help="where the figures go")
    options = parser.parse_args()
    if not os.environ.get("TEST_POSTGRES_URL") or not shutil.which("wrk"):
        fail("run it through Benchmarks/growth.sh")
    options.rocket = options.rocket.resolve()
    results = []
    print(f"{platform.platform()}, {os.cpu_count()} cores, {options.reps} repetitions of {options.secs} s")
    for store in ("SQLite", "PostgreSQL"):
        with tempfile.TemporaryDirectory(prefix="rocket-growth-") as folder:
            stage = Stage(options, store, pathlib.Path(folder))
            results += [stage.rows(count) for count in options.rows]
            results += [stage.entities(count) for count in options.entities]
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
