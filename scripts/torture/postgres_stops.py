#!/usr/bin/env python3
"""Stops PostgreSQL every few seconds under the load of 16 connections, and compares what is there with the journal.

    PGSAFE=1 scripts/with_postgres.sh scripts/torture/postgres_stops.py --minutes 10      (the full form)
    PGSAFE=1 scripts/with_postgres.sh scripts/torture/postgres_stops.py --minutes 1       (the short form)
    … --kill-server                the server is killed with SIGKILL in between, too

PostgreSQL is ended by SIGKILL, by `pg_ctl stop -m immediate`, by `-m fast`, or held by SIGSTOP for some seconds, each
as often as the others, and comes back. Meanwhile rows are created, some with an Idempotency-Key under which they are
sent again until there is an answer; parents with five children; values are changed under If-Match; money is moved
between two accounts in a batch; parents come with their children in a batch that has a key; rows that were acknowledged
are read; two webhooks are told of each item; a job starts
a workflow.

It is a fault
- where an answer is none of those that the request may have; where one takes longer than LONGEST_ANSWER; where a
  connection to a server that lives breaks; where answers are still 503 five seconds after PostgreSQL is back
- where an acknowledged row is gone, there twice, or has other values; where a row is there that was never sent or was
  refused, also by a 503 that does not say that it may have been stored; where keys that were sent again made two rows
- where a parent has not all of its children; where a value is there that is older than the last one that was known;
  where money came or went
- where a stored item was not told to both webhooks, or with two ids; where one was told of what is not there; where a
  job has not exactly one finished instance, each of whose effects is there once
- where PostgreSQL has other connections of the server's than the server has
- where nothing was tried: no acknowledged writes of a kind, no stops, no unknown outcome
"""
import contextlib
import collections
import http.client
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import tries
from journal import (
    ACKNOWLEDGED, UNKNOWN, Journal, compare_nested, compare_rows, compare_stories, figures, landed, read,
)
from kill9 import Client, RoundFailure, Server
from kill9_webhooks import HOOKS, by_event, judge_events, management_url, refuse, wait_until_drained
from kill9_workflows import (
    PATH, WORKFLOW, CallReceiver, entity, judge_calls, judge_starts, pages, shown, text, wait_until_ended,
)
from outage import Postgres
from webhook_receiver import Receiver

CONNECTIONS = 16
POOL = 8
CHILDREN = 5
RECOVERY_SECONDS = 5
LONGEST_PAUSE = 4
# Who waits for a connection does so for 10 s at most (docs/operations.md); what runs waits while PostgreSQL is held.
LONGEST_ANSWER = LONGEST_PAUSE + 10
STOPS = ["kill", "immediate", "fast", "pause"]
SIGN_IN_SECONDS = 240  # a token lasts for a quarter of an hour
START_MONEY = [1_000, 1_000]
# How often each is done, in shares.
MIX = {
    "create": 4, "keyed": 3, "nested": 2, "keyed_nested": 1, "batch": 1, "read": 5, "change": 3, "move": 2, "job": 0.5,
}
WRITES = ["create", "keyed", "nested", "keyed_nested", "batch", "update", "job"]  # as the journal names them
STEPS = [("begin", "completed"), ("tell", "completed"), ("keep", "completed")]


# MARK: the app

def whole(name):
    return {"name": name, "type": "int"}


# Nothing here is unique: the database must not be what keeps a row from being there twice.
ENTITIES = [
    entity("item", text("marker", required=True), whole("number"), {"name": "note", "type": "text"}),
    entity("parent", text("marker", required=True), whole("number")),
    entity("line", text("marker", required=True), whole("position"), {"name": "parent_id", "type": "uuid"}),
    entity("counter", text("marker", required=True), whole("value")),
    entity("account", text("marker", required=True), whole("balance")),
    entity("job", text("marker", required=True), whole("number"), text("status")),
    entity("trace", text("item_id"), text("place")),
    entity("note", text("item_id"), text("marker"), text("text")),
]
LINES = {
    "name": "lines", "type": "one_to_many", "source": "parent", "target": "line", "source_key": "id",
    "target_key": "parent_id", "on_delete": "cascade", "inverse": "parent",
}


