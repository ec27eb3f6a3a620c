#!/usr/bin/env python3
"""Sets the wall clock under a Rocket server that is in use, ahead, back and to and fro, and right again; and judges.

    scripts/torture/clock_jumps.py [ROCKET] [--seed 1]                                 (the full form: ten minutes)
    scripts/torture/clock_jumps.py [ROCKET] --jumps "hour back,1970" --kills 0         (the short form: two minutes)
    PGSAFE=1 scripts/with_postgres.sh scripts/torture/clock_jumps.py --store postgres [--stays-away]

The server runs on faulty_machine.c. On PostgreSQL there are two servers, of which one has a right clock all the while, and
both are used: PostgreSQL's own clock stays right. For each jump records are created under the wrong clock and, when it is
right again, under the right one. Each record is told to two webhooks and starts a workflow that writes, waits, asks, calls
and writes; another workflow runs on a schedule, and some rest for years; some requests are sent again with their
Idempotency-Key; users sign in, refresh and lock themselves out; for a while the receiver refuses, so that there are
retries. At the end the server is killed while it sends under a wrong clock, and started with a right one, and from then on
nobody asks for anything until all has come.

What a clock that was ahead put off is brought nearer by a server whose own clock has gone steadily for five minutes, which it
looks at each half minute; so it comes within these and the pause of a retry. On PostgreSQL what ONLY the other one wrote,
which was wrong, was killed and stays away, may take ten minutes: the others look for that no more often. --stays-away waits
for it; without that option the server that was killed is started. Instants that a workflow's context names are what they are.

What counts as wrong:

- a process that ends, an answer that is not what it must be, one later than 5 seconds, a connection that breaks
- a fresh token that is not taken, a sign-in that is refused with the right password
- a bound on failed sign-ins that does not end 15 minutes after it began, whatever the wall's clock did meanwhile
- a request that is carried out again though its key is younger than a day by the server's clock
- an acknowledged record that is gone, an id that is there twice
- a delivery later than 5 seconds where the receiver takes it, whatever the clock did meanwhile
- a delivery, a step or a due time of the schedule that has not come 380 seconds after the clock is right again
- a delivery under two ids or with two bodies, a step whose effect is there twice
- a pause of years, or a question that may wait for years, which is over or ends at another time than it did before
- a server that does nothing and uses a tenth of a processor or more

`created_at` and the like may be as wrong as the clock. What is done once a day may be done too early.
"""
import collections
import contextlib
import http.client
import json
import pathlib
import random
import re
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import tries  # noqa: E402
from faulty_machine import Machine  # noqa: E402
from kill9 import Client, RoundFailure  # noqa: E402
from kill9_webhooks import (  # noqa: E402
    ACKNOWLEDGED, ENTITY, HOOKS, UNKNOWN, Journal, by_event, judge_events, management_url,
)
from kill9_workflows import CallReceiver, entity, pages, text  # noqa: E402
from webhook_receiver import Receiver  # noqa: E402

HOUR, DAY, YEAR = 3600, 86_400, 365 * 86_400
# Seconds by which the clock is wrong; `None` goes to and fro by an hour each second.
JUMPS = {
    "hour ahead": HOUR, "day ahead": DAY, "year ahead": YEAR, "hour back": -HOUR, "day back": -DAY, "1970": "1970",
    "to and fro": None,
}
WRITERS, RATE = 6, 24
LOAD_SECONDS, REST_SECONDS, IDLE_SECONDS = 2.5, 3.5, 2.0
PROMPT_SECONDS = 5
# Five steady minutes (fifteen, where no database tells the time), the next look at the clock, the first pause of a retry
# with its part of chance, and some more.
DRAIN_SECONDS = {"postgres": 300 + 30 + 33 + 17, "sqlite": 900 + 60 + 33 + 17}
AWAY_SECONDS = 300  # how much long after a server is gone that only the others can bring it nearer
WINDOW_SECONDS = 15 * 60  # of the bound on failed sign-ins
CLOCK_SLACK = 5
LOCKING_FAILURES = 3
PATIENCE_DAYS = 800  # of what rests all the while, also under a clock that is a year ahead
BUSY = 0.1
SHOWN = 40
CALL = "/call"
APP_YAML = f"auth:\n  bcrypt_cost: 4\n  failures_per_account: {LOCKING_FAILURES}\n  failures_per_address: 1000000\n"


