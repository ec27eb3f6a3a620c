#!/usr/bin/env python3
"""Kills a Rocket server with SIGKILL again and again while workflows run, and judges what became of each of them.

    scripts/kill9_workflows.py [--kills 20] [--instances 1000]
    PGSAFE=1 scripts/with_postgres.sh scripts/kill9_workflows.py --store postgres

Each new item starts a workflow of six steps: it sets a field, calls a receiver, waits, asks a lead, branches and
makes a note. Items are created at a steady rate; 5 of 100 requests must fail, for a value that is taken, or in the
second operation of a batch. Two threads of a lead decide about half of the questions, and the rest times out. After
the last start the server has time to end what is left. It is a fault where an acknowledged item is gone; where an
item has not exactly one instance, or something that is no item has one; where an instance is not completed, by the
six steps in their order and each once; where what it made is there twice or not at all; where a field is not what the
workflow says; where its call never arrived, or came with two keys; and where a decision that was answered 200 is not
in the history.
"""
import argparse
import collections
import contextlib
import datetime
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import selectors
import shutil
import socket
import sys
import tempfile
import threading
import time

from kill9 import Client, RoundFailure, Server
from kill9_webhooks import (
    ACKNOWLEDGED, ENTITY, REFUSED, TAKEN, UNKNOWN, Journal, Writers, judge_rows, management_url, refuse,
)
from webhook_receiver import Connection, Receiver

