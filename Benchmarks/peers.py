#!/usr/bin/env python3
"""Measures Rocket beside PocketBase and a bare loop of SQLite, on the same data, in turns, on one machine.

Run it through `Benchmarks/peers.sh`, which fetches PocketBase and starts a PostgreSQL with its own defaults of
durability. Each server gets 1,000 customers and 10,000 tickets of the help desk over HTTP. Then wrk (1 thread) asks each
of them in turn, with 1, 16 and 128 connections: one record, a list of 25 that is filtered and sorted and has its
total, a list of 25 with the customer of each, an update of one field, a create, a create of a customer with 5 and with
100 tickets in one request, a sign-in. The answers are checked before each call is measured, and the rows counted after
creates. The bare loop (sqlite_floor.py) runs the statements that Rocket sends, on one connection, without a server: no
request can cost less. The figures are medians of the repetitions. An answer that is not 2xx makes it exit 1.
"""
import argparse
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

import measure
import sqlite_floor
from measure import DESCRIPTION, HERE, REPORT, ROOT, Client, Server, fail, free_port, on_connections, run_wrk, sign_in

APP, CUSTOMERS, TICKETS, PAGE = "bench", 1_000, 10_000, 25
GET, LIST, INCLUDE, UPDATE, CREATE, NESTED, LARGE, LOGIN = (
    "get by id", "list of 25", "list with customer", "update", "create", "create 1+5", "create 1+100", "sign-in",
)
READS, WRITES = [GET, LIST, INCLUDE], [UPDATE, CREATE, NESTED, LARGE, LOGIN]
STATUSES = ["open"] * 4 + ["assigned"] * 6

SCRIPT = """
local mode, path, run, token = os.getenv("MODE"), os.getenv("CALL_PATH"), os.getenv("RUN"), os.getenv("TOKEN")
local kind, text = os.getenv("KIND"), os.getenv("DESCRIPTION")
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = token ~= "" and token or nil }
local tickets, customers, n = {}, {}, 0
for line in io.lines(os.getenv("TICKETS")) do tickets[#tickets + 1] = line end
for line in io.lines(os.getenv("CUSTOMERS")) do customers[#customers + 1] = line end
math.randomseed(tonumber(os.getenv("SEED")))

local function ticket(name, customer)
  local whose = customer and ',"' .. (kind == "pocketbase" and "customer" or "customer_id") .. '":"' .. customer .. '"' or ""
  return '{"title":"Ticket ' .. name .. '","description":"' .. text .. '","status":"open","priority":"medium","category":"bug"' .. whose .. "}"
end

local function nested(count)
  local email, rows = run .. "-" .. n .. "@example.com", {}
  if kind == "pocketbase" then
    local id = string.format("%s%09d", string.sub(run .. "xxxxxx", 1, 6), n)
    rows[1] = '{"method":"POST","url":"/api/collections/customer/records","body":{"id":"' .. id .. '","name":"Nested","email":"' .. email .. '"}}'
    for i = 1, count do
      rows[i + 1] = '{"method":"POST","url":"/api/collections/ticket/records","body":' .. ticket(n .. "-" .. i, id) .. "}"
    end
    return '{"requests":[' .. table.concat(rows, ",") .. "]}"
  end
  for i = 1, count do rows[i] = ticket(n .. "-" .. i) end
  return '{"name":"Nested","email":"' .. email .. '","ticket_customer":{"data":[' .. table.concat(rows, ",") .. "]}}"
end

function request()
  n = n + 1
  if mode == "get by id" then return wrk.format("GET", path .. "/" .. tickets[math.random(#tickets)], headers) end
  if mode == "update" then
    return wrk.format("PATCH", path .. "/" .. tickets[math.random(#tickets)], headers, '{"title":"Changed ' .. run .. "-" .. n .. '"}')
  end
  if mode == "create" then return wrk.format("POST", path, headers, ticket(run .. "-" .. n, customers[math.random(#customers)])) end
  if mode == "create 1+5" then return wrk.format("POST", path, headers, nested(5)) end
  if mode == "create 1+100" then return wrk.format("POST", path, headers, nested(100)) end
  if mode == "sign-in" then return wrk.format("POST", path, headers, os.getenv("BODY")) end
  return wrk.format("GET", path, headers)
end
""" + REPORT


def ticket(number, customer, field):
    return {
        "title": f"Seed ticket {number}", "description": DESCRIPTION, "status": "open",
        "priority": ["low", "medium", "high"][number % 3],
        "category": ["bug", "feature", "question", "billing", "other"][number % 5], field: customer,
    }


