#!/usr/bin/env python3
"""Kills PostgreSQL with SIGKILL while 16 connections read and write through Rocket, starts it again, and judges.

    scripts/with_postgres.sh scripts/outage.py [ROCKET] [--rounds 3] [--seed 1]

A round is lost where an answer is none of 200, 201 and 503, where Rocket is not back to normal within 5 seconds after
PostgreSQL accepts connections, where it ended or was started anew, where an acknowledged row is gone or is there
twice, or where it holds connections that it should not. A row that was sent and not acknowledged may be there or not.
"""
import argparse
import collections
import os
import pathlib
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time

import kill9
from kill9 import APP, ENTITY, Client, RoundFailure, free_port

CONNECTIONS = 16
POOL = 8
RECOVERY_SECONDS = 5


class Postgres:
    """The throw-away server, which this script ends and starts."""

    def __init__(self, url, data):
        self.url, self.data = url, pathlib.Path(data)

    def psql(self, statement, database="postgres"):
        url = re.sub(r"/[^/]*$", f"/{database}", self.url)
        done = subprocess.run(["psql", url, "-XAtc", statement], capture_output=True, text=True, check=False, timeout=10)
        if done.returncode:
            raise RoundFailure(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def accepts(self):
        try:
            return self.psql("SELECT 1") == "1"
        except (RoundFailure, subprocess.TimeoutExpired):
            return False

    def kill(self):
        postmaster = int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        children = subprocess.run(["pgrep", "-P", str(postmaster)], capture_output=True, text=True, check=False)
        for process in [postmaster, *map(int, children.stdout.split())]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # In a container whose first process reaps nobody, the dead one would be taken for one that lives.
        for left in [self.data / "postmaster.pid", *self.data.parent.glob(".s.PGSQL.*")]:
            left.unlink(missing_ok=True)

    def start(self):
        """As it was started before, by whom it was started before. Returns when it accepts connections."""
        command = shlex.split((self.data / "postmaster.opts").read_text(encoding="utf-8"))
        owner = self.data.stat().st_uid
        log = open(self.data / "server.log", "ab")
        subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True,
            user=owner if os.geteuid() == 0 else None,
        )
        begin = time.monotonic()
        while not self.accepts():
            if time.monotonic() - begin > 60:
                raise RoundFailure("PostgreSQL did not come back in 60 s")
            time.sleep(0.02)
        return time.monotonic()