def workflow(url):
    def trace(place):
        return {"type": "create_record", "entity": "trace", "values": {"item_id": "context.id", "place": place}}

    note = {
        "item_id": "context.id", "marker": "context.marker",
        "text": {"expression": "context.marker + ' has ' + context.number"},
    }
    status = {"type": "set_field", "entity": "job", "record_id": "context.id", "field": "status"}
    return {
        "name": WORKFLOW,
        "trigger": {"type": "record", "entity": "job", "action": "create"},
        "context": {"id": "trigger.record_id", "marker": "record.marker", "number": "record.number"},
        "steps": [
            {"id": "begin", "type": "action", "then": "tell", "actions": [status | {"value": "begun"}]},
            {
                # A step that is cut by its call has effects before it and after it.
                "id": "tell", "type": "action", "then": "keep",
                "actions": [trace("before"), {"type": "webhook", "url": url, "result": "answer"}, trace("after")],
            },
            {
                "id": "keep", "type": "action",
                "actions": [
                    {"type": "create_record", "entity": "note", "values": note}, status | {"value": "kept"},
                ],
            },
        ],
    }


def make_app(client, app, hooks, call):
    define(client, app)
    add_calls(client, app, hooks, call)


def define(client, app):
    client.call("POST", "/api/_platform/apps", {"name": app}, expect=201)
    client.call("POST", f"/api/{app}/_admin/import", {"version": 1, "entities": ENTITIES, "relations": [LINES]})


def add_calls(client, app, hooks, call):
    for url in hooks:
        webhook = {
            "entity": "item", "hook": "after_write", "url": url, "retry": {"max_attempts": 100, "backoff": "linear"},
        }
        client.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
    client.call("POST", f"/api/{app}/_admin/workflows", workflow(call), expect=201)


def configure(directory, request_timeout=30, call_timeout=10):
    """`Server` keeps the environment from its process, and has it look into this folder."""
    (directory / "app.yaml").write_text(
        f"app_pool_size: {POOL}\nserver:\n  request_timeout_s: {request_timeout}\n"
        f"webhooks:\n  timeout_s: {call_timeout}\n",
        encoding="utf-8",
    )


# MARK: load


class Answer:
    def __init__(self, status, body, headers):
        self.status, self.body, self.headers = status, body, headers

    @property
    def data(self):
        return json.loads(self.body)["data"]


class Load:
    """All clients, and what they share. Its token may be set while it runs."""

    def __init__(self, port, app, token, journal, seed, rate, longest=LONGEST_ANSWER, mix=None):
        self.port, self.app, self.token, self.journal, self.seed = port, app, token, journal, seed
        self.interval, self.longest, self.mix = CONNECTIONS / rate, longest, mix or MIX
        self.lock = threading.Lock()
        self.answers = []  # (when, status, seconds, kind); the status is 0 where there was none
        self.problems = []
        self.kills, self.is_server_down = 0, False
        self.is_hurried = False
        self.is_over = threading.Event()
        self.workers = [Worker(self, number) for number in range(CONNECTIONS)]

    def start(self):
        for worker in self.workers:
            worker.prepare()
        for worker in self.workers:
            worker.start()

    def end(self):
        self.is_over.set()
        for worker in self.workers:
            if worker.ident:
                worker.join()

    def next_due(self, last):
        """When a client does something again."""
        return max(last + self.interval, time.monotonic())

    def explains(self, error, kills, is_answered):
        """Whether a connection may have failed so since the server was killed so often."""
        return self.is_server_down or kills != self.kills

    @contextlib.contextmanager
    def hurried(self, seconds=0.4):
        """As quick as it goes, so that something is under way on all connections when a fault comes."""
        self.is_hurried = True
        time.sleep(seconds)
        yield
        self.is_hurried = False

    def complain(self, problem):
        with self.lock:
            self.problems.append(problem)

    def note(self, status, seconds, kind):
        with self.lock:
            self.answers.append((time.monotonic(), status, seconds, kind))


