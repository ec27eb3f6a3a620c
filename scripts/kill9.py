#!/usr/bin/env python3
"""Kills a Rocket server with SIGKILL while 16 connections create rows, starts it again, and looks for lost rows.

    scripts/kill9.py [ROCKET] [--rounds 10] [--seed 1]

A round is lost where an acknowledged row (201) is gone or has other values, where a row is there twice or was never
sent, or where the app's file is damaged. A row that was sent and not acknowledged may be there or not. SIGKILL ends
the process and not the machine, so this tests the order of commit and answer, and recovery; not fsync.
"""
import argparse
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

CONNECTIONS = 16
ROWS = 2_000
APP = "kill9"
# Fields of text alone: a decimal is indexed with a collation that only the server has, and integrity_check needs it.
ENTITY = {
    "name": "item",
    "table": "items",
    "primary_key": {"field": "id", "type": "uuid", "generated": True},
    "fields": [
        {"name": "id", "type": "uuid", "required": True},
        {"name": "value", "type": "string", "required": True},
        {"name": "note", "type": "text"},
    ],
}


class RoundFailure(Exception):
    """What a round found wrong, in one line for each problem."""


class Client:
    """One keep-alive connection."""

    def __init__(self, port, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.headers = {"Content-Type": "application/json"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def send(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        return self.connection.getresponse()

    def call(self, method, path, body=None, expect=200):
        response = self.send(method, path, body)
        text = response.read()
        if response.status != expect:
            raise RoundFailure(f"{method} {path}: {response.status} {text[:300].decode(errors='replace')}")
        return json.loads(text)


class Server:
    """One process of the server, from start to end."""

    def __init__(self, rocket, directory, port, database_url=None):
        # The configuration is the defaults: nothing of the caller's environment, and no app.yaml of its folder.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
        environment["ROCKET_LOG_LEVEL"] = "warning"
        self.port = port or free_port()
        self.log = open(directory / "server.log", "a", encoding="utf-8")
        where = ["--database-url", database_url] if database_url else ["--data-dir", directory / "data"]
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [rocket, "serve", "--port", str(self.port), *where],
            cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        self.ready_seconds = self.wait_until_ready(begin)

    def wait_until_ready(self, begin):
        while time.monotonic() - begin < 30:
            if self.process.poll() is not None:
                raise RoundFailure(f"the server ended with {self.process.returncode} at its start: {self.last_words()}")
            try:
                if Client(self.port).send("GET", "/ready").status == 200:
                    return time.monotonic() - begin
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.005)
        self.kill()
        raise RoundFailure("the server was not ready after 30 s")

    def last_words(self):
        lines = pathlib.Path(self.log.name).read_text(encoding="utf-8").splitlines()
        return lines[-1] if lines else "it said nothing"

    def sign_in(self):
        body = {"email": "platform@localhost", "password": "changeme"}
        answer = Client(self.port).call("POST", "/api/_platform/auth/login", body)
        return answer["data"]["access_token"]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            raise RoundFailure("the server had not stopped 30 s after SIGTERM") from None
        if status != 0:
            raise RoundFailure(f"the server ended with {status} after SIGTERM: {self.last_words()}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Load:
    """Creates rows on all connections, and remembers what was sent and what was acknowledged."""

    def __init__(self, server, token, seed, enough):
        self.server, self.token, self.seed, self.enough = server, token, seed, enough
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.sent = {}  # value: the body
        self.acknowledged = {}  # value: the row of the answer, or None where the kill cut the answer short
        self.refused = []
        self.is_killed = False
        self.is_enough = threading.Event()  # also set where nothing more will come
        self.threads = [threading.Thread(target=self.work) for _ in range(CONNECTIONS)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def work(self):
        try:
            client = Client(self.server.port, self.token)
            while (number := self.next_number()) is not None:
                self.create(client, self.body(number))
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            # A connection that ends is what the kill looks like from here; before it, it is a fault.
            if not self.is_killed:
                self.refused.append(f"a connection failed before the kill: {error!r}")
        finally:
            with self.lock:
                if self.refused or self.is_spent():
                    self.is_enough.set()

    def next_number(self):
        with self.lock:
            number = next(self.numbers)
            return number if number < ROWS and not self.refused else None

    def is_spent(self):
        return len(self.acknowledged) + len(self.refused) >= ROWS

    def body(self, number):
        # Rows of many sizes, so that a kill falls between all kinds of pages.
        draw = random.Random(f"{self.seed}-{number}")
        return {"value": f"{self.seed}-{number:04}", "note": "".join(draw.choices("äbc 1\n\"", k=draw.randrange(2_000)))}

    def create(self, client, body):
        value = body["value"]
        with self.lock:
            self.sent[value] = body
        response = client.send("POST", f"/api/{APP}/item", body)
        if response.status != 201:
            self.refused.append(f"POST {value}: {response.status} {response.read(300)!r}")
            return
        # The status alone says that the row is committed, so it counts before its body is here.
        with self.lock:
            self.acknowledged[value] = None
            if len(self.acknowledged) >= self.enough:
                self.is_enough.set()
        row = json.loads(response.read())["data"]
        with self.lock:
            self.acknowledged[value] = row


def run_round(rocket, directory, seed, port):
    """One kill. Returns a line that says what happened; raises RoundFailure with what was lost."""
    draw = random.Random(seed)
    enough, pause = draw.randrange(100, 1_901), draw.uniform(0, 0.005)
    with contextlib.ExitStack() as stack:
        server = Server(rocket, directory, port)
        stack.callback(lambda: server.kill())
        token = server.sign_in()
        admin = Client(server.port, token)
        admin.call("POST", "/api/_platform/apps", {"name": APP}, expect=201)
        admin.call("POST", f"/api/{APP}/_admin/import", {"version": 1, "entities": [ENTITY]})

        load = Load(server, token, seed, enough)
        load.start()
        load.is_enough.wait(timeout=120)
        time.sleep(pause)  # so that the kill does not always follow an answer at once
        load.is_killed = True
        server.kill()
        load.join()
        if load.refused:
            raise RoundFailure("\n".join(load.refused[:5]))
        if len(load.acknowledged) < enough:
            raise RoundFailure(f"only {len(load.acknowledged)} rows in 120 s")

        server = Server(rocket, directory, port)
        rows, problems = all_rows(Client(server.port, server.sign_in()))
        problems += compare(rows, load)
        ready = server.ready_seconds
        server.stop()
        problems += damage(directory)
        if problems:
            raise RoundFailure("\n".join(problems[:20]))
    unsure = len(load.sent) - len(load.acknowledged)
    return (
        f"killed after {len(load.acknowledged)} acknowledged, {unsure} in flight; {len(rows)} rows there, "
        f"ready again in {ready * 1000:.0f} ms"
    )


def all_rows(client):
    rows, problems = [], []
    for page in itertools.count(1):
        answer = client.call("GET", f"/api/{APP}/item?sort=value&per_page=100&page={page}")
        rows += answer["data"]
        if not answer["data"]:
            break
        total = answer["meta"]["total"]
    if rows and total != len(rows):
        problems.append(f"the pages hold {len(rows)} rows, but meta.total is {total}")
    return rows, problems


def compare(rows, load):
    problems = []
    found = {}
    for row in rows:
        value = row["value"]
        if value in found:
            problems.append(f"{value} is there twice: {found[value]['id']} and {row['id']}")
        found[value] = row
        if value not in load.sent:
            problems.append(f"{value} was never sent")
        elif any(row[name] != text for name, text in load.sent[value].items()):
            problems.append(f"{value} has other values than were sent")
    for value, row in load.acknowledged.items():
        if value not in found:
            problems.append(f"{value} was acknowledged and is LOST")
        elif row is not None and row != found[value]:
            problems.append(f"{value} has other values than its answer had: {row} became {found[value]}"[:300])
    return problems


def damage(directory):
    """What SQLite says of a copy of the app's file."""
    copy = directory / "copy.db"
    for suffix in ("", "-wal"):
        source = directory / "data" / "apps" / f"{APP}.db{suffix}"
        if source.exists():
            shutil.copyfile(source, f"{copy}{suffix}")
    with contextlib.closing(sqlite3.connect(copy)) as database:
        found = [row[0] for row in database.execute("PRAGMA integrity_check")]
    return [] if found == ["ok"] else [f"integrity_check: {line}" for line in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / ".build/release/rocket"
    parser.add_argument("rocket", nargs="?", default=default, type=pathlib.Path, help="default: .build/release/rocket")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, help="of the first round; the next ones add one each (default: random)")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    options = parser.parse_args()
    if not os.access(options.rocket, os.X_OK):
        parser.error(f"{options.rocket} is not there: swift build -c release --product rocket")
    first = random.randrange(1_000_000) if options.seed is None else options.seed
    good = 0
    for number in range(options.rounds):
        seed = first + number
        directory = pathlib.Path(tempfile.mkdtemp(prefix="rocket-kill9-"))
        try:
            line = run_round(options.rocket.resolve(), directory, seed, options.port)
        except (RoundFailure, OSError, http.client.HTTPException, ValueError, KeyError) as failure:
            # The folder stays for whoever looks into it: the data, the copy, the server's log.
            print(f"round {number + 1} (seed {seed}): FAILED, see {directory}\n  " + str(failure).replace("\n", "\n  "))
        else:
            good += 1
            shutil.rmtree(directory)
            print(f"round {number + 1} (seed {seed}): {line}", flush=True)
    print(f"{good} of {options.rounds} rounds lost nothing")
    sys.exit(0 if good == options.rounds else 1)


if __name__ == "__main__":
    main()