class Peer:
    """A server with the data in it."""

    def __init__(self, name, kind, server, directory):
        self.name, self.kind, self.server, self.runs = name, kind, server, 0
        self.token = ""
        self.directory = directory / re.sub(r"\W+", "-", name)
        self.directory.mkdir()
        customers, tickets = self.seed()
        (self.directory / "customers.txt").write_text("\n".join(customers) + "\n", encoding="utf-8")
        (self.directory / "tickets.txt").write_text("\n".join(tickets) + "\n", encoding="utf-8")
        self.ticket = tickets[7]
        if self.total() != TICKETS:
            fail(f"{name}: {self.total()} tickets, not {TICKETS}")

    def does(self, _call):
        return True

    def client(self):
        return Client(self.server.port, self.token)

    def prefix(self):
        return re.sub(r"[^a-z]", "x", "".join(chr(97 + int(digit)) for digit in str(time.time_ns())[-10:-4]))

    def measure(self, call, connections, seconds, script):
        # What the server before still does with the machine, collecting its garbage, is not this one's.
        time.sleep(0.5)
        self.enter()
        self.check(call)
        before = self.total() if call in (CREATE, NESTED, LARGE) else 0
        environment = {
            "MODE": call, "KIND": self.kind, "CALL_PATH": self.path(call), "TOKEN": self.token, "RUN": self.prefix(),
            "SEED": str(self.runs), "DESCRIPTION": DESCRIPTION, "TICKETS": str(self.directory / "tickets.txt"),
            "CUSTOMERS": str(self.directory / "customers.txt"), "BODY": json.dumps(self.login()),
        }
        self.runs += 1
        measure.CONNECTIONS = connections
        result = run_wrk(f"{self.name}, {call}", self.server, script, seconds, self.directory, environment)
        made = {CREATE: 1, NESTED: 5, LARGE: 100}.get(call)
        if made and self.total() - before < result["requests"] * made:
            fail(f"{self.name}, {call}: acknowledged rows are not there")
        return result


class Rocket(Peer):
    def __init__(self, name, server, directory):
        super().__init__(name, "rocket", server, directory)

    def enter(self):
        self.token = sign_in(self.server)

    def login(self):
        return {"email": "admin@localhost", "password": "changeme"}

    def seed(self):
        self.enter()
        definitions = json.loads((ROOT / "Sources/rocket/Resources/helpdesk.json").read_text(encoding="utf-8"))
        # Without calls to the outside and what they set off: PocketBase makes none.
        definitions |= {"sample_data": {}, "webhooks": [], "workflows": []}
        self.client().call("POST", "/api/_platform/apps", {"name": APP})
        self.client().call("POST", f"/api/{APP}/_admin/import", definitions)

        def customer(client, number):
            body = {"name": f"Customer {number}", "email": f"c{number}@example.com"}
            return client.call("POST", f"/api/{APP}/customer", body)["data"]["id"]

        def make(client, number):
            made = client.call("POST", f"/api/{APP}/ticket", ticket(number, customers[number % CUSTOMERS], "customer_id"))
            if STATUSES[number % 10] != "open":
                client.call("PUT", f"/api/{APP}/ticket/{made['data']['id']}", {"status": "assigned"})
            return made["data"]["id"]

        customers = on_connections(self.server.port, self.token, CUSTOMERS, customer)
        return customers, on_connections(self.server.port, self.token, TICKETS, make)

    def total(self):
        return self.client().call("GET", f"/api/{APP}/ticket?per_page=1")["meta"]["total"]

    def path(self, call):
        path = f"/api/{APP}/ticket"
        return {
            LIST: f"{path}?filter%5Bstatus%5D=open&sort=-created_at&per_page={PAGE}",
            INCLUDE: f"{path}?include=ticket_customer&per_page={PAGE}",
            NESTED: f"/api/{APP}/customer", LARGE: f"/api/{APP}/customer", LOGIN: f"/api/{APP}/auth/login",
        }.get(call, path)

    def check(self, call):
        if call == GET:
            right = self.client().call("GET", f"{self.path(call)}/{self.ticket}")["data"]["id"] == self.ticket
        elif call == LIST:
            answer = self.client().call("GET", self.path(call))
            times = [row["created_at"] for row in answer["data"]]
            right = (
                len(times) == PAGE and answer["meta"]["total"] == TICKETS * 4 // 10 and times == sorted(times, reverse=True)
                and all(row["status"] == "open" for row in answer["data"])
            )
        elif call == INCLUDE:
            rows = self.client().call("GET", self.path(call))["data"]
            right = len(rows) == PAGE and all(row["ticket_customer"]["id"] == row["customer_id"] for row in rows)
        else:
            right = True
        if not right:
            fail(f"{self.name}, {call}: the answer is wrong")