APPROVERS = 2
PATH = "/call"
WORKFLOW, STEPS = "flow", ["begin", "tell", "rest", "ask", "parity", "keep"]
WAIT_SECONDS = 1
LEAD = {"email": "lead@x.example", "password": "password1", "roles": ["lead"]}
VERBS = {"approve": "approved", "reject": "rejected"}
KEY = re.compile(rb"\r\nidempotency-key:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE)


# MARK: the app


def entity(name, *fields):
    return {
        "name": name,
        "table": f"{name}s",
        "soft_delete": False,
        "primary_key": {"field": "id", "type": "uuid", "generated": True},
        "fields": [{"name": "id", "type": "uuid"}, *fields],
    }


def text(name, **more):
    return {"name": name, "type": "string", **more}


# Items are those of the webhooks' script, so that its writers can make them. What is refused has a marker of its own
# and a code that is taken, so that an instance of it would be known by its marker.
ITEM = ENTITY | {"fields": [
    *(field | ({"unique": True} if field["name"] == "marker" else {}) for field in ENTITY["fields"]),
    text("status"), text("verdict"), text("answer"),
]}
# Nothing here is unique: the database must not be what keeps an effect from happening twice.
NOTE = entity("note", text("item_id"), text("marker"), text("text"))
TRACE = entity("trace", text("item_id"), text("place"))


def workflow(url, timeout):
    def set_field(field, **value):
        return {"type": "set_field", "entity": "item", "record_id": "context.id", "field": field, **value}

    def trace(place):
        return {"type": "create_record", "entity": "trace", "values": {"item_id": "context.id", "place": place}}

    note = {
        "item_id": "context.id", "marker": "context.marker",
        "text": {"expression": "context.marker + ' has ' + context.number"},
    }
    return {
        "name": WORKFLOW,
        "trigger": {"type": "record", "entity": "item", "action": "create"},
        "context": {"id": "trigger.record_id", "marker": "record.marker", "number": "record.number"},
        "steps": [
            {
                "id": "begin", "type": "action", "then": "tell",
                "actions": [set_field("status", expression="'begun ' + context.number")],
            },
            {
                # A step that is cut by its call has effects before it and after it.
                "id": "tell", "type": "action", "then": "rest",
                "actions": [
                    trace("before"), {"type": "webhook", "url": url, "result": "answer"}, trace("after"),
                    set_field("answer", expression="'answered ' + context.answer.status"),
                ],
            },
            {"id": "rest", "type": "wait", "duration": f"{WAIT_SECONDS}s", "then": "ask"},
            {
                "id": "ask", "type": "approval", "assignee": {"type": "role", "role": "lead"},
                "timeout": f"{timeout}s", "form": [{"name": "verdict", "type": "string"}],
                "on_approve": "parity", "on_reject": "parity", "on_timeout": "parity",
            },
            {
                "id": "parity", "type": "condition", "expression": "context.number % 2 === 0",
                "on_true": "keep", "on_false": {"goto": "keep"},
            },
            {
                "id": "keep", "type": "action",
                "actions": [
                    {"type": "create_record", "entity": "note", "values": note},
                    set_field("verdict", value="context.verdict"),
                ],
            },
        ],
    }


def make_app(client, app, url, timeout):
    """Returns the id of the lead."""
    client.call("POST", "/api/_platform/apps", {"name": app}, expect=201)
    for definition in (ITEM, NOTE, TRACE):
        client.call("POST", f"/api/{app}/_admin/entities", definition, expect=201)
    lead = client.call("POST", f"/api/{app}/_admin/users", LEAD, expect=201)["data"]["id"]
    client.call("POST", f"/api/{app}/_admin/workflows", workflow(url, timeout), expect=201)
    return lead


def make_first(client, app, journal):
    """The item whose code is taken."""
    client.call("POST", f"/api/{app}/item", {"marker": "first", "code": TAKEN, "number": 0}, expect=201)
    journal.note(["first"], ACKNOWLEDGED)


def configure(directory, timeout):
    """Calls that end sooner: what a crash leaves of one is taken up when its lease of `timeout` + 15 s has run out.

    `Server` keeps the environment from its process, and has it look into this folder.
    """
    (directory / "app.yaml").write_text(f"webhooks:\n  timeout_s: {timeout}\n", encoding="utf-8")


def pages(client, path):
    rows = []
    for page in itertools.count(1):
        answer = client.call("GET", f"{path}{'&' if '?' in path else '?'}per_page=100&page={page}")
        rows += answer["data"]
        if not answer["data"]:
            return rows


def wait_until_ended(server, app, seconds):
    """Waits until no instance runs, seen twice in a row. Returns how long that took."""
    begin, in_a_row = time.monotonic(), 0
    client = Client(server.port, server.sign_in())
    while in_a_row < 2:
        running = client.call("GET", f"/api/{app}/_workflows?status=running&per_page=3")
        in_a_row = 0 if running["meta"]["total"] else in_a_row + 1
        if time.monotonic() - begin > seconds:
            shown = "\n".join(json.dumps(row) for row in running["data"])
            raise RoundFailure(f"after {seconds} s there still run {running['meta']['total']} instances:\n{shown}")
        time.sleep(0.5)
    return time.monotonic() - begin


# MARK: load


class ItemWriters(Writers):
    """Writers that end by themselves when there are enough acknowledged items."""

    def __init__(self, app, rate, seed, journal, enough, prefix=""):
        super().__init__(app, rate, seed, journal)
        self.enough, self.prefix = enough, prefix

    def write(self, client, marker, draw):
        with self.journal.lock:
            is_enough = len(self.journal.of(ACKNOWLEDGED)) >= self.enough
        if is_enough:
            self.is_over.set()
        else:
            super().write(client, f"{self.prefix}{marker}", draw)

    def wait(self, seconds):
        if not self.is_over.wait(seconds):
            raise RoundFailure(f"there are only {len(self.journal.of(ACKNOWLEDGED))} items after {seconds:g} s more")


class Decision:
    def __init__(self, instance, verb, comment):
        self.instance, self.verb, self.comment = instance, verb, comment
        self.status = None  # until it is answered


class Approvers:
    """Threads of the lead, who poll what waits and decide about half of it: each as it likes, at once with the others."""

    def __init__(self, app, seed, journal, decisions, count=APPROVERS, prefix=""):
        self.app, self.seed, self.journal, self.decisions, self.prefix = app, seed, journal, decisions, prefix
        self.place = None  # (port, token)
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(count)]

    def start(self, server):
        self.move(server)
        for thread in self.threads:
            thread.start()

    def move(self, server):
        who = {key: LEAD[key] for key in ("email", "password")}
        answer = Client(server.port).call("POST", f"/api/{self.app}/auth/login", who)
        self.place = (server.port, answer["data"]["access_token"])

    def end(self):
        self.is_over.set()
        for thread in self.threads:
            if thread.ident:
                thread.join()

    def work(self, number):
        name, place, client, answered, counts = f"{self.prefix}{number}", None, None, set(), itertools.count()
        while not self.is_over.wait(0.3):
            if place != self.place:
                place = self.place
                client = Client(*place)
            try:
                for id in self.pending(client):
                    if id not in answered and (verb := self.choice(id, name)):
                        decision = Decision(id, verb, f"{name}-{next(counts)}")
                        self.decide(client, decision)
                        if decision.status in (200, 422):
                            answered.add(id)
            except (OSError, http.client.HTTPException, ValueError):
                place = None  # a kill: the connection is gone, or an answer is cut short

    def choice(self, id, name):
        if random.Random(f"{self.seed}-{id}").random() < 0.5:
            return None  # let it time out
        return random.Random(f"{self.seed}-{id}-{name}").choice(list(VERBS))

    def pending(self, client):
        ids = []
        for page in itertools.count(1):
            response = client.send("GET", f"/api/{self.app}/_workflows/pending?assignee=me&per_page=100&page={page}")
            body = response.read()
            if response.status != 200:
                if response.status != 503:
                    self.journal.complain(f"pending: answered {response.status} {body[:200]!r}")
                return ids
            rows = json.loads(body)["data"]
            ids += [row["id"] for row in rows]
            if len(rows) < 100:
                return ids

    def decide(self, client, decision):
        with self.journal.lock:
            self.decisions.append(decision)
        body = {"comment": decision.comment, "form": {"verdict": decision.comment}}
        response = client.send("POST", f"/api/{self.app}/_workflows/{decision.instance}/{decision.verb}", body)
        # The status alone says what became of it: the kill may cut the rest of the answer short.
        decision.status = response.status
        answer = response.read()
        if response.status not in (200, 422, 503):
            self.journal.complain(f"{decision.verb} {decision.instance}: answered {response.status} {answer[:200]!r}")


