#!/usr/bin/env python3
"""Measures Rocket on PostgreSQL beside pgbench, which runs the SQL that Rocket sends and nothing else.

Run it through `Benchmarks/postgres.sh`, which starts a PostgreSQL with its own defaults of durability. Makes an app with
10,000 items over HTTP, looks into PostgreSQL's log for the statements of each call, and then lets wrk (1 thread, 16
connections) and `pgbench -M prepared` (16 clients) take turns with the same statements. The figures are medians of the
repetitions. An answer that is not 2xx makes it exit 1.
"""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from measure import CONNECTIONS, PAGE, REPORT, ROOT, Client, Server, fail, free_port, on_connections, run_wrk, sign_in

APP, ITEMS = "bench", 10_000
GET, LIST, SORT, CREATE, UPDATE = "get by id", f"list of {PAGE}", "sort of all", "create", "update"
QUERIES = {
    LIST: f"?filter%5Bstatus%5D=open&sort=-rank&per_page={PAGE}",  # a quarter of the rows, found by an index
    SORT: f"?sort=-price&per_page={PAGE}",  # no index helps: every row is read, sorted and counted
}
CALLS = (GET, LIST, SORT, CREATE, UPDATE)
BODY = "A text of the usual length, as people write them in a field for notes. " * 3
ENTITY = {
    "name": "item", "table": "items", "primary_key": {"field": "id", "type": "bigint", "generated": True},
    "fields": [
        {"name": "id", "type": "bigint"}, {"name": "title", "type": "string", "required": True},
        {"name": "body", "type": "text"}, {"name": "status", "type": "string"}, {"name": "rank", "type": "int"},
        {"name": "price", "type": "decimal", "precision": 2},
        {"name": "created_at", "type": "timestamp", "auto": "create"},
        {"name": "updated_at", "type": "timestamp", "auto": "update"},
    ],
    "indexes": [{"fields": ["status", "rank"]}],
}
SCRIPT = """
local mode, path, token = os.getenv("MODE"), os.getenv("CALL_PATH"), os.getenv("TOKEN")
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = token }
local n = 0
math.randomseed(tonumber(os.getenv("SEED")))
function request()
  n = n + 1
  local id = math.random(ITEMS)
  if mode == "get by id" then return wrk.format("GET", path .. "/" .. id, headers) end
  if mode == "create" then
    return wrk.format("POST", path, headers, '{"title":"Item ' .. n .. '","body":"BODY","status":"new","rank":'
      .. math.random(1000000) .. ',"price":12.50}')
  end
  if mode == "update" then return wrk.format("PUT", path .. "/" .. id, headers, '{"title":"Again ' .. n .. '"}') end
  return wrk.format("GET", path, headers)
end
""".replace("ITEMS", str(ITEMS)).replace("BODY", BODY) + REPORT


def psql(url, statement):
    done = subprocess.run(["psql", url, "-XAtc", statement], capture_output=True, text=True, check=False)
    if done.returncode:
        fail(f"psql: {done.stderr.strip()}")
    return done.stdout.strip()


def seed(rocket):
    admin = Client(rocket.port, sign_in(rocket))
    admin.call("POST", "/api/_platform/apps", {"name": APP})
    admin.call("POST", f"/api/{APP}/_admin/entities", ENTITY)

    def item(client, number):
        body = {
            "title": f"Item {number}", "body": BODY, "status": ["new", "open", "closed", "late"][number % 4],
            "rank": number * 7919 % 1_000_000, "price": number / 100,
        }
        client.call("POST", f"/api/{APP}/item", body)

    on_connections(rocket.port, sign_in(rocket), ITEMS, item)


