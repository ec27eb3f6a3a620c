#!/usr/bin/env python3
"""Keeps a Rocket server at work at a moderate, constant rate for an hour, and looks for whatever grows.

    scripts/torture/soak.py [ROCKET] [--minutes 60] [--rate 200]
    PGSAFE=1 scripts/with_postgres.sh scripts/torture/soak.py --store postgres

Reads, lists, writes, nested writes, sign-ins, files, webhooks, workflows, changes of metadata, apps that are opened,
closed, made and deleted. What is made is deleted again, so that the data stays as large as it is; what the server
keeps by design (the logs of webhooks and workflows) is told and not judged, as is how busy the machine is with others.
Every ten seconds memory, files, threads, latency, CPU for a request and the write-ahead log are read, and every minute
a line tells them. It is a fault

- where the last quarter's median is above the second's by more than the tolerance, or by more than half of it while a
  line laid through the last three quarters rises by more than all of it (SQLite's cache of the logs is allowed for),
- where an answer is an error or wrong,
- where a row that must be there is not, or one that must not be there is,
- where a webhook was not told, or a workflow has not ended,
- where the rate was not kept.
"""
import asyncio
import collections
import contextlib
import itertools
import json
import os
import pathlib
import random
import sqlite3
import statistics
import sys
import time
import urllib.parse
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import tries  # noqa: E402
from loading.bounds_of_files import FORM, form  # noqa: E402
from loading.figures import MEGABYTE, Spread  # noqa: E402
from loading.stage import Stage, entity, stored  # noqa: E402
from loading.verdict import refuse_with  # noqa: E402
from loading.wire import connect_all  # noqa: E402
from webhook_receiver import Receiver  # noqa: E402

WIRES = 24
SAMPLE_SECONDS, LINE_SECONDS = 10, 60
APPS, OPEN_APPS = 6, 4
ITEMS, ORDERS = 2_000, 300  # rows that are there all the time
ITEM = entity(
    "item", {"value": {"type": "string", "required": True}, "note": "text", "number": "int", "picture": "file"},
    history=False, indexes=[{"fields": ["number"]}],
)
ORDER = entity("order", {"title": "string", "state": "string", "seen": "boolean"}, soft_delete=False, history=False)
LINE = entity("line", {"order_id": "uuid", "text": "string", "count": "int"}, history=False)
LINES = {
    "name": "lines", "type": "one_to_many", "source": "order", "target": "line", "source_key": "id",
    "target_key": "order_id", "on_delete": "cascade",
}
STATES = {
    "entity": "order", "field": "state",
    "definition": {"initial": "open", "transitions": [{"from": "open", "to": "paid"}, {"from": "paid", "to": "open"}]},
}
RULE = {
    "entity": "item", "hook": "before_write", "type": "expression",
    "definition": {"expression": "record.number < 0", "field": "number", "message": "too small"},
}
WORKFLOW = {
    "name": "look", "trigger": {"type": "record", "entity": "order", "action": "create"},
    "context": {"id": "record_id"},
    "steps": [
        {"id": "see", "type": "action", "then": "wait", "actions": [
            {"type": "set_field", "entity": "order", "record_id": "context.id", "field": "seen", "value": True},
        ]},
        {"id": "wait", "type": "wait", "duration": "1s", "then": "end"},
    ],
}


class Tolerance(NamedTuple):
    """How far the last quarter may be above the second."""

    share: float
    more: float
    unit: str


TOLERANCES = {
    "rss": Tolerance(0.10, 8, "MB"), "files": Tolerance(0, 8, ""), "threads": Tolerance(0, 2, ""),
    "p50": Tolerance(0.30, 0.5, "ms"), "p99": Tolerance(0.50, 15, "ms"), "cpu": Tolerance(0.20, 0.1, "ms/request"),
    "wal": Tolerance(0.50, 16, "MB"),
}
# SQLite keeps pages that it has read, of each connection no more than these MB; and the data grows by the logs. Two
# connections have to do with the logs: the one that writes, and one that counts them.
CACHE_MEGABYTES, CACHES = 16, 2


# MARK: the load


class Told(Receiver):
    """Which orders were told of; a deque of an hour's bodies would be memory for nothing."""

    def __init__(self):
        super().__init__()
        self.orders, self.total = collections.Counter(), 0

    def record(self, delivery):
        self.orders[json.loads(delivery.body)["record"]["id"]] += 1
        self.total += 1