class KeyedConnection(Connection):
    """Takes the Idempotency-Key for the id of a request."""

    def next_request(self):
        end = self.bytes.find(b"\r\n\r\n")
        match = KEY.search(self.bytes, 0, end + 4) if end >= 0 else None
        key = match.group(1).decode() if match else None  # now, for the bytes are taken out
        request = super().next_request()
        return request and (request[0], key, request[2])


class CallReceiver(Receiver):
    def accept(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                plug, _ = self.listener.accept()
                plug.setblocking(False)
                plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.selector.register(plug, selectors.EVENT_READ, KeyedConnection(plug))


# MARK: judging


class World:
    """What is there at the end."""

    def __init__(self, client, app, deliveries):
        self.items = {row["id"]: row for row in pages(client, f"/api/{app}/item")}
        self.instances = {row["id"]: row for row in pages(client, f"/api/{app}/_workflows?workflow={WORKFLOW}")}
        self.notes = pages(client, f"/api/{app}/note")
        self.traces = pages(client, f"/api/{app}/trace")
        self.deliveries = deliveries

    @property
    def taken_over(self):
        """How many calls were made again that the receiver had not refused: whoever made them could not note it."""
        good = collections.Counter(delivery.id for delivery in self.deliveries if 200 <= delivery.status < 300)
        return sum(count > 1 for count in good.values())


def judge(world, journal, decisions, lead, timeout):
    """All that is wrong, but for the rows themselves."""
    return [
        *judge_starts(world, journal.fates), *judge_steps(world, timeout), *judge_effects(world),
        *judge_calls(world), *judge_decisions(world, decisions, lead),
    ]


def judge_starts(world, fates):
    """Each item that is there has one instance, and nothing else has."""
    problems = []
    counts = collections.Counter(instance["record_id"] for instance in world.instances.values())
    for id, item in world.items.items():
        if counts[id] != 1:
            problems.append(f"{item['marker']} ({fates.get(item['marker'])}) has {counts[id]} instances")
    for instance in world.instances.values():
        if instance["record_id"] not in world.items:
            marker = instance["context"].get("marker")
            problems.append(f"there is an instance of {marker} ({fates.get(marker)}), which is NOT STORED")
    return problems


def shown(instance):
    return f"{instance['context'].get('marker')} (instance {instance['id']})"


def entry_of(instance, step):
    return next((entry for entry in instance["history"] if entry["step"] == step), {})


def instant(value):
    return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))


