#!/usr/bin/env python3
"""Kills a Rocket server with SIGKILL again and again while it writes and sends webhooks, and judges what arrived.

    scripts/kill9_webhooks.py [--kills 20] [--rate 200]
    PGSAFE=1 scripts/with_postgres.sh scripts/kill9_webhooks.py --store postgres

An entity has two asynchronous webhooks. A few threads create records; 5 of 100 requests must fail, for a value that is
taken, or in the second operation of a batch. After the last start the server has time to send what is left. It is a
fault where an acknowledged record is gone; where a record is there of which not both webhooks were told, whether its
writer had an answer or not; where one was told of a write that was refused, rolled back or never stored; and where the
copies of a delivery differ in their `webhook-id` or body. A delivery may come more than once.
"""
import argparse
import collections
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import threading
import time

from kill9 import Client, RoundFailure, Server
from webhook_receiver import Receiver

WRITERS = 8
HOOKS = ["/first", "/second"]
TAKEN = "taken"  # the unique value of the first record
ENTITY = {
    "name": "item",
    "table": "items",
    "soft_delete": False,
    "primary_key": {"field": "id", "type": "uuid", "generated": True},
    "fields": [
        {"name": "id", "type": "uuid"},
        {"name": "marker", "type": "string", "required": True},
        {"name": "code", "type": "string", "unique": True},
        {"name": "number", "type": "int"},
        {"name": "note", "type": "text"},
    ],
}
ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"
SHOWN = 100


# MARK: the app


def management_url(url, app):
    """A management database of its own beside the app's, so that nothing of another run is sent along."""
    return re.sub(r"/[^/]*$", f"/management_{app}", url) if url else None


def make_app(client, app, urls):
    client.call("POST", "/api/_platform/apps", {"name": app}, expect=201)
    client.call("POST", f"/api/{app}/_admin/entities", ENTITY, expect=201)
    for url in urls:
        webhook = {
            "entity": "item", "hook": "after_write", "url": url,
            "retry": {"max_attempts": 100, "backoff": "linear"},
        }
        client.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)


def count_logs(client, app, status):
    answer = client.call("GET", f"/api/{app}/_admin/webhook-logs?status={status}&per_page=1")
    return answer["meta"]["total"]


def wait_until_drained(server, app, seconds):
    """Waits until nothing is left to send, seen twice in a row. Returns how long that took."""
    begin, in_a_row = time.monotonic(), 0
    while in_a_row < 2:
        client = Client(server.port, server.sign_in())  # a token lasts for a quarter of an hour
        left = {status: count_logs(client, app, status) for status in ("pending", "retrying")}
        in_a_row = 0 if any(left.values()) else in_a_row + 1
        if time.monotonic() - begin > seconds:
            raise RoundFailure(f"after {seconds} s there is still to send: {left}")
        time.sleep(0.5)
    return time.monotonic() - begin


def stored_markers(client, app):
    markers = []
    for page in itertools.count(1):
        answer = client.call("GET", f"/api/{app}/item?fields=marker&per_page=100&page={page}")
        markers += [row["marker"] for row in answer["data"]]
        if not answer["data"]:
            return markers


# MARK: writing


class Journal:
    """What the writers were told of each marker."""

    def __init__(self):
        self.lock = threading.Lock()
        self.fates = {}
        self.statuses = collections.Counter()
        self.problems = []

    def note(self, markers, fate):
        with self.lock:
            self.fates |= dict.fromkeys(markers, fate)

    def complain(self, problem):
        with self.lock:
            self.problems.append(problem)

    def of(self, fate):
        return {marker for marker, known in self.fates.items() if known == fate}