class Soak:
    """All requests of a soak, and what must be true at its end."""

    def __init__(self, stage, app, others, rate, seed):
        self.stage, self.app, self.others, self.rate = stage, app, others, rate
        self.draw = random.Random(seed)
        self.numbers = itertools.count()
        self.items, self.orders = {}, {}  # id: what was acknowledged last
        self.busy = set()  # ids that a request is changing
        self.told_of = collections.Counter()  # orders: writes that a webhook must be told of
        self.created_orders, self.made_apps, self.changes = 0, 0, 0
        self.times, self.window = collections.defaultdict(list), []
        self.statuses, self.problems, self.lag = collections.Counter(), [], []
        self.count, self.is_over = 0, False
        self.next_turn = None  # when the next request is due, once the rate counts
        kinds = {
            self.get: 34, self.list: 14, self.search: 3, self.include: 6, self.replace_item: 9, self.update: 14,
            self.replace_order: 3, self.move_order: 4, self.batch: 2, self.other_app: 8, self.sign_in: 0.5,
            self.file: 1, self.log: 0.5, self.keyed: 1,
        }
        self.kinds, self.weights = list(kinds), list(kinds.values())

    async def turn(self):
        """All requests wait for one clock, so that the rate is kept, however many a kind of work sends."""
        if self.next_turn is None:
            return
        # What a slow answer has held up is made good, but not a whole outage of it.
        due = self.next_turn = max(self.next_turn + 1 / self.rate, time.monotonic() - 1)
        await asyncio.sleep(max(0, due - time.monotonic()))
        self.lag.append(time.monotonic() - due)

    async def ask(self, wire, kind, method, path, body=None, headers=(), good=(200, 201)):
        await self.turn()
        answer = await wire.ask(method, path, body, headers)
        self.statuses[answer.status] += 1
        self.count += 1
        self.window.append(answer.seconds)
        self.times[kind].append(answer.seconds)
        if answer.status not in good:
            self.problems.append(f"{kind}: {method} {path[:100]}: {answer}")
        return answer

    def path(self, rest, app=None):
        return f"/api/{app or self.app}/{rest}"

    @contextlib.contextmanager
    def one_of(self, rows):
        """A row that no other request is changing."""
        start = self.draw.randrange(max(1, len(rows) - 1))
        id = next(itertools.islice(rows, start, None), None)
        if id is None or id in self.busy:
            yield None
            return
        self.busy.add(id)
        try:
            yield id
        finally:
            self.busy.discard(id)

    # MARK: reads

    async def get(self, wire):
        with self.one_of(self.items) as id:
            if id is None:
                return
            answer = await self.ask(wire, "get", "GET", self.path(f"item/{id}"))
            if answer.status == 200 and any(answer.data[name] != value for name, value in self.items[id].items()):
                self.problems.append(f"item {id} is {answer.data}, acknowledged was {self.items[id]}"[:300])

    async def list(self, wire):
        start = self.draw.randrange(ITEMS)
        query = f"filter%5Bnumber.gte%5D={start}&sort=number&per_page=25"
        answer = await self.ask(wire, "list", "GET", self.path(f"item?{query}"))
        if answer.status == 200 and any(row["number"] < start for row in answer.data):
            self.problems.append(f"a list from {start} has what is below it")

    async def search(self, wire):
        where = urllib.parse.quote("note.includes('ab') && number > 100")
        await self.ask(wire, "where", "GET", self.path(f"item?where={where}&per_page=10"))

    async def include(self, wire):
        await self.ask(wire, "include", "GET", self.path("order?include=lines&per_page=10&sort=-id"))

    async def log(self, wire):
        await self.ask(wire, "log", "GET", self.path("_admin/webhook-logs?status=failed"))

    async def other_app(self, wire):
        """More apps than may be open, so that some are opened and closed all the time."""
        # Mostly the same ones: else each request opens an app, and nothing else is measured.
        turn = self.count // 200 if self.draw.random() < 0.95 else self.draw.randrange(len(self.others))
        app = self.others[turn % len(self.others)]
        answer = await self.ask(wire, "other app", "GET", self.path("item?per_page=5", app))
        if answer.status == 200 and len(answer.data) != 5:
            self.problems.append(f"{app} has {len(answer.data)} rows")

    # MARK: writes

    def new_item(self):
        number = next(self.numbers)
        note = "".join(self.draw.choices("abcdefgh ", k=self.draw.randrange(300)))
        return {"value": f"v{number}", "note": note, "number": self.draw.randrange(ITEMS)}

    async def create_item(self, wire, headers=()):
        body = self.new_item()
        answer = await self.ask(wire, "create", "POST", self.path("item"), body, headers)
        if answer.status == 201:
            self.items[answer.data["id"]] = body

    async def delete_item(self, wire):
        with self.one_of(self.items) as id:
            if id is not None and (await self.ask(wire, "delete", "DELETE", self.path(f"item/{id}"))).status == 200:
                del self.items[id]

    async def replace_item(self, wire):
        await self.create_item(wire)
        if len(self.items) > ITEMS:
            await self.delete_item(wire)

    async def keyed(self, wire):
        key = [f"Idempotency-Key: {self.draw.getrandbits(120)}"]
        await self.create_item(wire, key)
        if len(self.items) > ITEMS:
            await self.delete_item(wire)

    async def update(self, wire):
        with self.one_of(self.items) as id:
            if id is None:
                return
            body = self.new_item()
            if (await self.ask(wire, "update", "PUT", self.path(f"item/{id}"), body)).status == 200:
                self.items[id] = body

    async def batch(self, wire):
        bodies = [self.new_item() for _ in range(3)]
        operations = [{"method": "POST", "path": "/item", "body": body} for body in bodies]
        answer = await self.ask(wire, "batch", "POST", self.path("_batch"), {"operations": operations})
        if answer.status == 200:
            results = json.loads(answer.body)["data"]
            self.items |= {result["data"]["id"]: body for result, body in zip(results, bodies)}
            for _ in range(max(0, len(self.items) - ITEMS)):
                await self.delete_item(wire)

    async def replace_order(self, wire):
        body = {"title": f"o{next(self.numbers)}", "lines": [{"text": "t", "count": n} for n in range(5)]}
        answer = await self.ask(wire, "nested create", "POST", self.path("order"), body)
        if answer.status == 201:
            id = answer.data["id"]
            self.orders[id] = {"title": body["title"], "state": "open"}
            self.told_of[id] += 1
            self.created_orders += 1
        if len(self.orders) > ORDERS:
            # The oldest, with whose workflow nobody is busy any more.
            id = next((each for each in self.orders if each not in self.busy), None)
            self.busy.add(id)
            if (await self.ask(wire, "nested delete", "DELETE", self.path(f"order/{id}"))).status == 200:
                del self.orders[id]
            self.busy.discard(id)

    async def move_order(self, wire):
        with self.one_of(self.orders) as id:
            if id is None:
                return
            state = "paid" if self.orders[id]["state"] == "open" else "open"
            lines = {"_write_mode": "replace", "data": [{"text": "u", "count": n} for n in range(4)]}
            body = {"state": state, "lines": lines}
            answer = await self.ask(wire, "nested update", "PUT", self.path(f"order/{id}"), body)
            if answer.status == 200:
                self.orders[id]["state"] = state
                self.told_of[id] += 1

    # MARK: the rest

    async def sign_in(self, wire):
        body = {"email": "admin@localhost", "password": "changeme"}
        answer = await self.ask(wire, "sign-in", "POST", self.path("auth/login"), body)
        if answer.status != 200:
            return
        token = {"refresh_token": answer.data["refresh_token"]}
        answer = await self.ask(wire, "refresh", "POST", self.path("auth/refresh"), token)
        if answer.status == 200:
            token = {"refresh_token": answer.data["refresh_token"]}
            await self.ask(wire, "logout", "POST", self.path("auth/logout"), token)

    async def file(self, wire):
        answer = await self.ask(wire, "upload", "POST", self.path("_files/upload"), form(20_000), FORM)
        if answer.status != 201:
            return
        path = self.path(f"_files/{answer.data['id']}")
        read = await self.ask(wire, "download", "GET", path)
        if read.status == 200 and read.body != b"t" * 20_000:
            self.problems.append(f"a file of {len(read.body)} bytes came back")
        await self.ask(wire, "remove file", "DELETE", path)

    async def change_metadata(self, wire):
        """A rule that comes and goes, and an index."""
        made = await self.ask(wire, "make rule", "POST", self.path("_admin/rules"), RULE)
        for indexes in ([{"fields": ["number"]}, {"fields": ["value"]}], [{"fields": ["number"]}]):
            await self.ask(wire, "change index", "PUT", self.path("_admin/entities/item"), ITEM | {"indexes": indexes})
        if made.status == 201:
            await self.ask(wire, "remove rule", "DELETE", self.path(f"_admin/rules/{made.data['id']}"))
        self.changes += 1

    async def make_and_delete_app(self, wire):
        name = f"{self.stage.name}_{next(self.numbers)}"
        await self.ask(wire, "make app", "POST", "/api/_platform/apps", {"name": name})
        await self.ask(wire, "import", "POST", self.path("_admin/import", name), {"version": 1, "entities": [ITEM]})
        await self.ask(wire, "create", "POST", self.path("item", name), {"value": "x"})
        await self.ask(wire, "delete app", "DELETE", f"/api/_platform/apps/{name}")
        self.made_apps += 1

    # MARK: the run

    async def fill(self, wires):
        async def some(wire):
            while len(self.items) < ITEMS:
                await self.create_item(wire)
            while len(self.orders) < ORDERS:
                await self.replace_order(wire)

        await asyncio.gather(*(some(wire) for wire in wires[:8]))
        self.times.clear()
        self.window.clear()
        self.statuses.clear()
        self.count, self.next_turn = 0, time.monotonic()

    async def work(self, wire):
        """One of the connections."""
        while not self.is_over:
            await self.draw.choices(self.kinds, self.weights)[0](wire)

    async def now_and_then(self, wires, seconds):
        work = [self.change_metadata, self.make_and_delete_app]
        for number in itertools.count():
            await asyncio.sleep(seconds)
            await work[number % 2](wires[number % 2])

    async def keep_signed_in(self, wires):
        while True:
            await asyncio.sleep(300)
            token = await asyncio.to_thread(self.stage.server.sign_in)
            for wire in wires:
                wire.token = token