class PocketBase(Peer):
    def __init__(self, server, directory):
        super().__init__("PocketBase", "pocketbase", server, directory)

    def enter(self):
        # Its limit of failed sign-ins is off, and its tokens last.
        pass

    def login(self):
        return {"identity": "bench@example.com", "password": "benchbench"}

    def seed(self):
        admin = Client(self.server.port)
        answer = admin.call(
            "POST", "/api/collections/_superusers/auth-with-password",
            {"identity": "root@example.com", "password": "changeme123"},
        )
        admin = Client(self.server.port, answer["token"])
        admin.call("PATCH", "/api/settings", {
            "logs": {"maxDays": 0}, "rateLimits": {"enabled": False},
            "batch": {"enabled": True, "maxRequests": 200, "timeout": 10, "maxBodySize": 0},
        })
        rules = {f"{action}Rule": '@request.auth.id != ""' for action in ("list", "view", "create", "update", "delete")}
        dates = [
            {"name": "created", "type": "autodate", "onCreate": True, "onUpdate": False},
            {"name": "updated", "type": "autodate", "onCreate": True, "onUpdate": True},
        ]
        text = lambda name, **more: {"name": name, "type": "text"} | more
        choice = lambda name, values: {"name": name, "type": "select", "maxSelect": 1, "values": values}
        customer = admin.call("POST", "/api/collections", {
            "name": "customer", "type": "base", **rules,
            "fields": [
                text("name", required=True), {"name": "email", "type": "email", "required": True}, text("phone"),
                text("company"),
            ] + dates,
            "indexes": ["CREATE UNIQUE INDEX idx_customer_email ON customer (email)"],
        })
        admin.call("POST", "/api/collections", {
            "name": "ticket", "type": "base", **rules,
            "fields": [
                text("title", required=True, min=5), text("description", required=True),
                choice("status", ["open", "assigned", "in_progress", "on_hold", "resolved", "closed"]),
                choice("priority", ["low", "medium", "high", "critical"]),
                choice("category", ["bug", "feature", "question", "billing", "other"]),
                {
                    "name": "customer", "type": "relation", "required": True, "maxSelect": 1,
                    "collectionId": customer["id"], "cascadeDelete": False,
                },
                {"name": "resolved_at", "type": "date"}, {"name": "closed_at", "type": "date"},
            ] + dates,
        })
        admin.call("POST", "/api/collections/users/records", {
            "email": "bench@example.com", "password": "benchbench", "passwordConfirm": "benchbench",
        })
        self.token = Client(self.server.port).call("POST", self.path(LOGIN), self.login())["token"]

        def make_customer(client, number):
            body = {"name": f"Customer {number}", "email": f"c{number}@example.com"}
            return client.call("POST", "/api/collections/customer/records", body)["id"]

        def make(client, number):
            body = ticket(number, customers[number % CUSTOMERS], "customer") | {"status": STATUSES[number % 10]}
            return client.call("POST", "/api/collections/ticket/records", body)["id"]

        customers = on_connections(self.server.port, self.token, CUSTOMERS, make_customer)
        return customers, on_connections(self.server.port, self.token, TICKETS, make)

    def total(self):
        return self.client().call("GET", "/api/collections/ticket/records?perPage=1")["totalItems"]

    def path(self, call):
        path = "/api/collections/ticket/records"
        return {
            LIST: f"{path}?filter=(status%3D%27open%27)&sort=-created&perPage={PAGE}",
            INCLUDE: f"{path}?expand=customer&perPage={PAGE}", NESTED: "/api/batch", LARGE: "/api/batch",
            LOGIN: "/api/collections/users/auth-with-password",
        }.get(call, path)

    def check(self, call):
        if call == GET:
            right = self.client().call("GET", f"{self.path(call)}/{self.ticket}")["id"] == self.ticket
        elif call == LIST:
            answer = self.client().call("GET", self.path(call))
            right = len(answer["items"]) == PAGE and answer["totalItems"] == TICKETS * 4 // 10
        elif call == INCLUDE:
            rows = self.client().call("GET", self.path(call))["items"]
            right = len(rows) == PAGE and all(row["expand"]["customer"]["id"] == row["customer"] for row in rows)
        else:
            right = True
        if not right:
            fail(f"PocketBase, {call}: the answer is wrong")


def floor_calls(peer):
    """One request of each kind whose statements a bare loop runs."""
    body = {
        "title": sqlite_floor.MARKER, "description": DESCRIPTION, "status": "open", "priority": "medium",
        "category": "bug", "customer_id": (peer.directory / "customers.txt").read_text(encoding="utf-8").split()[0],
    }
    path = f"/api/{APP}/ticket"
    return {
        GET: ("GET", f"{path}/{peer.ticket}", None), LIST: ("GET", peer.path(LIST), None),
        INCLUDE: ("GET", peer.path(INCLUDE), None),
        UPDATE: ("PATCH", f"{path}/{peer.ticket}", {"title": sqlite_floor.MARKER}), CREATE: ("POST", path, body),
    }


