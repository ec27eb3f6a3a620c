#!/usr/bin/env python3
"""Measures Rocket beside a bare Hummingbird server, whose cost per request is the floor.

Seeds 200 customers and 2,000 tickets of the help desk over HTTP. Then wrk (1 thread, 16 connections) calls in turn:
hello, get by id, a list of 25 that is filtered and sorted, and hello and create ticket. The figures are medians of the
repetitions; "x hello" is the server's CPU per request beside that of the hello of the same repetition, which takes most
of the machine out of it. An answer that is not 2xx makes it exit 1. Linux only: CPU comes from /proc. The data is under
TMPDIR: name a folder on a real disk there to measure what synchronous=full costs.
"""
import argparse
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import platform
import queue
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
APP = "bench"
CUSTOMERS, TICKETS, OPEN_OF_TEN = 200, 2_000, 4
CONNECTIONS, PAGE = 16, 25
DESCRIPTION = "The dashboard shows an error after the last update. " * 4
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

HELLO, GET, LIST, CREATE = "hello", "get by id", f"list of {PAGE}", "create ticket"
# Reads before writes: a list costs more with every ticket that a create leaves.
GROUPS = [[HELLO, GET, LIST], [HELLO, CREATE]]

# What a run of wrk gave, as JSON in the file that OUT names.
REPORT = """
function done(summary, latency)
  local errors, out = summary.errors, io.open(os.getenv("OUT"), "w")
  out:write(string.format('{"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"refused":%d,"broken":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
  out:close()
end
"""

# One script for all: parameters come through the environment. With -t1 there is one Lua state, so `n` is unique.
SCRIPT = """
local mode, path, run, token = os.getenv("MODE"), os.getenv("CALL_PATH"), os.getenv("RUN"), os.getenv("TOKEN")
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = token ~= "" and token or nil }
local ids, n = {}, 0
for line in io.lines(os.getenv("IDS")) do ids[#ids + 1] = line end
math.randomseed(tonumber(os.getenv("SEED")))

function request()
  n = n + 1
  if mode == "get by id" then return wrk.format("GET", path .. "/" .. ids[math.random(#ids)], headers) end
  if mode == "create ticket" then
    return wrk.format("POST", path, headers, '{"title":"Ticket ' .. run .. "-" .. n .. '","description":"'
      .. os.getenv("DESCRIPTION") .. '","status":"open","priority":"medium","category":"bug","customer_id":"'
      .. ids[math.random(#ids)] .. '"}')
  end
  return wrk.format("GET", path, headers)
end

""" + REPORT


def fail(message):
    sys.exit(f"bench: {message}")