# MARK: samples


class Sample(NamedTuple):
    at: float
    rss: float  # MB
    files: int
    threads: int
    p50: float  # ms
    p99: float
    cpu: float  # ms of a request
    wal: float  # MB
    requests: int
    logs: int  # rows that are kept by design
    data: float  # MB
    machine: float  # per cent of all CPUs that were busy, whoever with


def busy_seconds():
    """Of all CPUs together (proc(5): what is neither idle nor waits for a disk)."""
    line = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    ticks = [int(each) for each in line[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


async def sampling(soak, samples, begin):
    last, count, busy = soak.stage.reading, soak.count, busy_seconds()
    while True:
        await asyncio.sleep(SAMPLE_SECONDS - (time.monotonic() - begin) % SAMPLE_SECONDS)
        soak.stage.must_live()
        window, soak.window = Spread(soak.window), []
        now, asked, all_busy = soak.stage.reading, soak.count - count, busy_seconds()
        wal, logs, data = await asyncio.to_thread(storage, soak.stage, soak.app)
        samples.append(Sample(
            time.monotonic() - begin, now.megabytes, now.files, now.threads, window.median * 1000, window.p99 * 1000,
            (now.cpu - last.cpu) * 1000 / max(1, asked), wal, asked, logs, data,
            (all_busy - busy) * 100 / SAMPLE_SECONDS / os.cpu_count(),
        ))
        last, count, busy = now, soak.count, all_busy
        tell_now_and_then(soak, samples)


def tell_now_and_then(soak, samples):
    """So that something is known of a soak that is cut short."""
    every = LINE_SECONDS // SAMPLE_SECONDS
    if len(samples) % every:
        return
    some = samples[-every:]
    middle = ", ".join(
        f"{name} {statistics.median(getattr(sample, name) for sample in some):.2f} {tolerance.unit}".strip()
        for name, tolerance in TOLERANCES.items()
    )
    print(
        f"{soak.stage.store} {samples[-1].at / 60:.0f} min: {middle}; "
        f"{sum(sample.requests for sample in some) / LINE_SECONDS:.0f} requests/s, data {samples[-1].data:.0f} MB, "
        f"logs {samples[-1].logs} rows, machine {statistics.mean(sample.machine for sample in some):.0f} %; "
        f"{len(soak.problems)} problems" + (f", the last: {soak.problems[-1][:300]}" if soak.problems else ""),
        flush=True,
    )


LOGS = ("_webhook_logs", "_workflow_instances", "_workflow_history", "_request_keys", "_events", "_refresh_tokens")


def storage(stage, app):
    """The write-ahead logs, the rows of the system's tables, and the database, the sizes in MB."""
    counts = ", ".join(f'(SELECT count(*) FROM "{table}")' for table in LOGS)
    if stage.store == "postgres":
        # Its write-ahead log is PostgreSQL's own business.
        *rows, size = stage.psql(f"SELECT {counts}, pg_database_size(current_database())", f"rocket_{app}").split("|")
        return 0.0, sum(map(int, rows)), int(size) / MEGABYTE
    folder = stage.directory / "data" / "apps"
    wal = sum(path.stat().st_size for path in [*folder.glob("*-wal"), *folder.parent.glob("*-wal")] if path.exists())
    with contextlib.closing(sqlite3.connect(f"file:{folder}/{app}.db?mode=ro", uri=True, timeout=5)) as database:
        rows = database.execute(f"SELECT {counts}").fetchone()
    return wal / MEGABYTE, sum(rows), (folder / f"{app}.db").stat().st_size / MEGABYTE


def quarters(samples):
    end = samples[-1].at
    parts = [[], [], [], []]
    for sample in samples:
        parts[min(3, int(4 * sample.at / (end + 1e-9)))].append(sample)
    return parts


def judge(samples, store):
    """Problems, and the table."""
    parts, problems, rows = quarters(samples), [], []
    if any(len(part) < 3 for part in parts):
        return [f"only {len(samples)} samples: nothing can be said"], []
    later = list(itertools.chain.from_iterable(parts[1:]))
    for name, tolerance in TOLERANCES.items():
        medians = [statistics.median(getattr(sample, name) for sample in part) for part in parts]
        xs, ys = [sample.at for sample in later], [getattr(sample, name) for sample in later]
        slope = statistics.linear_regression(xs, ys).slope
        # From the middle of the second quarter to that of the last.
        rise = slope * (statistics.mean(s.at for s in parts[3]) - statistics.mean(s.at for s in parts[1]))
        bound = medians[1] * tolerance.share + tolerance.more
        if name == "rss" and store == "sqlite":
            bound += cached(parts[3]) - cached(parts[1])
        grew = medians[3] - medians[1]
        rows.append((name, tolerance.unit, medians, rise, bound))
        # A line is drawn up by one spike, a median is not: what grows moves both.
        if grew > bound or (rise > bound and grew > bound / 2):
            problems.append(
                f"{name} GREW: from {medians[1]:.2f} to {medians[3]:.2f} {tolerance.unit} (the line: {rise:+.2f}), "
                f"and may by {bound:.2f}"
            )
    return problems, table(parts, rows)


def cached(part):
    """What SQLite may have in memory of the data, in MB."""
    return CACHES * min(CACHE_MEGABYTES, statistics.median(sample.data for sample in part))


def table(parts, rows):
    names = "".join(f"{f'quarter {number}':>12}" for number in range(1, 5))
    lines = [f"{'':28}{names}{'line 2-4':>12}{'may':>10}"]
    for name, unit, medians, rise, bound in rows:
        values = "".join(f"{each:12.2f}" for each in medians)
        lines.append(f"{f'{name} {unit} (median)':28}{values}{rise:+12.2f}{bound:10.2f}")
    rate = [sum(s.requests for s in part) / len(part) / SAMPLE_SECONDS for part in parts]
    lines.append(f"{'requests/s':28}" + "".join(f"{each:12.1f}" for each in rate))
    busy = [statistics.mean(sample.machine for sample in part) for part in parts]
    lines.append(f"{'machine busy, %':28}" + "".join(f"{each:12.1f}" for each in busy))
    for name, words in [("logs", "rows of logs (by design)"), ("data", "database MB (with logs)")]:
        lines.append(f"{words:28}" + "".join(f"{getattr(part[-1], name):12.1f}" for part in parts))
    return lines


# MARK: a try


def run_try(options, directory, seed):
    settings = {"database": {"max_open_apps": OPEN_APPS}, "auth": {"failures_per_address": 1_000}}
    with Told() as receiver, Stage(options, directory, "soak", settings) as stage:
        rows = [{"value": f"{number}", "number": number} for number in range(5)]
        others = [stage.make_app(f"_{number}", entities=[ITEM], rows=[("item", keyed(rows))]) for number in range(APPS)]
        app = stage.make_app(
            entities=[ITEM, ORDER, LINE], relations=[LINES], state_machines=[STATES], workflows=[WORKFLOW]
        )
        webhook = {
            "entity": "order", "hook": "after_write", "url": receiver.url("/told"),
            "condition": "record.seen != true || changes.state",
        }
        stage.admin.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
        soak = Soak(stage, app, others, options.rate, seed)
        samples = []
        asyncio.run(run(soak, options.minutes * 60, samples))
        problems, lines = judge(samples, options.store)
        problems = soak.problems + problems + at_the_end(soak, receiver, options)
        lines = [*lines, *figures(soak, receiver)]
        refuse_with(problems, lines)
        return lines


def keyed(rows):
    return [row | {"id": f"00000000-0000-4000-8000-{number:012}"} for number, row in enumerate(rows)]


async def run(soak, seconds, samples):
    wires = await connect_all(soak.stage.port, soak.stage.token, WIRES + 2)
    await soak.fill(wires)
    begin = time.monotonic()
    beside = [
        asyncio.create_task(each) for each in (
            sampling(soak, samples, begin), soak.keep_signed_in(wires), soak.now_and_then(wires[WIRES:], 10),
        )
    ]
    workers = [asyncio.create_task(soak.work(wire)) for wire in wires[:WIRES]]
    end = asyncio.create_task(asyncio.sleep(seconds + 1))
    done, _ = await asyncio.wait([end, *beside, *workers], return_when=asyncio.FIRST_COMPLETED)
    soak.is_over = True
    for task in [end, *beside]:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    for task in done - {end}:
        task.result()  # what has ended before the time says why
    for wire in wires:
        wire.close()


def at_the_end(soak, receiver, options):
    """What was acknowledged is there, what was deleted is not, and everything that was to follow has followed."""
    problems, admin, app = [], soak.stage.admin, soak.app
    for name, wanted in (("item", soak.items), ("order", soak.orders)):
        rows = {row["id"]: row for row in stored(admin, app, name)}
        problems += [f"{name} {id} was acknowledged and is LOST" for id in wanted.keys() - rows.keys()]
        problems += [f"{name} {id} is there, and was deleted or never sent" for id in rows.keys() - wanted.keys()]
        problems += [
            f"{name} {id} differs: {rows[id]}"[:300] for id, body in wanted.items()
            if id in rows and any(rows[id][key] != value for key, value in body.items())
        ]

    def total(path):
        return admin.call("GET", f"/api/{app}/{path}&per_page=1")["meta"]["total"]

    running = wait_for(lambda: total("_workflows?status=running"), 0)
    completed, failed = total("_workflows?status=completed"), total("_workflows?status=failed")
    # One whose order is deleted before its first step fails; the oldest are deleted, so that there is none.
    if running or failed or completed != soak.created_orders:
        problems.append(f"of {soak.created_orders} workflows {completed} completed, {failed} failed, {running} run")
    for status in ("pending", "retrying"):
        left = wait_for(lambda: total(f"_admin/webhook-logs?status={status}"), 0)
        if left:
            problems.append(f"{left} deliveries are {status}")
    untold = [id for id, count in soak.told_of.items() if receiver.orders[id] < count]
    problems += [f"order {id} was told {receiver.orders[id]} times, of {soak.told_of[id]} writes" for id in untold]
    if not soak.told_of or not soak.made_apps or not soak.changes or not soak.count:
        problems.append("nothing was done")
    kept = soak.count / (options.minutes * 60) / soak.rate
    if not 0.8 < kept < 1.5:
        problems.append(f"{kept * 100:.0f} % of the rate was kept")
    return problems


def wait_for(read, wanted, seconds=30):
    end = time.monotonic() + seconds
    while (value := read()) != wanted and time.monotonic() < end:
        time.sleep(0.5)
    return value


def figures(soak, receiver):
    statuses = ", ".join(f"{count} × {status}" for status, count in sorted(soak.statuses.items()))
    lines = [
        f"{soak.count} requests ({statuses}), {receiver.total} deliveries, {soak.created_orders} workflows, "
        f"{soak.changes} changes of metadata, {soak.made_apps} apps made and deleted, {APPS + 1} in use of which "
        f"{OPEN_APPS} may be open; late in sending {Spread(soak.lag)}"
    ]
    return lines + ["; ".join(f"{kind} {Spread(times)}" for kind, times in sorted(soak.times.items()))]


def main():
    parser = tries.arguments(__doc__, 1)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=200, help="requests a second (default: 200)")
    describe = lambda lines: "flat\n  " + "\n  ".join(lines)  # noqa: E731
    summary = lambda store, good, asked: f"{store}: {len(good)} of {asked} soaks were flat"  # noqa: E731
    tries.run(parser, "soak", run_try, describe, summary)


if __name__ == "__main__":
    main()