class Worker(threading.Thread):
    """One client: what it does comes from its seed, as far as the answers let it."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number, self.draw = load, number, random.Random(f"{load.seed}-{number}")
        self.client = Client(load.port)
        self.client.connection.timeout = load.longest + 10
        self.kills = 0  # how often the server had been killed when the connection was made
        self.markers, self.made = 0, []  # (entity, id, marker) of what was acknowledged
        self.counter = Value("counter", f"counter {number}")
        self.pair = Value("account", f"pair {number}")

    def prepare(self):
        """What it changes later, made before anything is stopped."""
        admin = Client(self.load.port, self.load.token)
        for value, field, start in ((self.counter, "value", [0]), (self.pair, "balance", START_MONEY)):
            for index, amount in enumerate(start):
                body = {"marker": f"{value.marker}-{index}", field: amount}
                row = admin.call("POST", f"/api/{self.load.app}/{value.entity}", body, expect=201)["data"]
                value.ids.append(row["id"])
            self.load.journal.seen(value.entity, value.marker, start)

    def run(self):
        kinds, shares = zip(*self.load.mix.items())
        due = time.monotonic() + self.draw.uniform(0, self.load.interval)
        while not self.load.is_over.wait(0 if self.load.is_hurried else max(0, due - time.monotonic())):
            due = self.load.next_due(due)
            kind = self.draw.choices(kinds, shares)[0]
            try:
                getattr(self, kind)()
            except (LookupError, ValueError, TypeError) as error:
                self.load.complain(f"{kind}: an answer that is none: {error!r}")

    # MARK: requests

    def ask(self, kind, method, path, body=None, **headers):
        """The answer, and what broke the connection; None for what there was not.

        An answer whose body was cut short is one where its status says that a write is committed, and none otherwise.
        """
        load, begin, kills = self.load, time.monotonic(), self.load.kills
        if kills != self.kills:
            self.client.connection.close()  # to a server that is no more
            self.kills = kills
        self.client.headers = {
            "Content-Type": "application/json", "Authorization": f"Bearer {load.token}", **headers,
        }
        answer, error = None, None
        try:
            response = self.client.send(method, f"/api/{load.app}{path}", body)
            answer = Answer(response.status, b"", response.headers)
            answer.body = response.read()
        except (OSError, http.client.HTTPException) as broken:
            error, is_answered = broken, answer is not None
            self.client.connection.close()
            answer = answer if answer and answer.status < 300 else None
        load.note(answer.status if answer else 0, time.monotonic() - begin, kind)
        if isinstance(error, TimeoutError):
            load.complain(f"HANG: {kind} {method} {path} had no answer in {time.monotonic() - begin:.1f} s")
        elif error and not load.explains(error, kills, is_answered):
            load.complain(f"{kind} {method} {path}: a connection to a server that lives failed: {error!r}")
        if error and load.is_server_down:
            time.sleep(0.1)
        return answer, error

    def write(self, kind, entity, marker, method, path, body, *, value=None, key=None, expect=(201, 503), **headers):
        """Sends a write and journals it, by its `value` where the body is not it. Returns its answer, or None, and its
        fate."""
        journal = self.load.journal
        if key:
            headers["Idempotency-Key"] = key
        number = journal.sent(kind, entity, marker, value or body, key)
        answer, error = self.ask(kind, method, path, body, **headers)
        if answer is None:
            return None, journal.lost(number, error)
        more = {"replayed": True} if answer.headers.get("Idempotency-Replayed") else {}
        if answer.status < 300 and kind != "update" and error is None:
            more["id"] = answer.data[0]["data"]["id"] if kind == "batch" else answer.data["id"]
            self.made.append((entity, more["id"], marker))
        fate = journal.answered(number, answer.status, answer.body, **more)
        if answer.status not in expect:
            said = answer.body[:300].decode(errors="replace")
            self.load.complain(f"{kind} {marker}: answered {answer.status} {said}")
        if answer.status == 503:
            time.sleep(0.02)  # a client that does not hammer
        return answer if error is None else None, fate

    def marker(self):
        self.markers += 1
        return f"{self.number}-{self.markers}"

    def row(self, marker):
        note = "".join(self.draw.choices('äbc 1\n"', k=self.draw.randrange(200)))
        return {"marker": marker, "number": self.draw.randrange(1_000), "note": note}

    # MARK: what it does

    def create(self):
        marker = self.marker()
        self.write("create", "item", marker, "POST", "/item", self.row(marker))

    def nested(self):
        marker = self.marker()
        self.write("nested", "parent", marker, "POST", "/parent", self.family(marker))

    def keyed(self):
        marker = self.marker()
        self.repeat("keyed", "item", marker, "/item", self.row(marker))

    def keyed_nested(self):
        marker = self.marker()
        self.repeat("keyed_nested", "parent", marker, "/parent", self.family(marker))

    def batch(self):
        """A parent and its children again, as operations of their own."""
        marker = self.marker()
        family = self.family(marker)
        lines = family["lines"]
        operations = [{"method": "POST", "path": "/parent", "body": {"marker": marker, "number": family["number"]}}]
        operations += [{"method": "POST", "path": "/line", "body": {**line, "parent_id": "$0.id"}} for line in lines]
        self.repeat(
            "batch", "parent", marker, "/_batch", {"operations": operations}, value=family, expect=(200, 503)
        )

    def family(self, marker):
        lines = [{"marker": f"{marker}/{position}", "position": position} for position in range(CHILDREN)]
        return {"marker": marker, "number": self.draw.randrange(1_000), "lines": lines}

    def repeat(self, kind, entity, marker, path, body, **more):
        """The same with the same key until there is an answer that says that it is done."""
        key = str(uuid.UUID(int=self.draw.getrandbits(128)))
        while not self.load.is_over.is_set():
            first, fate = self.write(kind, entity, marker, "POST", path, body, key=key, **more)
            if fate == ACKNOWLEDGED:
                break
            time.sleep(self.draw.uniform(0.05, 0.3))
        else:
            return
        # And once more where nothing was wrong: nothing new may come of it.
        if self.draw.random() < 0.1:
            again, fate = self.write(kind, entity, marker, "POST", path, body, key=key, **more)
            if fate == ACKNOWLEDGED and first and again and again.body != first.body:
                bodies = [answer.body[:300] for answer in (first, again)]
                self.load.complain(f"{kind} {marker}: the first answer and that of the same key again are {bodies}")
            if fate == ACKNOWLEDGED and again and not again.headers.get("Idempotency-Replayed"):
                self.load.complain(f"{kind} {marker}: sent again it was carried out again")

    def job(self):
        marker = self.marker()
        body = {"marker": marker, "number": self.draw.randrange(1_000)}
        self.write("job", "job", marker, "POST", "/job", body)

    def read(self):
        if not self.made:
            return
        name, id, marker = self.draw.choice(self.made[-500:])
        answer, _ = self.ask("read", "GET", f"/{name}/{id}")
        if answer and answer.status == 200 and answer.data["marker"] != marker:
            self.load.complain(f"{name} {id} is not {marker}: {answer.body[:200]!r}")
        elif answer and answer.status not in (200, 503):
            self.load.complain(f"{marker} was acknowledged, and reading it is {answer.status} {answer.body[:200]!r}")

    def look(self, value, field):
        """Reads what it changes, with the versions. Returns whether that went well."""
        rows, etags = [], []
        for id in value.ids:
            answer, _ = self.ask("look", "GET", f"/{value.entity}/{id}")
            if answer is None or answer.status != 200:
                if answer and answer.status != 503:
                    self.load.complain(f"{value.marker}: reading it is {answer.status} {answer.body[:200]!r}")
                return False
            rows.append(answer.data[field])
            etags.append(answer.headers["ETag"])
        if value.entity == "account" and sum(rows) != sum(START_MONEY):
            # The two are read one after the other, and a write without an answer may have come in between.
            value.torn += 1
            if value.torn > 3:
                self.load.complain(f"{value.marker} has {rows}: money came or went")
            return False
        self.load.journal.seen(value.entity, value.marker, rows)
        value.torn, value.rows, value.etags = 0, rows, etags
        return True

    def change(self):
        if self.counter.etags or self.look(self.counter, "value"):
            self.counter.last += 1
            value, id = [self.counter.last], self.counter.ids[0]
            version = {"If-Match": self.counter.etags[0]}
            self.put(self.counter, value, "PUT", f"/counter/{id}", {"value": value[0]}, version)

    def move(self):
        """Money from one account to the other, or back, in one batch."""
        pair = self.pair
        if not (pair.etags or self.look(pair, "balance")):
            return
        amount = self.draw.choice([-1, 1]) * self.draw.randrange(1, 50)
        rows = [pair.rows[0] - amount, pair.rows[1] + amount]
        operations = [
            {"method": "PUT", "path": f"/account/{id}", "body": {"balance": balance}, "if_match": etag}
            for id, balance, etag in zip(pair.ids, rows, pair.etags)
        ]
        self.put(pair, rows, "POST", "/_batch", {"operations": operations}, {})

    def put(self, value, rows, method, path, body, headers):
        """Changes it on top of the version that is known."""
        answer, fate = self.write(
            "update", value.entity, value.marker, method, path, body, value=rows, expect=(200, 412, 503), **headers
        )
        if fate == ACKNOWLEDGED:
            value.may_have_changed = False
        elif fate == UNKNOWN:
            value.may_have_changed = True
        elif answer and answer.status == 412 and not value.may_have_changed:
            self.load.complain(f"{value.marker}: 412, and nobody else changes it")
        value.etags = None
        if fate == ACKNOWLEDGED and answer and answer.body:
            value.rows = rows
            value.etags = [answer.headers["ETag"]] if len(rows) == 1 else [result["etag"] for result in answer.data]


class Value:
    """What one client changes again and again: a row, or two together."""

    def __init__(self, entity, marker):
        self.entity, self.marker, self.ids = entity, marker, []
        self.rows, self.etags, self.torn, self.may_have_changed = None, None, 0, False
        self.last = 0  # what was tried; no value is tried twice


# MARK: what is there


class World:
    """What is there at the end, as the server tells it."""

    def __init__(self, client, app, deliveries, calls):
        self.rows = {definition["name"]: all_rows(client, app, definition["name"]) for definition in ENTITIES}
        self.told = deliveries
        # As kill9_workflows.py judges them.
        self.items = {row["id"]: row for row in self.rows["job"]}
        self.instances = {row["id"]: row for row in pages(client, f"/api/{app}/_workflows?workflow={WORKFLOW}")}
        self.deliveries = calls

    def values(self, entity, field):
        """Of what the clients changed, by their markers."""
        values = collections.defaultdict(list)
        for row in sorted(self.rows[entity], key=lambda row: row["marker"]):
            values[row["marker"].rsplit("-", 1)[0]].append(row[field])
        return values


def all_rows(client, app, name):
    """By the key, so that a hundred thousand of them take their time once."""
    rows, behind = [], ""
    while True:
        answer = client.call("GET", f"/api/{app}/{name}?sort=id&per_page=100&count=none{behind}")["data"]
        rows += answer
        if not answer:
            return rows
        behind = f"&filter[id.gt]={answer[-1]['id']}"


def judge(record, world):
    """All that is wrong with what is there."""
    problems = []
    for name in ("item", "parent", "job"):
        problems += compare_rows(record.groups(name), world.rows[name])
    problems += compare_nested(record.groups("parent"), world.rows["parent"], world.rows["line"], "lines", "parent_id")
    problems += compare_stories(record.stories("counter"), world.values("counter", "value"))
    problems += compare_stories(record.stories("account"), world.values("account", "balance"))
    problems += judge_money(world)
    problems += judge_told(record, world)
    problems += judge_starts(world, record.fates("job")) + judge_calls(world) + judge_jobs(world)
    return problems


def judge_money(world):
    there, started = sum(row["balance"] for row in world.rows["account"]), CONNECTIONS * sum(START_MONEY)
    return [] if there == started else [f"there were {started} in all accounts, and there are {there}"]


def judge_told(record, world):
    stored = {row["marker"] for row in world.rows["item"]}
    events, problems = by_event(world.told)
    return problems + judge_events(record.fates("item"), stored, events)


def judge_jobs(world):
    problems = []
    notes, traces = collections.defaultdict(list), collections.Counter()
    for note in world.rows["note"]:
        notes[note["item_id"]].append(note["text"])
    for trace in world.rows["trace"]:
        traces[trace["item_id"], trace["place"]] += 1
    for instance in world.instances.values():
        history = [(entry["step"], entry["status"]) for entry in instance["history"]]
        if instance["status"] != "completed" or history != STEPS:
            error = [entry.get("error") for entry in instance["history"]]
            problems.append(f"{shown(instance)} is {instance['status']} with the history {history} {error}")
    for id, job in world.items.items():
        counts = [traces[id, "before"], traces[id, "after"]]
        if notes[id] != [f"{job['marker']} has {job['number']}"] or counts != [1, 1] or job["status"] != "kept":
            problems.append(f"{job['marker']} is {job['status']}, has the notes {notes[id]}, traces {counts}")
    strange = (notes.keys() | {id for id, _ in traces}) - world.items.keys()
    return problems + [f"there is a note or trace of {id}, which is no job" for id in strange if id]


def judge_efforts(record, kinds, needs_unknown):
    """A run that tried nothing found nothing."""
    problems = [f"no {kind} was acknowledged" for kind in kinds if not record.count(ACKNOWLEDGED, [kind])]
    if needs_unknown and not record.count(UNKNOWN):
        problems.append("no write had an unknown outcome: nothing was stopped in the middle of one")
    return problems


def judge_answers(answers, quiet, longest):
    """`quiet` are the times, from and to, at which nothing is wrong any more: nothing may be 503."""
    problems = []
    slow = [(seconds, kind) for _, _, seconds, kind in answers if seconds > longest]
    if slow:
        problems.append(f"{len(slow)} answers took longer than {longest:g} s, the slowest {max(slow)}")
    for begin, end in quiet:
        within = [status for when, status, _, _ in answers if begin <= when < end]
        late = sum(status == 503 for status in within)
        if late:
            problems.append(f"{late} of {len(within)} answers were 503 {RECOVERY_SECONDS} s after all was well again")
    return problems


# MARK: stops


class StoppedPostgres(Postgres):
    """Ends or holds the server, and brings it back."""

    def stop(self, way):
        if way == "kill":
            self.kill()
        elif way == "pause":
            self.signal(signal.SIGSTOP)
        else:
            self.control("stop", "-m", way)

    def come_back(self, way):
        """Returns when it accepts connections."""
        if way != "pause":
            return self.start()
        self.signal(signal.SIGCONT)
        return time.monotonic()

    def control(self, *words):
        owner = self.data.stat().st_uid if os.geteuid() == 0 else None
        command = ["pg_ctl", "-D", self.data, "-w", "-t", "30", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", user=owner)
        if done.returncode:
            raise RoundFailure(f"pg_ctl {' '.join(words)}: {done.stdout} {done.stderr}")

    def signal(self, number):
        """To the first process before the others, so that it makes no new ones meanwhile."""
        first = int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        os.kill(first, number)
        children = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True, check=False)
        for process in map(int, children.stdout.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


def sockets(server, port):
    """The server's own sockets to a port."""
    command = ["ss", "-tnpH", "state", "established", f"( dport = :{port} )"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return sum(f"pid={server.process.pid}," in line for line in done.stdout.splitlines())


def judge_connections(postgres, server, port, patience=5):
    """PostgreSQL and the server must agree about the connections there are. Returns how many, and what is wrong."""
    begin = time.monotonic()
    while True:
        held = int(postgres.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rocket'"))
        own = sockets(server, port)
        if held == own or time.monotonic() - begin > patience:
            break
        time.sleep(0.2)  # some are just being made or ended
    problems = [] if held == own else [f"PostgreSQL has {held} connections of the server's, which has {own} sockets"]
    # The app's pool, the management's, the one for making databases, the listener.
    if held > POOL + POOL + 2 + 1:
        problems.append(f"{held} connections")
    return held, problems


class Stop:
    def __init__(self, way, begin, back, killed):
        self.way, self.begin, self.back, self.killed = way, begin, back, killed


class Run:
    """A server, PostgreSQL, the load on them, and what is done to them."""

    def __init__(self, options, directory, seed, postgres):
        self.options, self.directory, self.postgres = options, directory, postgres
        self.draw, self.app, self.stops = random.Random(seed), f"stops_{os.getpid()}_{seed}", []
        self.url = management_url(options.url, self.app)
        self.server = Server(options.rocket, directory, 0, self.url)
        self.load, self.signed_in = None, 0.0

    def begin(self, journal, seed, hooks, call):
        make_app(Client(self.server.port, self.server.sign_in()), self.app, hooks, call)
        token = self.server.sign_in()
        self.load = Load(self.server.port, self.app, token, journal, seed, self.options.rate)
        self.signed_in = time.monotonic()
        self.load.start()

    def sign_in_again(self):
        if time.monotonic() - self.signed_in > SIGN_IN_SECONDS:
            self.load.token, self.signed_in = self.server.sign_in(), time.monotonic()

    def go(self, seconds):
        end, ways = time.monotonic() + seconds, []
        while time.monotonic() < end:
            if not ways:
                ways = random.Random(self.draw.random()).sample(STOPS, len(STOPS))
            time.sleep(self.draw.uniform(2, 8))
            if self.server.process.poll() is not None:
                raise RoundFailure(f"the server ended by itself: {self.server.last_words()}")
            self.sign_in_again()
            self.stop_once(ways.pop())
            last = self.stops[-1]
            print(f"  {last.way}, back after {last.back - last.begin:.1f} s", file=sys.stderr)
        time.sleep(RECOVERY_SECONDS + 2)

    def stop_once(self, way):
        begin, kills = time.monotonic(), self.options.kill_server and self.draw.random() < 0.6
        is_first = self.draw.random() < 0.5
        with self.load.hurried():
            if kills and is_first:
                self.kill_server()
            self.postgres.stop(way)
        time.sleep(self.draw.uniform(0.2, 3))
        if kills and not is_first:
            self.kill_server()
        back = self.postgres.come_back(way)
        if kills:
            self.start_server()
            back = time.monotonic()
        self.stops.append(Stop(way, begin, back, kills))

    def kill_server(self):
        self.load.is_server_down = True
        self.load.kills += 1
        self.server.kill()

    def start_server(self):
        self.server = Server(self.options.rocket, self.directory, self.load.port, self.url)
        self.load.is_server_down = False
        return self.server

    def quiet_times(self):
        ends = [stop.begin for stop in self.stops[1:]] + [time.monotonic()]
        times = [(stop.back + RECOVERY_SECONDS, end) for stop, end in zip(self.stops, ends)]
        return [(begin, end) for begin, end in times if begin < end]


def run_try(options, directory, seed):
    """Returns lines that say what happened; raises RoundFailure with what was wrong."""
    postgres = StoppedPostgres(options.url, options.data)
    configure(directory)
    with contextlib.ExitStack() as stack:
        receiver, called = stack.enter_context(Receiver()), stack.enter_context(CallReceiver())
        journal = Journal(directory / "journal.jsonl")
        run = Run(options, directory, seed, postgres)
        stack.callback(lambda: run.server.kill())
        run.begin(journal, seed, map(receiver.url, HOOKS), called.url(PATH))
        stack.callback(lambda: run.load.end())
        run.go(60 * options.minutes)
        run.load.end()
        held, problems = judge_connections(postgres, run.server, postgres_port(options.url))
        run.server, drained, stuck = settle(run.server, run.app, options.drain_seconds, run.start_server)
        problems += stuck
        record = read(journal.path)
        world = World(
            Client(run.server.port, run.server.sign_in()), run.app, receiver.deliveries(), called.deliveries()
        )
        problems += run.load.problems + judge_answers(run.load.answers, run.quiet_times(), LONGEST_ANSWER)
        problems += judge(record, world) + judge_efforts(record, WRITES, needs_unknown=True)
        if {stop.way for stop in run.stops} != set(STOPS):
            problems.append(f"only {[stop.way for stop in run.stops]} were tried")
        refuse(problems)
        run.server.stop()
        return describe(run, record, world, held, drained)


def settle(server, app, seconds, start_again):
    """Waits until all is sent and done. Returns the server, how long that took, and what is wrong.

    Where it does not happen by itself the server is started anew, so that what is stuck is told from what is lost.
    """
    begin = time.monotonic()
    try:
        wait_until_drained(server, app, seconds)
        wait_until_ended(server, app, seconds)
        return server, time.monotonic() - begin, []
    except RoundFailure as failure:
        problems = [f"STUCK: {str(failure)[:500]}"]
    server.kill()
    server, begin = start_again(), time.monotonic()
    try:
        wait_until_drained(server, app, seconds)
        wait_until_ended(server, app, seconds)
        problems.append(f"(a new process of the server needed {time.monotonic() - begin:.0f} s for it)")
    except RoundFailure as failure:
        problems.append(f"STUCK, and a new process of the server does not help: {str(failure)[:500]}")
    return server, time.monotonic() - begin, problems


def postgres_port(url):
    return int(re.search(r":(\d+)/", url).group(1))


def describe(run, record, world, held, drained):
    ways = collections.Counter(stop.way for stop in run.stops)
    down = [stop.back - stop.begin for stop in run.stops]
    statuses = collections.Counter(status for _, status, _, _ in run.load.answers)
    came, did_not = landed(record, "item", world.rows["item"])
    rows = {name: len(world.rows[name]) for name in ("item", "parent", "line", "job")}
    ends = [stop.begin for stop in run.stops[1:]] + [time.monotonic()]
    last = [
        max([0.0, *(when - stop.back for when, status, _, _ in run.load.answers
                    if status == 503 and stop.back < when < min(end, stop.back + RECOVERY_SECONDS))])
        for stop, end in zip(run.stops, ends)
    ]
    return [
        f"{len(run.stops)} stops {dict(ways)}, {sum(stop.killed for stop in run.stops)} with a kill of the server; "
        f"away {sum(down):.0f} s in all; the last 503 {max(last):.2f} s after PostgreSQL was back",
        f"{len(run.load.answers)} requests {dict(statuses)}, the slowest {max(a[2] for a in run.load.answers):.1f} s; "
        + figures(record),
        f"rows {rows}; of items of unknown fate {came} are there and {did_not} not; {len(world.told)} deliveries, "
        f"{len(world.instances)} workflows, drained in {drained:.0f} s; {held} connections",
    ]


def main():
    parser = tries.arguments(__doc__, tries=1)
    parser.set_defaults(store="postgres")
    parser.add_argument("--minutes", type=float, default=10, help="10 is the full form, 1 the short one (default: 10)")
    parser.add_argument("--kill-server", action="store_true", help="the server, too, at more than half of the stops")
    parser.add_argument("--rate", type=float, default=200, help="requests a second of all connections (default: 200)")
    parser.add_argument("--drain-seconds", type=float, default=240, help="to send and end what is left (default: 240)")
    parser.add_argument("--data", default=os.environ.get("TEST_POSTGRES_DATA"), help="default: $TEST_POSTGRES_DATA")
    if not parser.parse_args().data:
        parser.error("run it as PGSAFE=1 scripts/with_postgres.sh scripts/torture/postgres_stops.py")
    tries.run(
        parser, "stops", run_try, lambda lines: "\n  ".join(lines),
        lambda store, good, all: f"{store}: {len(good)} of {all} tries lost nothing and did nothing twice",
    )


if __name__ == "__main__":
    main()