class Client:
    """One keep-alive connection."""

    def __init__(self, port, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {"Content-Type": "application/json"}
        if token:
            self.headers["Authorization"] = token

    def call(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        response = self.connection.getresponse()
        text = response.read()
        if not 200 <= response.status < 300:
            fail(f"{method} {path}: {response.status} {text[:300].decode(errors='replace')}")
        return json.loads(text)


class Server:
    """A process that serves, until the end of a `with`."""

    def __init__(self, command, port, probe, directory, environment):
        self.port, self.command, self.probe = port, command, probe
        self.log = directory / f"{command[0].name}.log"
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def __enter__(self):
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_ready(self):
        for _ in range(1_000):
            if self.process.poll() is not None:
                fail(f"{self.command[0]} ended at its start: {self.log.read_text(encoding='utf-8').strip()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                Client(self.port).call("GET", self.probe)
                return
            time.sleep(0.01)
        fail(f"{self.command[0]} does not answer GET {self.probe}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def memory_megabytes(self, kind="VmHWM"):
        """The most that there was; with VmRSS what is there now."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{kind}:")) / 1024


def cpu_seconds(pid):
    """utime and stime of proc(5), counted from behind the name, which may hold spaces."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# MARK: the data


def sign_in(rocket):
    body = {"email": "platform@localhost", "password": "changeme"}
    answer = Client(rocket.port).call("POST", "/api/_platform/auth/login", body)
    return "Bearer " + answer["data"]["access_token"]


def seed(rocket):
    """Makes the app. Returns the ids of its customers and of its tickets."""
    token = sign_in(rocket)
    definitions = json.loads((ROOT / "Sources/rocket/Resources/helpdesk.json").read_text(encoding="utf-8"))
    # Without its own rows and without calls to the outside, so that the counts are exact and nothing else runs.
    definitions |= {"sample_data": {}, "webhooks": []}
    admin = Client(rocket.port, token)
    admin.call("POST", "/api/_platform/apps", {"name": APP})
    admin.call("POST", f"/api/{APP}/_admin/import", definitions)

    def customer(client, number):
        body = {"name": f"Customer {number}", "email": f"customer{number}@example.com"}
        return client.call("POST", f"/api/{APP}/customer", body)["data"]["id"]

    def ticket(client, number):
        body = {
            "title": f"Seed ticket {number}", "description": DESCRIPTION, "status": "open",
            "priority": ["low", "medium", "high"][number % 3],
            "category": ["bug", "feature", "question", "billing", "other"][number % 5],
            "customer_id": customers[number % CUSTOMERS],
        }
        id = client.call("POST", f"/api/{APP}/ticket", body)["data"]["id"]
        if number % 10 >= OPEN_OF_TEN:
            client.call("PUT", f"/api/{APP}/ticket/{id}", {"status": "assigned"})
        return id

    customers = on_connections(rocket.port, token, CUSTOMERS, customer)
    tickets = on_connections(rocket.port, token, TICKETS, ticket)
    return customers, tickets


def on_connections(port, token, count, work):
    """Runs `work` for 0, 1, … on 8 connections. Returns what it returned, in order."""
    results, numbers, failures = [None] * count, queue.SimpleQueue(), []
    for number in range(count):
        numbers.put(number)

    def run():
        client = Client(port, token)
        with contextlib.suppress(queue.Empty):
            while not failures:
                number = numbers.get_nowait()
                try:
                    results[number] = work(client, number)
                except (Exception, SystemExit) as failure:
                    failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


# MARK: measuring


def run_wrk(name, server, script, seconds, directory, environment):
    """One run of wrk with its figures, and the CPU that the server took for it. An answer that is not 2xx ends all."""
    out = directory / "run.json"
    out.unlink(missing_ok=True)
    before = server.cpu_seconds()
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script),
         f"http://127.0.0.1:{server.port}"],
        env=os.environ | environment | {"OUT": str(out)}, capture_output=True, text=True, check=False,
    )
    cpu = server.cpu_seconds() - before
    if done.returncode != 0 or not out.exists():
        fail(f"{name}: wrk: {done.stdout}{done.stderr}")
    result = json.loads(out.read_text(encoding="utf-8"))
    # wrk counts a status from 400 as an error; Rocket and hello answer no 1xx or 3xx.
    if result["refused"] or result["broken"]:
        fail(f"{name}: {result['refused']} answers were not 2xx, {result['broken']} connections failed")
    if not result["requests"]:
        fail(f"{name}: no request was answered in {seconds} s")
    return result | {"per_second": result["requests"] / result["seconds"], "cpu_us": cpu / result["requests"] * 1e6}


class Bench:
    def __init__(self, rocket, hello, directory, seconds):
        self.rocket, self.hello, self.directory, self.seconds = rocket, hello, directory, seconds
        self.customers, self.tickets = seed(rocket)
        self.script = directory / "calls.lua"
        self.script.write_text(SCRIPT, encoding="utf-8")
        (directory / "customers.txt").write_text("\n".join(self.customers) + "\n", encoding="utf-8")
        (directory / "tickets.txt").write_text("\n".join(self.tickets) + "\n", encoding="utf-8")
        self.runs = itertools.count(1)

    def server(self, call):
        return self.hello if call == HELLO else self.rocket

    def path(self, call):
        if call == LIST:
            return f"/api/{APP}/ticket?filter%5Bstatus%5D=open&sort=-created_at&per_page={PAGE}"
        return "/hello" if call == HELLO else f"/api/{APP}/ticket"

    def check(self, call, token):
        """Whether the answer is the right one: a fast wrong one is worth nothing."""
        client = Client(self.server(call).port, token)
        if call == GET:
            id = self.tickets[7]
            right = client.call("GET", f"{self.path(call)}/{id}")["data"]["id"] == id
        elif call == LIST:
            answer = client.call("GET", self.path(call))
            rows = answer["data"]
            times = [row["created_at"] for row in rows]
            right = (
                len(rows) == PAGE and answer["meta"]["total"] == TICKETS * OPEN_OF_TEN // 10
                and all(row["status"] == "open" for row in rows) and times == sorted(times, reverse=True)
            )
        else:
            right = True
        if not right:
            fail(f"{call}: the answer is wrong")

    def measure(self, call, seconds):
        """One run of wrk, and the CPU that the server took for it."""
        server, run = self.server(call), next(self.runs)
        token = "" if call == HELLO else sign_in(self.rocket)
        self.check(call, token)
        ids = self.directory / ("customers.txt" if call == CREATE else "tickets.txt")
        environment = {
            "MODE": call, "CALL_PATH": self.path(call), "TOKEN": token, "RUN": str(run), "SEED": str(run),
            "IDS": str(ids), "DESCRIPTION": DESCRIPTION,
        }
        rows_before = self.total() if call == CREATE else 0
        result = run_wrk(call, server, self.script, seconds, self.directory, environment)
        if call == CREATE and self.total() - rows_before < result["requests"]:
            fail(f"{call}: {result['requests']} were acknowledged, {self.total() - rows_before} rows are there")
        return result

    def total(self):
        client = Client(self.rocket.port, sign_in(self.rocket))
        return client.call("GET", f"{self.path(GET)}?per_page=1")["meta"]["total"]

    def run(self, repetitions):
        """All runs by call, in alternation, each with its ratio to the hello of its repetition."""
        runs = {}
        for group in GROUPS:
            for call in group:
                self.measure(call, 1)  # warm-up
            for _ in range(repetitions):
                floor = None
                for call in group:
                    result = self.measure(call, self.seconds)
                    floor = floor or result["cpu_us"]
                    result["cpu_to_hello"] = result["cpu_us"] / floor
                    runs.setdefault(call, []).append(result)
        return runs


def print_table(medians):
    print(f"\n{'':<14}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}{'x hello':>9}")
    for call, row in medians.items():
        print(
            f"{call:<14}{row['per_second']:>11.0f}{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}"
            f"{row['cpu_us']:>9.1f}{row['cpu_to_hello']:>9.2f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--hello", type=pathlib.Path, default=HERE / ".build/release/hello-server")
    parser.add_argument("--secs", type=int, default=5, help="of each run (default: 5)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions, of which the median counts (default: 3)")
    parser.add_argument("--synchronous", choices=["full", "normal"], default="full", help="of SQLite (default: full)")
    parser.add_argument("--json", type=pathlib.Path, default=HERE / ".build/results.json", help="where the figures go")
    parser.add_argument("--port", type=int, help="of Rocket, and the next one of hello (default: any that are free)")
    options = parser.parse_args()
    if not pathlib.Path("/proc/self/stat").exists():
        fail("this needs Linux: it reads the server's CPU from /proc")
    if not shutil.which("wrk"):
        fail("wrk is not there: scripts/setup.sh --bench")
    for binary in (options.rocket, options.hello):
        if not os.access(binary, os.X_OK):
            fail(f"{binary} is not there: make bench builds it")

    # The defaults, whatever the caller's environment says; what is set here is what is measured.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
    environment |= {"ROCKET_LOG_LEVEL": "warning", "ROCKET_DATABASE_SYNCHRONOUS": options.synchronous}
    rocket_port = options.port or free_port()
    hello_port = options.port + 1 if options.port else free_port()
    with tempfile.TemporaryDirectory(prefix="rocket-bench-") as name:
        directory = pathlib.Path(name)
        serve = [options.rocket.resolve(), "serve", "--port", str(rocket_port), "--data-dir", directory / "data"]
        say_hello = [options.hello.resolve(), str(hello_port)]
        with (
            Server(serve, rocket_port, "/ready", directory, environment) as rocket,
            Server(say_hello, hello_port, "/hello", directory, environment) as hello,
        ):
            bench = Bench(rocket, hello, directory, options.secs)
            print(f"seeded {len(bench.customers)} customers and {len(bench.tickets)} tickets", flush=True)
            runs = bench.run(options.reps)
            memory = rocket.memory_megabytes()
    medians = {
        call: {name: statistics.median(run[name] for run in results) for name in results[0]}
        for call, results in runs.items()
    }
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    print_table(medians)
    store = f"SQLite with synchronous={options.synchronous}"
    print(f"\n{CONNECTIONS} connections, {store}, {machine}; Rocket's peak memory {memory:.0f} MB")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine, "connections": CONNECTIONS,
        "seconds": options.secs, "repetitions": options.reps, "synchronous": options.synchronous,
        "peak_memory_mb": memory, "median": medians, "runs": runs,
    }
    options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