# MARK: the app


ITEM = ENTITY | {"fields": [*ENTITY["fields"], text("status")]}
TRACE = entity("trace", text("item_id"), text("place"))
TICK = entity("tick", text("at"))
VIGIL = entity("vigil", text("name"))


def flow(url):
    def trace(place):
        return {"type": "create_record", "entity": "trace", "values": {"item_id": "context.id", "place": place}}

    return {
        "name": "flow", "trigger": {"type": "record", "entity": "item", "action": "create"},
        "context": {"id": "trigger.record_id"},
        "steps": [
            {"id": "begin", "type": "action", "actions": [trace("begin")], "then": "rest"},
            {"id": "rest", "type": "wait", "duration": "1s", "then": "ask"},
            {
                "id": "ask", "type": "approval", "assignee": {"type": "role", "role": "admin"}, "timeout": "1s",
                "on_approve": "tell", "on_reject": "tell", "on_timeout": "tell",
            },
            {
                "id": "tell", "type": "action",
                "actions": [trace("before"), {"type": "webhook", "url": url}, trace("after")],
            },
        ],
    }


PLACES = ["begin", "before", "after"]
SCHEDULE = {
    "name": "clockwork", "trigger": {"type": "schedule", "every": "2s"}, "context": {"at": "trigger.scheduled_at"},
    "steps": [{
        "id": "tick", "type": "action",
        "actions": [{"type": "create_record", "entity": "tick", "values": {"at": "context.at"}}],
    }],
}


PATIENT = {
    "name": "patient", "trigger": {"type": "record", "entity": "vigil", "action": "create"},
    "steps": [{"id": "rest", "type": "wait", "duration": f"{PATIENCE_DAYS}d"}],
}
ASKED = {
    "name": "asked", "trigger": {"type": "record", "entity": "vigil", "action": "create"},
    "steps": [{
        "id": "ask", "type": "approval", "assignee": {"type": "role", "role": "admin"}, "timeout": f"{PATIENCE_DAYS}d",
        "on_approve": "end", "on_reject": "end", "on_timeout": "end",
    }],
}
VIGILS = 3


def make_app(client, app, hooks, calls, users):
    client.call("POST", "/api/_platform/apps", {"name": app}, expect=201)
    for definition in (ITEM, TRACE, TICK, VIGIL):
        client.call("POST", f"/api/{app}/_admin/entities", definition, expect=201)
    for path in HOOKS:
        webhook = {
            "entity": "item", "hook": "after_write", "url": hooks.url(path), "condition": "action == 'create'",
            "retry": {"max_attempts": 20, "backoff": "linear"},
        }
        client.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
    for workflow in (flow(calls.url(CALL)), SCHEDULE, PATIENT, ASKED):
        client.call("POST", f"/api/{app}/_admin/workflows", workflow, expect=201)
    for email in users:
        client.call("POST", f"/api/{app}/_admin/users", {"email": email, "password": "password1"}, expect=201)
    for number in range(VIGILS):
        client.call("POST", f"/api/{app}/vigil", {"name": f"vigil {number}"}, expect=201)


# MARK: clocks


class Clock:
    """The wall clock of a server."""

    def __init__(self, machine):
        self.machine = machine
        self.changes = 0

    def set(self, offset):
        self.machine.clock_offset = offset
        self.changes += 1

    @property
    def now(self):
        return time.time() + self.machine.clock_offset


class ToAndFro(threading.Thread):
    def __init__(self, clock):
        super().__init__()
        self.clock, self.is_over = clock, threading.Event()

    def run(self):
        ahead = True
        while not self.is_over.is_set():
            self.clock.set(HOUR if ahead else -HOUR)
            ahead = not ahead
            self.is_over.wait(1)


@contextlib.contextmanager
def jumped(clock, jump):
    offset = JUMPS[jump]
    if offset is None:
        mover = ToAndFro(clock)
        mover.start()
    else:
        # Not nought: some minutes after the beginning of time, as a machine without a battery has it.
        clock.set(1000 - time.time() if offset == "1970" else offset)
    try:
        yield
    finally:
        if offset is None:
            mover.is_over.set()
            mover.join()
        clock.set(0)