def rocket(options, directory, name, **environment):
    folder, port = directory / f"data-{name}", free_port()
    folder.mkdir()
    command = [options.rocket, "serve", "--port", str(port)]
    if "ROCKET_DATABASE_URL" not in environment:
        command += ["--data-dir", str(folder)]
    return Server(command, port, "/ready", folder, os.environ | {"ROCKET_LOG_LEVEL": "error"} | environment)


def pocketbase(options, directory):
    folder, port = directory / "pocketbase", free_port()
    folder.mkdir()
    data = ["--dir", str(folder / "data")]
    subprocess.run(
        [options.pocketbase, "superuser", "upsert", "root@example.com", "changeme123", *data], check=True, capture_output=True
    )
    command = [options.pocketbase, "serve", "--http", f"127.0.0.1:{port}", *data]
    return Server(command, port, "/api/health", folder, dict(os.environ))


def run(peers, options, directory):
    script = directory / "calls.lua"
    script.write_text(SCRIPT, encoding="utf-8")
    results = {}
    for group in (READS, WRITES):
        for call in [call for call in group if not options.calls or call in options.calls]:
            for connections in options.connections:
                if call in (LARGE, LOGIN) and connections != 16:
                    continue
                for repetition in range(options.reps + 1):
                    for peer in [peer for peer in peers if peer.does(call)]:
                        taken = peer.measure(call, connections, 1 if repetition == 0 else options.secs, script)
                        taken["memory_mb"] = peer.server.memory_megabytes()
                        if repetition:
                            results.setdefault((call, connections), {}).setdefault(peer.name, []).append(taken)
                line = {
                    name: f"{statistics.median(run['per_second'] for run in runs):.0f}/s"
                    for name, runs in results[(call, connections)].items()
                }
                print(f"{call}, {connections} connections: {line}", flush=True)
    return results


def print_table(results, peers):
    names = [peer.name for peer in peers]
    print("\n| call | connections | " + " | ".join(f"{name}: per second, p99 ms, CPU µs" for name in names) + " |")
    print("| --- | --: |" + " --: |" * len(names))
    for (call, connections), runs in results.items():
        cells = []
        for name in names:
            if name not in runs:
                cells.append("")
                continue
            figures = [statistics.median(run[key] for run in runs[name]) for key in ("per_second", "p99_ms", "cpu_us")]
            cells.append("{:,.0f}, {:.1f}, {:,.0f}".format(*figures).replace(" 0.0,", " –,"))
        print(f"| {call} | {connections} | " + " | ".join(cells) + " |")
    for peer in peers:
        if memory := peer.server.memory_megabytes():
            print(f"{peer.name}: {memory:.0f} MB at most")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--pocketbase", type=pathlib.Path, default=HERE / ".build/pocketbase/pocketbase")
    parser.add_argument("--secs", type=int, default=5, help="of each run of wrk (default: 5)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions, of which the median counts (default: 3)")
    parser.add_argument("--connections", type=lambda text: [int(part) for part in text.split(",")], default=[1, 16, 128])
    parser.add_argument("--calls", type=lambda text: text.split(","), help="only these")
    parser.add_argument("--json", type=pathlib.Path, help="where the figures go")
    options = parser.parse_args()
    url = os.environ.get("TEST_POSTGRES_URL")
    if not url or not shutil.which("wrk"):
        fail("run it through Benchmarks/peers.sh")
    options.rocket, options.pocketbase = options.rocket.resolve(), options.pocketbase.resolve()
    with tempfile.TemporaryDirectory(prefix="rocket-peers-") as folder:
        directory = pathlib.Path(folder)
        with (
            rocket(options, directory, "normal", ROCKET_DATABASE_SYNCHRONOUS="normal") as normal,
            rocket(options, directory, "full") as full,
            rocket(options, directory, "postgres", ROCKET_DATABASE_URL=re.sub(r"/[^/]*$", "/rocket_peers", url)) as postgres,
            pocketbase(options, directory) as other,
        ):
            peers = [
                Rocket("Rocket, SQLite normal", normal, directory), Rocket("Rocket, SQLite full", full, directory),
                Rocket("Rocket, PostgreSQL", postgres, directory), PocketBase(other, directory),
            ]
            peers.append(sqlite_floor.Floor(peers[0], options, directory, floor_calls(peers[0])))
            results = run(peers, options, directory)
            print(f"\n{platform.platform()}, {os.cpu_count()} cores, {options.reps} repetitions of {options.secs} s")
            print_table(results, peers)
    if options.json:
        rows = [{"call": call, "connections": count, "runs": runs} for (call, count), runs in results.items()]
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
