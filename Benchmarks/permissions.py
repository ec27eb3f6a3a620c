#!/usr/bin/env python3
"""Measures what a policy costs a read, and whether sign-in tells known e-mails from unknown ones, on SQLite.

Run it through `Benchmarks/permissions.sh`. Three users read the same list of 25 of 2,000 tickets (sorted, with its
total) and single tickets: an administrator, whom no policy concerns; one with a policy without conditions; one with a
policy of two conditions, of which one compares with the user. wrk asks in turns over 16 connections; what counts is
the server's CPU for a request, as a median of the repetitions. Then 200 sign-ins with a wrong password for an e-mail
that is there, and 200 for one that is not, in turns: their medians and the difference. An answer that is not the
expected one makes it exit 1.
"""
import argparse
import http.client
import json
import os
import pathlib
import platform
import shutil
import statistics
import sys
import tempfile
import time

from measure import REPORT, ROOT, Client, Server, fail, free_port, on_connections, run_wrk, sign_in

APP, ROWS, TRIES = "bench", 2_000, 200
ADMIN, OPEN, TWO = "administrator", "policy without conditions", "policy of two conditions"
EMAILS = {OPEN: "open@example.com", TWO: "two@example.com"}
LIST, GET = "list of 25", "get by id"
SCRIPT = """
local headers = { ["Authorization"] = os.getenv("TOKEN") }
local paths, n = {}, 0
for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = line end
function request()
  n = n + 1
  return wrk.format("GET", paths[n % #paths + 1], headers)
end
""" + REPORT


class Bench:
    def __init__(self, rocket, directory):
        self.rocket, self.directory = rocket, directory
        admin = Client(rocket.port, sign_in(rocket))
        admin.call("POST", "/api/_platform/apps", {"name": APP})
        fields = {"title": "string", "owner": "string", "status": "string", "note": "text", "created_at": "timestamp"}
        admin.call("POST", f"/api/{APP}/_admin/entities", {
            "name": "ticket", "table": "tickets", "soft_delete": False,
            "primary_key": {"field": "id", "type": "uuid", "generated": True},
            "indexes": [{"fields": ["-created_at"]}],
            "fields": [{"name": "id", "type": "uuid"}] + [
                {"name": name, "type": kind} | ({"auto": "create"} if name == "created_at" else {})
                for name, kind in fields.items()
            ],
        })
        users = f"/api/{APP}/_admin/users"
        self.users = {
            name: admin.call("POST", users, {"email": email, "password": "password1", "roles": [email.split("@")[0]]})
            ["data"]["id"] for name, email in EMAILS.items()
        }
        policies = f"/api/{APP}/_admin/permissions"
        admin.call("POST", policies, {"entity": "ticket", "action": "read", "roles": ["open"]})
        admin.call("POST", policies, {
            "entity": "ticket", "action": "read", "roles": ["two"],
            "conditions": [
                {"field": "owner", "operator": "eq", "value": "$user.id"},
                {"field": "status", "operator": "neq", "value": "secret"},
            ],
        })

        def ticket(client, number):
            body = {"title": f"Ticket {number}", "owner": self.users[TWO], "status": "open", "note": "A note. " * 20}
            return client.call("POST", f"/api/{APP}/ticket", body)["data"]["id"]

        ids = on_connections(rocket.port, admin.headers["Authorization"], ROWS, ticket)
        self.paths = {
            LIST: [f"/api/{APP}/ticket?sort=-created_at&per_page=25"],
            GET: [f"/api/{APP}/ticket/{id}" for id in ids],
        }
        (directory / "read.lua").write_text(SCRIPT, encoding="utf-8")
        for call, paths in self.paths.items():
            (directory / f"{call}.txt").write_text("\n".join(paths) + "\n", encoding="utf-8")

    def token(self, name):
        if name == ADMIN:
            return sign_in(self.rocket)
        body = {"email": EMAILS[name], "password": "password1"}
        answer = Client(self.rocket.port).call("POST", f"/api/{APP}/auth/login", body)
        return "Bearer " + answer["data"]["access_token"]

    def measure(self, call, name, seconds):
        token = self.token(name)
        if call == LIST and Client(self.rocket.port, token).call("GET", self.paths[LIST][0])["meta"]["total"] != ROWS:
            fail(f"{name} does not see all tickets")
        environment = {"PATHS": str(self.directory / f"{call}.txt"), "TOKEN": token}
        return run_wrk(name, self.rocket, self.directory / "read.lua", seconds, self.directory, environment)

    def sign_ins(self):
        """Milliseconds of wrong sign-ins, for e-mails that are there and that are not, in turns."""
        admin = Client(self.rocket.port, sign_in(self.rocket))
        known = [f"user{number}@example.com" for number in range(TRIES)]
        for email in known:
            admin.call("POST", f"/api/{APP}/_admin/users", {"email": email, "password": "password1"})
        connection = http.client.HTTPConnection("127.0.0.1", self.rocket.port, timeout=60)
        times = {"known": [], "unknown": []}
        for number, email in enumerate(known):
            for kind, address in (("known", email), ("unknown", f"nobody{number}@example.com")):
                body = json.dumps({"email": address, "password": "a wrong one"})
                begin = time.perf_counter()
                connection.request("POST", f"/api/{APP}/auth/login", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                times[kind].append((time.perf_counter() - begin) * 1e3)
                if response.status != 401:
                    fail(f"a wrong sign-in was answered {response.status}")
        return {kind: statistics.median(taken) for kind, taken in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--secs", type=int, default=2, help="of each run of wrk (default: 2)")
    parser.add_argument("--reps", type=int, default=5, help="repetitions, of which the median counts (default: 5)")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        fail("wrk is not there: scripts/setup.sh --bench")
    options.rocket = options.rocket.resolve()
    with tempfile.TemporaryDirectory(prefix="rocket-permissions-") as folder:
        directory, port = pathlib.Path(folder), free_port()
        command = [options.rocket, "serve", "--port", str(port), "--data-dir", str(directory / "data")]
        environment = os.environ | {"ROCKET_LOG_LEVEL": "error", "ROCKET_AUTH_FAILURES_PER_ADDRESS": "100000"}
        with Server(command, port, "/ready", directory, environment) as rocket:
            bench = Bench(rocket, directory)
            callers = [ADMIN, OPEN, TWO]
            runs = {(call, name): [] for call in (LIST, GET) for name in callers}
            for call, name in runs:
                bench.measure(call, name, 1)
            for _ in range(options.reps):
                for (call, name), results in runs.items():
                    results.append(bench.measure(call, name, options.secs))
            times = bench.sign_ins()
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, {options.reps} repetitions of {options.secs} s")
    for (call, name), results in runs.items():
        medians = {key: statistics.median(run[key] for run in results) for key in results[0]}
        base = runs[call, ADMIN]
        share = statistics.median(run["cpu_us"] / first["cpu_us"] for first, run in zip(base, results))
        print(f"{call:<12}{name:<28}{medians['per_second']:>9.0f}/s{medians['cpu_us']:>9.1f} µs{share:>7.2f}")
    print(f"wrong sign-in, {TRIES} of each: known {times['known']:.2f} ms, unknown {times['unknown']:.2f} ms,"
          f" difference {abs(times['known'] - times['unknown']):.2f} ms")


if __name__ == "__main__":
    sys.exit(main())