class Rocket:
    def __init__(self, binary, url, directory):
        self.port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
        environment |= {"ROCKET_LOG_LEVEL": "critical", "ROCKET_APP_POOL_SIZE": str(POOL)}
        url = re.sub(r"/[^/]*$", "/rocket", url)
        self.log = open(directory / "server.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [binary, "serve", "--port", str(self.port), "--database-url", url],
            cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        for _ in range(1500):
            try:
                if Client(self.port).send("GET", "/ready").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise RoundFailure("Rocket was not ready after 30 s")

    def connections(self):
        """Sockets to PostgreSQL that the process has open: all of its TCP sockets but those of its own clients."""
        done = subprocess.run(["ss", "-tnpH"], capture_output=True, text=True, check=False)
        return sum(
            f"pid={self.process.pid}," in line and f":{self.port} " not in line for line in done.stdout.splitlines()
        )

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


class Load:
    def __init__(self, rocket, token, round_name):
        self.rocket, self.token, self.round_name = rocket, token, round_name
        self.lock = threading.Lock()
        self.acknowledged = {}
        self.sent = set()
        self.answers = []  # (when, status)
        self.problems = []
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(CONNECTIONS)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        client, count, last = Client(self.rocket.port, self.token), 0, None
        while not self.is_over.is_set():
            count += 1
            try:
                if count % 2 or last is None:
                    value = f"{self.round_name}-{number}-{count}"
                    with self.lock:
                        self.sent.add(value)
                    response = client.send("POST", f"/api/{APP}/item", {"value": value})
                    text = response.read()
                    if response.status == 201:
                        last = kill9.json.loads(text)["data"]["id"]
                        with self.lock:
                            self.acknowledged[value] = last
                else:
                    response = client.send("GET", f"/api/{APP}/item/{last}")
                    text = response.read()
            except (OSError, kill9.http.client.HTTPException) as error:
                self.problems.append(f"a connection to Rocket failed: {error!r}")
                return
            with self.lock:
                self.answers.append((time.monotonic(), response.status))
            if response.status not in (200, 201, 503):
                self.problems.append(f"{response.status} {text[:200]!r}")
            if response.status == 503:
                time.sleep(0.01)  # a client that does not hammer

    def end(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def run_round(postgres, rocket, number, draw):
    token = Client(rocket.port).call(
        "POST", "/api/_platform/auth/login", {"email": "platform@localhost", "password": "changeme"}
    )["data"]["access_token"]
    load = Load(rocket, token, str(number))
    time.sleep(draw.uniform(1, 3))
    killed = time.monotonic()
    postgres.kill()
    time.sleep(draw.uniform(0.2, 4))
    back = postgres.start()
    time.sleep(RECOVERY_SECONDS + 3)
    load.end()
    problems = load.problems[:10]
    if rocket.process.poll() is not None:
        raise RoundFailure("Rocket ended")
    late = [when for when, status in load.answers if status == 503 and when > back + RECOVERY_SECONDS]
    if late:
        problems.append(f"{len(late)} answers of 503 later than {RECOVERY_SECONDS} s after PostgreSQL was back")
    good = [when for when, status in load.answers if status != 503 and when > back]
    if not good:
        raise RoundFailure("nothing was answered after PostgreSQL was back")
    rows = postgres.psql("SELECT value FROM items", f"rocket_{APP}").splitlines()
    counts = collections.Counter(rows)
    problems += [f"{value} was acknowledged and is LOST" for value in load.acknowledged if not counts[value]]
    problems += [f"{value} is there {count} times" for value, count in counts.items() if count > 1]
    held = int(postgres.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rocket'"))
    if held != rocket.connections():
        problems.append(f"PostgreSQL has {held} connections of Rocket's, which has {rocket.connections()} sockets")
    # The app's pool, the management's pool, the one for making databases, the listener.
    if held > POOL + POOL + 2 + 1:
        problems.append(f"{held} connections")
    if problems:
        raise RoundFailure("\n".join(problems[:20]))
    down = [when for when, status in load.answers if status == 503]
    return (
        f"down for {back - killed:.1f} s; {len(load.answers)} answers, {len(down)} of them 503, the last "
        f"{max([0.0, *(when - back for when in down)]):.2f} s after PostgreSQL was back; "
        f"{len(load.acknowledged)} rows acknowledged, all there; {held} connections"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / ".build/release/rocket"
    parser.add_argument("rocket", nargs="?", default=default, type=pathlib.Path, help="default: .build/release/rocket")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    url, data = os.environ.get("TEST_POSTGRES_URL"), os.environ.get("TEST_POSTGRES_DATA")
    if not url or not data:
        parser.error("run it as scripts/with_postgres.sh scripts/outage.py")
    postgres, draw, good = Postgres(url, data), random.Random(options.seed), 0
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rocket-outage-"))
    rocket = Rocket(options.rocket.resolve(), url, directory)
    try:
        token = Client(rocket.port).call(
            "POST", "/api/_platform/auth/login", {"email": "platform@localhost", "password": "changeme"}
        )["data"]["access_token"]
        admin = Client(rocket.port, token)
        admin.call("POST", "/api/_platform/apps", {"name": APP}, expect=201)
        admin.call("POST", f"/api/{APP}/_admin/import", {"version": 1, "entities": [ENTITY]})
        for number in range(options.rounds):
            try:
                line = run_round(postgres, rocket, number, draw)
            except RoundFailure as failure:
                print(f"round {number + 1} (seed {options.seed}): FAILED\n  " + str(failure).replace("\n", "\n  "))
                continue
            good += 1
            print(f"round {number + 1} (seed {options.seed}): {line}", flush=True)
    finally:
        rocket.stop()
    print(f"{good} of {options.rounds} rounds went as they must")
    sys.exit(0 if good == options.rounds else 1)


if __name__ == "__main__":
    main()