class Writers:
    """Create records at a steady rate, on whatever port the server has after its last start."""

    def __init__(self, app, rate, seed, journal):
        self.app, self.interval, self.seed, self.journal = app, WRITERS / rate, seed, journal
        self.place = None  # (port, token)
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(WRITERS)]

    def start(self, server):
        self.move(server)
        for thread in self.threads:
            thread.start()

    def move(self, server):
        self.place = (server.port, server.sign_in())

    def end(self):
        self.is_over.set()
        for thread in self.threads:
            if thread.ident:
                thread.join()

    def work(self, number):
        draw = random.Random(f"{self.seed}-{number}")
        due, place, client = time.monotonic() + draw.uniform(0, self.interval), None, None
        for count in itertools.count():
            if self.is_over.wait(max(0, due - time.monotonic())):
                return
            due = max(due + self.interval, time.monotonic())
            if place != self.place:
                place = self.place
                client = Client(*place)
            try:
                self.write(client, f"{number}-{count}", draw)
            except (OSError, http.client.HTTPException):
                place = None

    def write(self, client, marker, draw):
        markers, is_good = [marker], True
        path, body = f"/api/{self.app}/item", self.body(marker, draw)
        if draw.random() < 0.05:
            is_good = False
            if draw.random() < 0.5:
                body["code"] = TAKEN
            else:
                markers.append(f"{marker}-b")
                rows = [body, self.body(f"{marker}-b", draw) | {"code": TAKEN}]
                operations = [{"method": "POST", "path": "/item", "body": row} for row in rows]
                path, body = f"/api/{self.app}/_batch", {"operations": operations}
        try:
            response = client.send("POST", path, body)
        except ConnectionRefusedError:
            raise  # nothing was sent
        except (OSError, http.client.HTTPException):
            # What must fail is never stored, whether its answer came or not.
            self.journal.note(markers, UNKNOWN if is_good else REFUSED)
            raise
        # The status alone says what became of the write: the kill may cut the rest of the answer short.
        self.journal.note(markers, self.fate(response.status))
        text = response.read()
        with self.journal.lock:
            self.journal.statuses[response.status] += 1
        if response.status != (201 if is_good else 409) and response.status != 503:
            self.journal.complain(f"{marker}: answered {response.status} {text[:200].decode(errors='replace')}")

    @staticmethod
    def body(marker, draw):
        note = "".join(draw.choices('äbc 1\n"', k=draw.randrange(500)))
        return {"marker": marker, "code": f"code of {marker}", "number": draw.randrange(1_000), "note": note}

    @staticmethod
    def fate(status):
        if status < 300:
            return ACKNOWLEDGED
        return REFUSED if status < 500 else UNKNOWN


# MARK: judging


def judge_rows(journal, stored, kills):
    problems = []
    unanswered = len(journal.of(UNKNOWN)) - journal.statuses[503]
    # A kill breaks what a writer has open, and once more where it connects while the process ends.
    explained = 2 * kills * WRITERS
    if unanswered > explained:
        problems.append(f"{unanswered} writes had no answer, and {kills} kills explain at most {explained}")
    problems += [f"{marker} is stored {count} times" for marker, count in collections.Counter(stored).items() if count > 1]
    found = set(stored)
    problems += [f"{marker} was acknowledged and is LOST" for marker in sorted(journal.of(ACKNOWLEDGED) - found)]
    problems += [f"{marker} was refused and is stored" for marker in sorted(journal.of(REFUSED) & found)]
    problems += [f"{marker} is stored and was never sent" for marker in sorted(found - journal.fates.keys())]
    return problems


def by_event(deliveries):
    """The deliveries by webhook and marker, and what cannot be read."""
    events, problems = collections.defaultdict(list), []
    for delivery in deliveries:
        try:
            payload = json.loads(delivery.body)
            marker = payload["record"]["marker"]
            expected = {"event": "after_write", "action": "create", "entity": "item", "idempotency_key": delivery.id}
        except (ValueError, KeyError, TypeError):
            problems.append(f"{delivery.path} got a body that is no event: {delivery.body[:200]!r}")
            continue
        wrong = [f"{key} {payload.get(key)!r}" for key, value in expected.items() if payload.get(key) != value]
        if wrong or not delivery.id:
            problems.append(f"{marker} at {delivery.path}, webhook-id {delivery.id!r}: {', '.join(wrong)}")
        events[delivery.path, marker].append(delivery)
    return events, problems


def judge_events(fates, stored, events):
    """What is wrong with the events, where `stored` are the markers of the records that are there."""
    problems, owners = [], {}
    for marker, hook in itertools.product(sorted(stored), HOOKS):
        if (hook, marker) not in events:
            problems.append(f"{marker} is stored ({fates.get(marker)}), and {hook} was NEVER TOLD")
    for (hook, marker), copies in events.items():
        if marker not in stored:
            problems.append(f"{hook} was told of {marker} ({fates.get(marker)}), which is NOT STORED")
        ids = {copy.id for copy in copies}
        if len(ids) > 1:
            problems.append(f"{marker} at {hook} came with {len(ids)} webhook-ids: {sorted(map(str, ids))}")
        if len({copy.body for copy in copies}) > 1:
            problems.append(f"{marker} at {hook} came with different bodies under {sorted(map(str, ids))}")
        if not any(200 <= copy.status < 300 for copy in copies):
            problems.append(f"{marker} at {hook} was given up before it was answered 2xx")
        for id in ids:
            if owners.setdefault(id, (hook, marker)) != (hook, marker):
                problems.append(f"{marker} at {hook} has the webhook-id of {owners[id]}: {id}")
    return problems