def pauses(instance):
    """How long it waited and how long it asked, in seconds."""
    tell, rest, ask = (instant(entry_of(instance, step)["at"]) for step in ("tell", "rest", "ask"))
    return (rest - tell).total_seconds(), (ask - rest).total_seconds()


def judge_steps(world, timeout):
    problems = []
    for instance in world.instances.values():
        said = entry_of(instance, "ask").get("status")
        parity = "on_true" if instance["context"]["number"] % 2 == 0 else "on_false"
        statuses = ["completed", "completed", "completed", said, parity, "completed"]
        found = [(entry["step"], entry["status"]) for entry in instance["history"]]
        is_whole = found == list(zip(STEPS, statuses)) and said in ("approved", "rejected", "timed_out")
        if instance["status"] != "completed" or not is_whole:
            problems.append(f"{shown(instance)} is {instance['status']} with the history {instance['history']}")
            continue
        instants = [instant(entry["at"]) for entry in instance["history"]]
        if instants != sorted(instants):
            problems.append(f"{shown(instance)} has a history that goes back in time: {instance['history']}")
        waited, asked = pauses(instance)
        if waited < WAIT_SECONDS or (said == "timed_out" and asked < timeout):
            problems.append(f"{shown(instance)} waited {waited} s and asked {asked} s, which is too short")
    return problems


def judge_effects(world):
    problems = []
    notes, traces = collections.defaultdict(list), collections.Counter()
    for note in world.notes:
        notes[note["item_id"]].append((note["marker"], note["text"]))
    for row in world.traces:
        traces[row["item_id"], row["place"]] += 1
    of_items = {instance["record_id"]: instance for instance in world.instances.values()}
    for id, item in world.items.items():
        marker, number, ask = item["marker"], item["number"], entry_of(of_items.get(id, {"history": []}), "ask")
        if notes[id] != [(marker, f"{marker} has {number}")]:
            problems.append(f"{marker} has the notes {notes[id]}")
        for place in ("before", "after"):
            if traces[id, place] != 1:
                problems.append(f"{marker} has {traces[id, place]} traces {place} its call")
        expected = {"status": f"begun {number}", "answer": "answered 200", "verdict": ask.get("comment")}
        wrong = {name: item[name] for name, value in expected.items() if item[name] != value}
        if wrong:
            problems.append(f"{marker} has {wrong}, and its workflow says {expected}")
    strange = (notes.keys() | {id for id, _ in traces}) - world.items.keys()
    problems += [f"there is a note or trace of {id}, which is no item" for id in strange]
    return problems