# MARK: using it


class Place:
    """A server with its clock, and a token for each of its users, as long as it is good."""

    def __init__(self, name, server, clock, app):
        self.name, self.server, self.clock, self.app = name, server, clock, app

    def log_in(self, client, journal, email="admin@localhost", password="changeme"):
        """A token that is good now."""
        response = client.send("POST", f"/api/{self.app}/auth/login", {"email": email, "password": password})
        content = response.read()
        if response.status != 200:
            journal.complain(f"{self.name}: signing in as {email}: {response.status} {content[:200]!r}")
            return None
        return json.loads(content)["data"]

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100


class Sent:
    """A record that was acknowledged."""

    def __init__(self, id, at, is_prompt):
        self.id, self.at = id, at
        self.is_prompt = is_prompt  # whether the receiver took everything


class Writers:
    """Create records at a steady rate while they are let, on all places in turn."""

    def __init__(self, app, seed, journal):
        self.app, self.seed, self.journal = app, seed, journal
        self.places = []
        self.phase, self.is_refused = "", False
        self.may_write, self.is_over = threading.Event(), threading.Event()
        self.sent = {}  # marker: Sent
        self.keyed = collections.deque(maxlen=200)  # (place, clock's time, key, body, id)
        self.slowest = 0.0
        self.requests = collections.Counter()  # by phase
        self.busy = 0
        self.threads = [threading.Thread(target=self.work, args=(number,)) for number in range(WRITERS)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def end(self):
        self.is_over.set()
        self.may_write.set()
        for thread in self.threads:
            if thread.ident:
                thread.join()

    def work(self, number):
        draw, count, clients, tokens = random.Random(f"{self.seed}-{number}"), 0, {}, {}
        while not self.is_over.is_set():
            if not self.may_write.is_set():
                self.may_write.wait(0.1)
                continue
            count += 1
            place = self.places[(number + count) % len(self.places)]
            with self.journal.lock:
                self.busy += 1
            try:
                self.create(place, clients, tokens, f"{name_of(self.phase)}-{number}-{count}", draw)
            except (OSError, http.client.HTTPException) as error:
                self.journal.complain(f"{self.phase}: a connection to {place.name} failed: {error!r}")
                clients.pop(place, None)
                time.sleep(0.1)
            finally:
                with self.journal.lock:
                    self.busy -= 1
            self.is_over.wait(WRITERS / RATE * draw.uniform(0.5, 1.5))

    def create(self, place, clients, tokens, marker, draw):
        client = clients.setdefault(place, Client(place.server.port))
        note = "x" * draw.randrange(300)
        body = {"marker": marker, "code": f"code of {marker}", "number": draw.randrange(1_000), "note": note}
        self.journal.note([marker], UNKNOWN)
        is_refused, at = self.is_refused, place.clock.now
        status, content = self.post(place, client, tokens, marker, body)
        if status != 201:
            return self.journal.complain(f"{marker}: {place.name} answered {status} {content[:200]!r}")
        self.journal.note([marker], ACKNOWLEDGED)
        id = json.loads(content)["data"]["id"]
        self.sent[marker] = Sent(id, time.monotonic(), not is_refused and not self.is_refused)
        self.keyed.append((place, at, marker, body, id))
        if draw.random() < 0.2:
            self.send_again(*draw.choice(list(self.keyed)), clients, tokens)

    def send_again(self, place, at, key, body, id, clients, tokens):
        client = clients.setdefault(place, Client(place.server.port))
        changes, before = place.clock.changes, place.clock.now
        status, content = self.post(place, client, tokens, key, body)
        if place.clock.changes != changes or before - at > DAY - 60:
            # The key is too old by the clock, or was: then the code is taken.
            if status not in (201, 409):
                self.journal.complain(f"{key} again: {place.name} answered {status} {content[:200]!r}")
        elif status != 201 or json.loads(content)["data"]["id"] != id:
            self.journal.complain(f"{key}, {before - at:.0f} s old by the clock, again in {self.phase}: "
                                  f"{place.name} answered {status} {content[:150]!r} instead of {id}")
        with self.journal.lock:
            self.journal.statuses["again"] += 1

    def post(self, place, client, tokens, key, body):
        """With a token that is good by the clock of the place; 401 means that it was not, once."""
        for _ in range(3):
            token, changes = tokens.get(place, (None, None))
            fresh = token is None
            if fresh:
                changes = place.clock.changes
                answer = place.log_in(client, self.journal)
                if not answer:
                    return 0, b"no token"
                token = answer["access_token"]
                tokens[place] = token, changes
            client.headers |= {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
            begin = time.monotonic()
            response = client.send("POST", f"/api/{self.app}/item", body)
            content = response.read()
            self.note(time.monotonic() - begin, place, response.status)
            if response.status != 401:
                return response.status, content
            del tokens[place]
            if fresh and changes == place.clock.changes:
                self.journal.complain(f"{self.phase}: {place.name} does not take a token that it has just made")
        return response.status, content

    def note(self, seconds, place, status):
        with self.journal.lock:
            self.journal.statuses[status] += 1
            self.requests[self.phase] += 1
            self.slowest = max(self.slowest, seconds)
        if seconds > PROMPT_SECONDS:
            self.journal.complain(f"{self.phase}: {place.name} answered {status} after {seconds:.1f} s")


# MARK: accounts


def try_accounts(place, phase, journal):
    """Signs in, refreshes, and asks who that is."""
    client = Client(place.server.port)
    for attempt in range(3):
        changes = place.clock.changes
        problems = account_problems(place, client, phase, journal)
        # A clock that was set in between may have ended the token.
        if not problems or place.clock.changes == changes:
            break
    for problem in problems:
        journal.complain(problem)


def account_problems(place, client, phase, journal):
    pair = place.log_in(client, journal)
    if not pair:
        return [f"{phase}: nobody can sign in on {place.name}"]
    response = client.send("POST", f"/api/{place.app}/auth/refresh", {"refresh_token": pair["refresh_token"]})
    content = response.read()
    if response.status != 200:
        return [f"{phase}: {place.name} does not refresh what it has just made: {response.status} {content[:200]!r}"]
    client = Client(place.server.port, json.loads(content)["data"]["access_token"])
    response = client.send("GET", f"/api/{place.app}/auth/me")
    content = response.read()
    if response.status != 200:
        return [f"{phase}: {place.name} does not take a refreshed token: {response.status} {content[:200]!r}"]
    return []


def user(when, jump):
    return f"{when}-{name_of(jump)}@x.example"


def lock_out(place, email, journal):
    """Fails to sign in until it is 429. Returns when that began."""
    begin = time.monotonic()
    client, body = Client(place.server.port), {"email": email, "password": "wrong"}
    for _ in range(LOCKING_FAILURES + 1):
        response = client.send("POST", f"/api/{place.app}/auth/login", body)
        response.read()
    if response.status != 429:
        journal.complain(f"{email} has failed {LOCKING_FAILURES + 1} times on {place.name}, and is told {response.status}")
    return begin


def try_locked(place, email, since, phase, journal):
    """A lock ends by itself, a window after its first failure; it says in which time that is."""
    client, body = Client(place.server.port), {"email": email, "password": "password1"}
    response = client.send("POST", f"/api/{place.app}/auth/login", body)
    content = response.read()
    left = since + WINDOW_SECONDS - time.monotonic()
    if response.status != (429 if left > 0 else 200) and abs(left) > CLOCK_SLACK:
        return journal.complain(f"{phase}: {email} signs in on {place.name}, {left:.0f} s early: {response.status} {content[:60]!r}")
    seconds = int(response.headers.get("Retry-After", "0"))
    if response.status == 429 and abs(seconds - left) > CLOCK_SLACK:
        journal.complain(f"{phase}: {email} is locked out of {place.name} for {seconds} s, and the window has {left:.0f} left")


# MARK: a run


class Scene:
    def __init__(self, options, directory, seed, stack):
        self.options, self.directory, self.seed = options, directory, seed
        self.app = f"clock_{seed}"
        self.url = management_url(options.url if options.store == "postgres" else None, self.app)
        (directory / "app.yaml").write_text(APP_YAML, encoding="utf-8")
        self.journal = Journal()
        self.hooks = stack.enter_context(Receiver(seed=seed))
        self.calls = stack.enter_context(CallReceiver(seed=seed))
        self.clock = Clock(Machine(directory, directory / "nothing"))
        self.servers = []
        stack.callback(lambda: [server.kill() for server in self.servers])
        self.jumper = self.start("the server", self.clock)
        self.places = [self.jumper]
        if self.url:
            self.places.append(self.start("the server with the right clock", Clock(Machine(directory, "/nothing", "steady"))))
        self.writers = Writers(self.app, seed, self.journal)
        self.writers.places = self.places
        stack.callback(self.writers.end)
        self.idle = {}  # (phase, place's name): share of a processor
        self.ticks = {}  # phase: how many there were at its end
        self.locked = {}  # (place, email): since when
        self.known_when_killed = {}  # marker: how many deliveries had come; these may not have been taken

    def start(self, name, clock):
        server = clock.machine.serve(self.options.rocket, self.directory, self.url)
        self.servers.append(server)
        return Place(name, server, clock, self.app)

    def admin(self, place=None):
        place = place or self.places[-1]
        return Client(place.server.port, place.server.sign_in())

    def require_alive(self, phase):
        for place in self.places:
            if place.server.process.poll() is not None:
                raise RoundFailure(
                    f"{phase}: {place.name} ENDED with {place.server.process.returncode}: {place.server.last_words()}\n"
                    + "\n".join(self.journal.problems[:SHOWN])
                )

    def write_for(self, seconds):
        """The receivers refuse during the last third."""
        self.writers.may_write.set()
        time.sleep(seconds * 2 / 3)
        self.writers.is_refused = True
        self.hooks.status = self.calls.status = 500
        time.sleep(seconds / 3)
        self.writers.may_write.clear()
        deadline = time.monotonic() + 30
        while self.writers.busy and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)  # for what was just written to be sent, and refused
        self.hooks.status = self.calls.status = 200
        self.writers.is_refused = False

    def measure_idle(self, phase):
        before = [place.cpu_seconds() for place in self.places]
        time.sleep(IDLE_SECONDS)
        for place, seconds in zip(self.places, before):
            share = (place.cpu_seconds() - seconds) / IDLE_SECONDS
            self.idle[phase, place.name] = share
            if share >= BUSY:
                self.journal.complain(f"{phase}: {place.name} does nothing and uses {share:.0%} of a processor")

    def try_jump(self, jump):
        self.writers.phase, before, locked = jump, user("before", jump), {}
        for place in self.places:
            locked[place, before] = lock_out(place, before, self.journal)
        with jumped(self.clock, jump):
            self.write_for(LOAD_SECONDS)
            self.require_alive(jump)
            for place in self.places:
                try_accounts(place, jump, self.journal)
                try_locked(place, before, locked[place, before], jump, self.journal)
                locked[place, user("in", jump)] = lock_out(place, user("in", jump), self.journal)
            time.sleep(REST_SECONDS)
            self.measure_idle(jump)
            self.require_alive(jump)
        phase = self.writers.phase = f"right after {jump}"
        self.write_for(LOAD_SECONDS)
        for place in self.places:
            try_accounts(place, phase, self.journal)
        for (place, email), since in locked.items():
            try_locked(place, email, since, phase, self.journal)
        self.locked |= locked
        time.sleep(REST_SECONDS)
        self.measure_idle(phase)
        self.require_alive(phase)
        self.ticks[phase] = self.count_ticks()

    def count_ticks(self):
        return self.admin().call("GET", f"/api/{self.app}/tick?per_page=1")["meta"]["total"]

    def drain(self, seconds):
        """Until everything has come, or for as long as it may take; nobody uses the app meanwhile. Returns the seconds."""
        begin, waiting = time.monotonic(), True
        while time.monotonic() - begin < seconds and self.missing_deliveries():
            time.sleep(0.5)
        told, before = time.monotonic() - begin, self.count_ticks()
        while time.monotonic() - begin < seconds and waiting:
            time.sleep(2)
            waiting = self.running_instances() or self.count_ticks() == before
        return told

    def missing_deliveries(self):
        told = collections.defaultdict(int)  # (path, marker): the number of the last one
        for number, delivery in enumerate(self.hooks.deliveries()):
            if delivery.status == 200:
                told[delivery.path, marker_of(delivery)] = number
        return [
            (path, marker) for marker in list(self.writers.sent) for path in HOOKS
            if (path, marker) not in told or told[path, marker] < self.known_when_killed.get(marker, 0)
        ]

    def running_instances(self):
        return self.admin().call("GET", f"/api/{self.app}/_workflows?workflow=flow&status=running&per_page=1")["meta"]["total"]


def name_of(phase):
    """As a key may have it."""
    return phase.replace(" ", "_")


MARKER = re.compile(rb'"marker":"([^"]*)"')


def marker_of(delivery):
    found = MARKER.search(delivery.body)
    return found.group(1).decode() if found else None


def phase_of(marker):
    return marker.rsplit("-", 2)[0].replace("_", " ")


# MARK: judging


def judge(scene):
    return [
        *judge_items(scene), *judge_hooks(scene), *judge_prompt(scene), *judge_flows(scene), *judge_vigils(scene),
        *judge_schedule(scene),
    ]


def judge_items(scene):
    problems = []
    rows = pages(scene.admin(), f"/api/{scene.app}/item?fields=id,marker")
    found = collections.Counter(row["marker"] for row in rows)
    problems += [f"{marker} is there {count} times" for marker, count in found.items() if count > 1]
    problems += [f"{marker} was acknowledged and is LOST" for marker in scene.writers.sent if not found[marker]]
    ids = collections.Counter(sent.id for sent in scene.writers.sent.values())
    problems += [f"the id {id} was given {count} times" for id, count in ids.items() if count > 1]
    scene.stored = {row["marker"]: row["id"] for row in rows}
    return problems


def judge_hooks(scene):
    """Under what ids they came is judged for all, whether they came by phases: there may be many."""
    events, problems = by_event(scene.hooks.deliveries())
    told = judge_events(scene.journal.fates, set(scene.stored), events)
    problems += [line for line in told if "NEVER TOLD" not in line and "given up" not in line]
    missing = collections.Counter(phase_of(marker) for _, marker in scene.missing_deliveries())
    for phase, count in missing.items():
        problems.append(
            f"{phase}: {count} DELIVERIES have not come {scene.patience} s after the clock was right; {due(scene)}"
        )
    return problems


def due(scene):
    """What the log says of those that wait."""
    client, dues = scene.admin(), []
    for status in ("pending", "retrying"):
        for row in client.call("GET", f"/api/{scene.app}/_admin/webhook-logs?status={status}&per_page=100")["data"]:
            dues.append((row["next_retry_at"], row["status"], row["created_at"]))
    shown = ", ".join(f"{status} of {made} due {at}" for at, status, made in sorted(dues, key=str)[:: max(1, len(dues) // 3)][:4])
    return f"in all {len(dues)} wait: {shown}"


def judge_prompt(scene):
    """Of what the receiver took at once."""
    first, late = {}, collections.defaultdict(list)
    for delivery in scene.hooks.deliveries():
        first.setdefault((delivery.path, marker_of(delivery)), delivery.at)
    scene.latencies = []
    for marker, sent in scene.writers.sent.items():
        for path in HOOKS:
            at = first.get((path, marker))
            if at is None or not sent.is_prompt:
                continue
            scene.latencies.append(at - sent.at)
            if at - sent.at > PROMPT_SECONDS:
                late[phase_of(marker)].append(at - sent.at)
    return [f"{phase}: {len(times)} deliveries were sent up to {max(times):.1f} s after their write" for phase, times in late.items()]


def judge_flows(scene):
    problems, client = [], scene.admin()
    places = collections.defaultdict(collections.Counter)
    for row in pages(client, f"/api/{scene.app}/trace"):
        places[row["item_id"]][row["place"]] += 1
    instances = collections.defaultdict(list)
    for row in pages(client, f"/api/{scene.app}/_workflows?workflow=flow"):
        instances[row["record_id"]].append(row)
    unended = collections.defaultdict(list)
    for marker, id in scene.stored.items():
        if len(instances[id]) != 1:
            problems.append(f"{marker} has {len(instances[id])} instances")
            continue
        instance, twice = instances[id][0], [place for place in PLACES if places[id][place] > 1]
        if twice:
            problems.append(f"{marker} has its effects of {twice} more than once: {dict(places[id])}")
        if instance["status"] == "completed":
            missing = [place for place in PLACES if not places[id][place]]
            problems += [f"{marker} is completed and has no effect of {missing}"] if missing else []
        else:
            unended[phase_of(marker)].append(instance)
    for phase, left in unended.items():
        steps = collections.Counter((row["status"], row["current_step"]) for row in left)
        shown = left[0]
        problems.append(
            f"{phase}: {len(left)} INSTANCES have not ended {scene.patience} s after the clock was right: {dict(steps)}; one: "
            f"deadline {shown['current_step_deadline']}, history "
            f"{[(entry['step'], entry['status'], entry['at']) for entry in shown['history']]}"
        )
    keys = collections.defaultdict(set)
    for delivery in scene.calls.deliveries():
        keys[json.loads(delivery.body)["instance_id"]].add(delivery.id)
    problems += [f"the call of the instance {id} came with {len(found)} keys" for id, found in keys.items() if len(found) > 1]
    return problems


def vigils(scene):
    """(workflow, record): its status, and until when it rests."""
    client = scene.admin()
    return {
        (name, row["record_id"]): (row["status"], row["current_step_deadline"])
        for name in ("patient", "asked") for row in pages(client, f"/api/{scene.app}/_workflows?workflow={name}")
    }


def judge_vigils(scene):
    """What rests for years was begun under a right clock, and rests on."""
    now = vigils(scene)
    return [
        f"{name} was to rest for {PATIENCE_DAYS} days, {before}, and is {now.get((name, id))}"
        for (name, id), before in scene.vigils.items() if now.get((name, id)) != before
    ]


def judge_schedule(scene):
    """It runs every two seconds now that the clock is right."""
    before = scene.count_ticks()
    time.sleep(5)
    if scene.count_ticks() > before:
        return []
    last = scene.admin().call("GET", f"/api/{scene.app}/tick?per_page=1&sort=-at")["data"]
    return [f"THE SCHEDULE of 2 s stands still after {before} times; the last was due {last[0]['at'] if last else 'never'}; "
            f"times at the ends of the phases: {scene.ticks}"]


# MARK: a kill under a wrong clock


def try_kill(scene, jump):
    """Deliveries are being sent when the server is killed. It is started with the right clock, and nobody asks for the app;
    or it stays away, and the other one takes over."""
    phase = scene.writers.phase = f"killed under {jump}"
    scene.hooks.delay = None
    known = scene.hooks.count
    with jumped(scene.clock, jump):
        client = scene.admin(scene.jumper)
        markers = [f"{name_of(phase)}-0-{number}" for number in range(5)]
        for number, marker in enumerate(markers):
            body = {"marker": marker, "code": marker, "number": number}
            row = client.call("POST", f"/api/{scene.app}/item", body, expect=201)["data"]
            scene.writers.sent[marker] = Sent(row["id"], time.monotonic(), False)
            scene.journal.note([marker], ACKNOWLEDGED)
        deadline = time.monotonic() + 10
        while scene.hooks.count < known + len(HOOKS) * len(markers) and time.monotonic() < deadline:
            time.sleep(0.05)
        sent = scene.hooks.count - known
        scene.jumper.server.kill()
        scene.servers.remove(scene.jumper.server)
    if not sent:
        raise RoundFailure(f"{phase}: nothing was sent")
    scene.hooks.delay = 0
    scene.hooks.held.clear()  # their connections are gone
    known = len(scene.hooks.deliveries())
    scene.known_when_killed |= dict.fromkeys(markers, known)
    if scene.options.stays_away:
        scene.places.remove(scene.jumper)
    else:
        scene.jumper = scene.places[0] = scene.start("the server", scene.clock)


# MARK: a try


def wait_for_vigils(scene):
    """As they were begun."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        begun = vigils(scene)
        if len(begun) == 2 * VIGILS and all(status == "running" and until for status, until in begun.values()):
            return begun
        time.sleep(0.2)
    raise RoundFailure(f"{2 * VIGILS} workflows were to rest for {PATIENCE_DAYS} days: {begun}")


class Result:
    def __init__(self, scene, drained, kills):
        self.acknowledged, self.kills, self.drained = len(scene.writers.sent), kills, drained
        self.statuses, self.slowest = scene.journal.statuses, scene.writers.slowest
        self.requests, self.idle = scene.writers.requests, scene.idle
        self.deliveries, self.latencies = scene.hooks.count, sorted(scene.latencies)
        self.clock_reads, self.ticks = scene.clock.machine.clock_reads, list(scene.ticks.values())


def run_try(options, directory, seed):
    jumps = [name.strip() for name in options.jumps.split(",")] if options.jumps else list(JUMPS)
    unknown = set(jumps) - JUMPS.keys()
    if options.stays_away and options.store == "sqlite":
        raise RoundFailure("--stays-away needs another server, and so --store postgres")
    if unknown:
        raise RoundFailure(f"there are no jumps {sorted(unknown)}, but {list(JUMPS)}")
    with contextlib.ExitStack() as stack:
        scene = Scene(options, directory, seed, stack)
        users = [user(when, jump) for jump in jumps for when in ("before", "in")]
        make_app(scene.admin(), scene.app, scene.hooks, scene.calls, users)
        scene.writers.start()
        random.Random(seed).shuffle(jumps)
        scene.vigils = wait_for_vigils(scene)
        for jump in jumps:
            scene.try_jump(jump)
        if not scene.clock.machine.clock_reads:
            raise RoundFailure("nobody read the clock while it was wrong: nothing was tried")
        for (place, email), since in scene.locked.items():
            try_locked(place, email, since, "after all jumps", scene.journal)
        kills = [name for name in dict.fromkeys(["year ahead", "1970", *jumps]) if name in jumps and JUMPS[name]]
        # One that stays away is killed once.
        kills = kills[: 1 if options.stays_away else options.kills]
        for jump in kills:
            try_kill(scene, jump)
            scene.require_alive(f"killed under {jump}")
        scene.patience = DRAIN_SECONDS[options.store] + (AWAY_SECONDS if options.stays_away else 0)
        drained = scene.drain(scene.patience)
        problems = judge(scene)
        silent = {phase for phase in [*jumps, *(f"right after {jump}" for jump in jumps)]
                  if not any(phase_of(marker) == phase for marker in scene.writers.sent)}
        problems += [f"{phase}: nothing was acknowledged" for phase in silent]
        scene.writers.end()
        said = collections.Counter(re.sub(r"-\d+-\d+\b|(?<=request id )[^\"]*", "…", line) for line in scene.journal.problems)
        problems = [*(f"{line} ({count} times)" for line, count in said.most_common()), *problems]
        if problems:
            more = [f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
            raise RoundFailure("\n".join([f"{len(problems)} problems", *problems[:SHOWN], *more]))
        for server in scene.servers:
            server.stop()
        scene.servers.clear()
    return Result(scene, drained, kills)


def describe(result):
    middle = result.latencies[len(result.latencies) // 2]
    return (
        f"{result.acknowledged} records acknowledged, answers {dict(result.statuses)}, the slowest {result.slowest:.2f} s; "
        f"{result.deliveries} deliveries, {middle * 1000:.0f} ms after the write in the middle, {max(result.latencies):.2f} s at most; "
        f"all was sent {result.drained:.0f} s after the clock was right; {result.ticks[-1]} times of the schedule; "
        f"the wrong clock was read {result.clock_reads} times; killed under {', '.join(result.kills) or 'none'}"
        + "".join(f"\n  {line}" for line in by_phase(result))
    )


def by_phase(result):
    """The requests of each phase, and how much of a processor an idle server used in it at most."""
    for phase, count in result.requests.items():
        idle = [share for (known, _), share in result.idle.items() if known == phase]
        if idle:
            yield f"{phase}: {count} requests, idle at most {max(idle):.1%} of a processor"


def summary(store, good, count):
    return f"{store}: {len(good)} of {count} tries went as they must: {sum(result.acknowledged for result in good)} records"


def main():
    parser = tries.arguments(__doc__, 1)
    parser.add_argument("--kills", type=int, default=2, help="under wrong clocks, at the end (default: 2)")
    parser.add_argument("--stays-away", action="store_true", help="the server that is killed is not started again")
    parser.add_argument("--jumps", help=f"with commas between them, of: {', '.join(JUMPS)} (default: all)")
    tries.run(parser, "clock-jumps", run_try, describe, summary)


if __name__ == "__main__":
    main()