def judge_logs(client, app, stored):
    """The log has a row for each record and webhook, and all of them say delivered."""
    totals = {status: count_logs(client, app, status) for status in ("delivered", "failed", "pending", "retrying")}
    expected = {"delivered": len(HOOKS) * len(stored), "failed": 0, "pending": 0, "retrying": 0}
    return [] if totals == expected else [f"the log has {totals}, and should have {expected}"]


def refuse(problems):
    if problems:
        more = [f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise RoundFailure("\n".join([f"{len(problems)} problems", *problems[:SHOWN], *more]))


# MARK: a run


def run(options, directory):
    """All kills. Returns lines that say what happened; raises RoundFailure with what was wrong."""
    draw, app = random.Random(options.seed), f"kill9_{os.getpid()}"
    url = management_url(options.url if options.store == "postgres" else None, app)
    journal, ready = Journal(), []
    writers = Writers(app, options.rate, options.seed, journal)
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver(delay=options.delay, failures=options.failures, seed=options.seed))
        server = Server(options.binary, directory, 0, url)
        stack.callback(lambda: server.kill())
        stack.callback(writers.end)
        admin = Client(server.port, server.sign_in())
        make_app(admin, app, map(receiver.url, HOOKS))
        first = {"marker": "first", "code": TAKEN}
        admin.call("POST", f"/api/{app}/item", first, expect=201)
        journal.note(["first"], ACKNOWLEDGED)

        writers.start(server)
        for _ in range(options.kills):
            time.sleep(options.seconds_between * draw.uniform(0.5, 1.5))
            if server.process.poll() is not None:
                raise RoundFailure(f"the server ended by itself with {server.process.returncode}: {server.last_words()}")
            server.kill()
            server = Server(options.binary, directory, 0, url)
            ready.append(server.ready_seconds)
            writers.move(server)
        time.sleep(options.seconds_between)
        writers.end()

        drained = wait_until_drained(server, app, options.drain_seconds)
        client = Client(server.port, server.sign_in())
        rows = stored_markers(client, app)
        stored = set(rows)
        deliveries = receiver.deliveries()
        events, problems = by_event(deliveries)
        problems = journal.problems + judge_rows(journal, rows, options.kills) + problems
        problems += judge_events(journal.fates, stored, events) + judge_logs(client, app, stored)
        unknown = journal.of(UNKNOWN)
        refuse(problems)
        server.stop()
    return [
        f"{options.store}, {options.kills} kills, ready again after at most {max(ready, default=0) * 1000:.0f} ms",
        f"writes: {len(journal.of(ACKNOWLEDGED))} acknowledged, {len(journal.of(REFUSED))} refused, "
        f"{len(unknown)} unknown, of which {len(unknown & stored)} are stored; answers {dict(journal.statuses)}",
        f"events: {len(deliveries)} received for {len(events)} deliveries, {len(deliveries) - len(events)} of them "
        f"again; drained {drained:.1f} s after the last write",
    ]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / ".build/release/rocket"
    parser.add_argument("--binary", default=default, type=pathlib.Path, help="default: .build/release/rocket")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--url", default=os.environ.get("TEST_POSTGRES_URL"), help="default: $TEST_POSTGRES_URL")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=float, default=200, help="requests a second (default: 200)")
    parser.add_argument("--seconds-between", type=float, default=2, help="kills, on average (default: 2)")
    parser.add_argument("--drain-seconds", type=float, default=300, help="to send what is left (default: 300)")
    parser.add_argument("--delay", type=float, default=0, help="seconds before the receiver answers (default: 0)")
    parser.add_argument("--failures", type=float, default=0, help="share of deliveries that are answered 500 (default: 0)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        parser.error(f"{options.binary} is not there: swift build -c release --product rocket")
    if options.store == "postgres" and not options.url:
        parser.error("--store postgres needs --url, or scripts/with_postgres.sh before it")
    options.binary = options.binary.resolve()
    return options


def main():
    options = parse()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rocket-kill9-webhooks-"))
    try:
        lines = run(options, directory)
    except (RoundFailure, OSError, http.client.HTTPException, ValueError, KeyError) as failure:
        # The folder stays for whoever looks into it: the data and the server's log.
        print(f"seed {options.seed}: FAILED, see {directory}\n  " + str(failure).replace("\n", "\n  "))
        sys.exit(1)
    shutil.rmtree(directory)
    print("\n".join(lines) + f"\nnothing was lost, nothing was made up (seed {options.seed})")


if __name__ == "__main__":
    main()