def judge_calls(world):
    problems, calls = [], collections.defaultdict(list)
    for delivery in world.deliveries:
        try:
            body = json.loads(delivery.body)
            expected = {"workflow": WORKFLOW, "step": "tell", "idempotency_key": delivery.id}
            wrong = {key: body.get(key) for key, value in expected.items() if body.get(key) != value}
            calls[body["instance_id"]].append((delivery, body))
        except (ValueError, KeyError, TypeError, AttributeError):
            problems.append(f"{delivery.path} got a body that is no call: {delivery.body[:200]!r}")
            continue
        if wrong or not delivery.id or delivery.path != PATH:
            problems.append(f"a call to {delivery.path} with Idempotency-Key {delivery.id!r} has {wrong}")
    owners = {}
    for id, copies in calls.items():
        keys = {delivery.id for delivery, _ in copies}
        if id not in world.instances:
            problems.append(f"there was a call of the instance {id}, which is NOT STORED")
        if len(keys) > 1:
            problems.append(f"the call of {id} came with {len(keys)} keys: {sorted(map(str, keys))}")
        # Each attempt has an instant of its own.
        if len({json.dumps(body | {"timestamp": None}) for _, body in copies}) > 1:
            problems.append(f"the call of {id} came with different bodies")
        if not any(200 <= delivery.status < 300 for delivery, _ in copies):
            problems.append(f"the call of {id} was never answered 2xx")
        for key in keys:
            if owners.setdefault(key, id) != id:
                problems.append(f"the call of {id} has the key of {owners[key]}: {key}")
    problems += [f"{shown(row)} NEVER CALLED" for id, row in world.instances.items() if id not in calls]
    return problems


def judge_decisions(world, decisions, lead):
    problems, sent = [], collections.defaultdict(dict)
    for decision in decisions:
        sent[decision.instance][decision.comment] = decision
    for id in sent.keys() - world.instances.keys():
        problems.append(f"something was decided of the instance {id}, which is NOT STORED")
    for id, instance in world.instances.items():
        entry = entry_of(instance, "ask")
        known = sent[id].get(entry.get("comment"))
        for decision in sent[id].values():
            is_in = decision is known
            if decision.status == 200 and not is_in:
                problems.append(f"{shown(instance)}: {decision.verb} was answered 200, and the history has {entry}")
            if decision.status == 422 and is_in:
                problems.append(f"{shown(instance)}: {decision.verb} was refused, and the history has {entry}")
        if entry.get("status") in VERBS.values():
            if not known or entry["status"] != VERBS[known.verb] or entry.get("by") != lead:
                problems.append(f"{shown(instance)}: nobody decided what the history has: {entry}")
    return problems


def figures(world, journal, decisions, timeout, drained, seconds):
    """Lines that say what happened."""
    unknown, stored = journal.of(UNKNOWN), {item["marker"] for item in world.items.values()}
    asked = collections.Counter(entry_of(instance, "ask")["status"] for instance in world.instances.values())
    answers = collections.Counter(str(decision.status or "none") for decision in decisions)
    copies = len(world.deliveries) - len(world.instances)
    return [
        f"items: {len(journal.of(ACKNOWLEDGED))} acknowledged, {len(journal.of(REFUSED))} refused, {len(unknown)} "
        f"unknown, of which {len(unknown & stored)} are stored; answers {dict(journal.statuses)}",
        f"instances: {len(world.instances)}, all completed, {len(world.instances) / seconds:.1f}/s from the first write "
        f"to the last step; drained {drained:.1f} s after the last write",
        f"calls: {len(world.deliveries)} received, {copies} of them duplicates; {world.taken_over} calls were taken over",
        f"questions: {dict(asked)}; decisions by their answers: {dict(answers)}",
        "deadlines: {:.3f} s late in the middle, {:.1f} s at most".format(*lateness(world, timeout)),
    ]