class Bench:
    def __init__(self, rocket, url, log, directory, seconds):
        self.rocket, self.url, self.log, self.directory, self.seconds = rocket, url, log, directory, seconds
        seed(rocket)
        self.database = re.sub(r"/[^/]*$", f"/rocket_{APP}", url)
        psql(self.database, "VACUUM ANALYZE items")
        self.script = directory / "calls.lua"
        self.script.write_text(SCRIPT, encoding="utf-8")
        self.calls = {call: self.statements(call) for call in CALLS}
        self.runs = 0

    def path(self, call):
        return f"/api/{APP}/item{QUERIES.get(call, '')}"

    def ask(self, call):
        client = Client(self.rocket.port, sign_in(self.rocket))
        if call == GET:
            return client.call("GET", f"{self.path(call)}/77")
        if call in QUERIES:
            answer = client.call("GET", self.path(call))
            key, least = ("rank", ITEMS // 4) if call == LIST else ("price", ITEMS)
            keys = [float(row[key]) for row in answer["data"]]
            total = answer["meta"]["total"]  # a few more than at first: the items that asking for a create has made
            if len(keys) != PAGE or keys != sorted(keys, reverse=True) or not least <= total <= least + PAGE:
                fail(f"{call}: the answer is wrong")
            return answer
        if call == CREATE:
            body = {"title": "Item", "body": BODY, "status": "new", "rank": 5, "price": 12.5}
            return client.call("POST", self.path(call), body)
        return client.call("PUT", f"{self.path(call)}/77", {"title": "Again"})

    def statements(self, call):
        """What Rocket sends for a call, from PostgreSQL's own log, as a script of pgbench."""
        self.ask(call)  # so that all is prepared and open
        psql(self.url, "ALTER SYSTEM SET log_min_duration_statement = 0")
        psql(self.url, "SELECT pg_reload_conf()")
        time.sleep(0.5)
        begin = self.log.stat().st_size
        self.ask(call)
        time.sleep(0.2)
        text = self.log.read_bytes()[begin:].decode()
        psql(self.url, "ALTER SYSTEM RESET log_min_duration_statement")
        psql(self.url, "SELECT pg_reload_conf()")
        found = re.findall(r"duration: [^\n]* execute \w+: (.*?)\n(?:[^\n]*DETAIL:  parameters: ([^\n]*)\n)?", text)
        lines = [self.pgbench_line(sql, parameters, call) for sql, parameters in found]
        # Without what a sign-in leaves and the settings of connections: what the call asks of the table.
        lines = [line for line in lines if '"items"' in line]
        if not lines:
            fail(f"{call}: no statement in PostgreSQL's log:\n{text}")
        setting = f"\\set id random(1, {ITEMS})\n\\set rank random(1, 1000000)\n"
        return setting + "".join(line + ";\n" for line in lines)

    @staticmethod
    def pgbench_line(sql, parameters, call):
        """With variables of pgbench, which it sends as parameters; texts are constant and come by -D."""
        values = dict(re.findall(r"\$(\d+) = ('(?:[^']|'')*'|NULL)", parameters))
        names = {"77": ":id", "5": ":rank"} if call not in QUERIES else {}
        def variable(match):
            value = values.get(match.group(1), "NULL").strip("'")
            return names.get(value) or (value if value.isdigit() and call not in QUERIES else ":" + constant(value))
        return re.sub(r"\$(\d+)", variable, sql)

    def pgbench(self, call):
        file = self.directory / f"{call.split()[0]}.sql"
        file.write_text(self.calls[call], encoding="utf-8")
        defines = [part for name, value in CONSTANTS.items() for part in ("-D", f"{name}={value}")]
        done = subprocess.run(
            ["pgbench", "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "2", "-T", str(self.seconds),
             "-f", str(file), *defines, self.database],
            capture_output=True, text=True, check=False,
        )
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode or not found:
            fail(f"pgbench, {call}: {done.stdout}{done.stderr}")
        return float(found.group(1))

    def measure(self, call, seconds):
        self.ask(call)
        self.runs += 1
        environment = {
            "MODE": call, "CALL_PATH": self.path(call), "TOKEN": sign_in(self.rocket), "SEED": str(self.runs),
        }
        return run_wrk(call, self.rocket, self.script, seconds, self.directory, environment)

    def run(self, repetitions, calls):
        runs = {}
        for call in calls:
            self.measure(call, 1)
            for _ in range(repetitions):
                floor = self.pgbench(call)
                result = self.measure(call, self.seconds)
                runs.setdefault(call, []).append(result | {"pgbench": floor, "ratio": result["per_second"] / floor})
        return runs


CONSTANTS = {}


def constant(value):
    for name, known in CONSTANTS.items():
        if known == value:
            return name
    CONSTANTS[f"c{len(CONSTANTS)}"] = value
    return f"c{len(CONSTANTS) - 1}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--secs", type=int, default=5, help="of each run (default: 5)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions, of which the median counts (default: 3)")
    parser.add_argument("--calls", help="some of get, list, sort, create, update (default: all)")
    parser.add_argument("--json", type=pathlib.Path, help="where the figures go")
    options = parser.parse_args()
    url, data = os.environ.get("TEST_POSTGRES_URL"), os.environ.get("TEST_POSTGRES_DATA")
    if not url or not data:
        fail("run Benchmarks/postgres.sh, which starts a PostgreSQL")
    calls = [call for call in CALLS if not options.calls or call.split()[0] in options.calls]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rocket-bench-"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
    environment |= {"ROCKET_LOG_LEVEL": "warning"}
    port = free_port()
    server = Server(
        [options.rocket, "serve", "--port", str(port), "--database-url", re.sub(r"/[^/]*$", "/rocket", url)],
        port, "/ready", directory, environment,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        stack.enter_context(server)
        bench = Bench(server, url, pathlib.Path(data) / "server.log", directory, options.secs)
        for call, text in bench.calls.items():
            print(f"-- {call}\n{text}")
        runs = bench.run(options.reps, calls)
        medians = {
            call: {name: statistics.median(run[name] for run in results) for name in results[0]}
            for call, results in runs.items()
        }
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {psql(url, 'SHOW server_version')}")
        print(f"{'':<12}{'requests/s':>11}{'pgbench/s':>11}{'ratio':>7}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}")
        for call, row in medians.items():
            print(
                f"{call:<12}{row['per_second']:>11.0f}{row['pgbench']:>11.0f}{row['ratio']:>7.2f}"
                f"{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}{row['cpu_us']:>9.1f}"
            )
        print(f"memory of the server: {server.memory_megabytes():.0f} MB at most")
        if options.json:
            options.json.write_text(json.dumps(runs, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