def lateness(world, timeout):
    """Of the ends of waits and questions, in seconds: the median and the most."""
    late = []
    for instance in world.instances.values():
        waited, asked = pauses(instance)
        late.append(waited - WAIT_SECONDS)
        if entry_of(instance, "ask")["status"] == "timed_out":
            late.append(asked - timeout)
    return sorted(late)[len(late) // 2], max(late)


# MARK: a run


def run(options, directory):
    """All kills. Returns lines that say what happened; raises RoundFailure with what was wrong."""
    draw, app = random.Random(options.seed), f"kill9_{os.getpid()}"
    url = management_url(options.url if options.store == "postgres" else None, app)
    journal, decisions, ready = Journal(), [], []
    rate = options.instances / (max(options.kills, 1) * options.seconds_between)
    writers = ItemWriters(app, rate, options.seed, journal, options.instances)
    approvers = Approvers(app, options.seed, journal, decisions)
    configure(directory, options.call_timeout)
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(
            CallReceiver(delay=options.delay, failures=options.failures, seed=options.seed)
        )
        server = Server(options.binary, directory, 0, url)
        stack.callback(lambda: server.kill())
        stack.callback(approvers.end)
        stack.callback(writers.end)
        admin = Client(server.port, server.sign_in())
        lead = make_app(admin, app, receiver.url(PATH), options.timeout)
        make_first(admin, app, journal)

        begin = time.monotonic()
        writers.start(server)
        approvers.start(server)
        for _ in range(options.kills):
            time.sleep(options.seconds_between * draw.uniform(0.5, 1.5))
            if server.process.poll() is not None:
                raise RoundFailure(f"the server ended by itself with {server.process.returncode}: {server.last_words()}")
            server.kill()
            server = Server(options.binary, directory, 0, url)
            ready.append(server.ready_seconds)
            writers.move(server)
            approvers.move(server)
        writers.wait(60 + 2 * options.instances / rate)
        writers.end()
        drained = wait_until_ended(server, app, options.drain_seconds)
        seconds = time.monotonic() - begin
        approvers.end()

        world = World(Client(server.port, server.sign_in()), app, receiver.deliveries())
        markers = [item["marker"] for item in world.items.values()]
        problems = journal.problems + judge_rows(journal, markers, options.kills)
        refuse(problems + judge(world, journal, decisions, lead, options.timeout))
        server.stop()
    return [
        f"{options.store}, {options.kills} kills, ready again after at most {max(ready, default=0) * 1000:.0f} ms",
        *figures(world, journal, decisions, options.timeout, drained, seconds),
    ]


def common_parser(doc):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / ".build/release/rocket"
    parser.add_argument("--binary", default=default, type=pathlib.Path, help="default: .build/release/rocket")
    parser.add_argument("--url", default=os.environ.get("TEST_POSTGRES_URL"), help="default: $TEST_POSTGRES_URL")
    parser.add_argument("--instances", type=int, default=1000, help="items to be acknowledged (default: 1000)")
    parser.add_argument("--timeout", type=int, default=20, help="seconds that a question waits (default: 20)")
    parser.add_argument("--drain-seconds", type=float, default=300, help="to end what is left (default: 300)")
    parser.add_argument("--delay", type=float, default=0.1, help="seconds before the receiver answers (default: 0.1)")
    parser.add_argument("--failures", type=float, default=0.02, help="share of calls that are answered 500 (default: 0.02)")
    parser.add_argument("--call-timeout", type=int, default=10, help="webhooks.timeout_s (default: 10)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    return parser


def checked(parser):
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        parser.error(f"{options.binary} is not there: swift build -c release --product rocket")
    options.binary = options.binary.resolve()
    if getattr(options, "store", "postgres") == "postgres" and not options.url:
        parser.error("PostgreSQL needs --url, or scripts/with_postgres.sh before it")
    return options


def report(options, run, prefix):
    """Runs, prints what came of it and ends the process."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    try:
        lines = run(options, directory)
    except (RoundFailure, OSError, http.client.HTTPException, ValueError, KeyError) as failure:
        # The folder stays for whoever looks into it: the data and the servers' logs.
        print(f"seed {options.seed}: FAILED, see {directory}\n  " + str(failure).replace("\n", "\n  "))
        sys.exit(1)
    shutil.rmtree(directory)
    print("\n".join(lines) + f"\nnothing was lost, nothing was done twice (seed {options.seed})")


def main():
    parser = common_parser(__doc__)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds-between", type=float, default=2, help="kills, on average (default: 2)")
    report(checked(parser), run, "rocket-kill9-workflows-")


if __name__ == "__main__":
    main()
