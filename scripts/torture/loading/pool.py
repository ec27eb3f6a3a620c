"""The part `pool`: more writers than the app has connections, and transactions that last."""
import asyncio
import collections
import contextlib
import itertools
import json
import random
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kill9 import Client
from loading.figures import Spread
from loading.stage import ITEM, PART_OF, PARTS, SLOW, Stage, quick_requests, some_rows, stored
from loading.verdict import Tally, refuse_with
from loading.wire import close_all, connect_all, for_seconds

POOL = 4
# What may follow on each other: the wait for a connection, that for a row, the calls of a write, and some way.
POOL_LIMIT = 20.0
HOOK_SECONDS = 2.0


class ReadingReceiver:
    """A webhook that takes its time and reads the app before it agrees, which is what the manual allows."""

    def __init__(self, seconds):
        self.seconds, self.bodies, self.reads, self.lock = seconds, [], collections.Counter(), threading.Lock()
        self.read_path, self.stage = None, None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = owner.take(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)

    def take(self, body):
        time.sleep(self.seconds)
        status = 0
        with contextlib.suppress(OSError):
            client = Client(self.stage.port, self.stage.token)
            client.connection.timeout = 5
            status = client.send("GET", self.read_path).status
        with self.lock:
            self.bodies.append(body["record"]["value"])
            self.reads[status] += 1
        return 200

    def url(self, path):
        return f"http://127.0.0.1:{self.http.server_address[1]}{path}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def run_pool(options, directory, seed):
    settings = {"app_pool_size": POOL, "database": {"pool_size": 2 * POOL}} if options.store == "postgres" else {}
    with ReadingReceiver(HOOK_SECONDS) as receiver, Stage(options, directory, "pool", settings) as stage:
        rows = some_rows(10_000, seed)
        app = stage.make_app(entities=[ITEM, SLOW, PART_OF], relations=[PARTS], rows=[("item", rows)])
        receiver.stage, receiver.read_path = stage, f"/api/{app}/item/{rows[0]['id']}"
        webhook = {"entity": "slow", "hook": "before_write", "url": receiver.url("/agree")}
        stage.admin.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
        return asyncio.run(exhaust(stage, app, rows, receiver, seed))


async def exhaust(stage, app, rows, receiver, seed):
    calm = await quick_requests(stage, app, rows)
    tally, load = Tally(), PoolLoad(app, rows, seed)
    wires = await connect_all(stage.port, stage.token, 6 * POOL, POOL_LIMIT + 10)
    kinds = [load.slow] * (2 * POOL) + [load.same_row] * POOL + [load.heavy] * POOL + [load.mixed] * (2 * POOL)

    async def work(number, is_over):
        while not is_over():
            answer = await kinds[number](wires[number], number, tally)
            if answer.status == 503:
                await asyncio.sleep(0.05)  # a client that does not hammer

    await for_seconds(max(12, stage.options.seconds), work, len(wires))
    close_all(wires)
    problems = list(tally.problems)
    for kind, times in tally.times.items():
        if max(times) > POOL_LIMIT:
            problems.append(f"{kind}: an answer after {max(times):.1f} s")
        if not tally.count(kind, 200) + tally.count(kind, 201):
            problems.append(f"{kind}: none of {len(tally.times[kind])} requests was carried out")
    there = collections.Counter(row["value"] for row in stored(stage.admin, app, "slow"))
    problems += [f"{value} was acknowledged and is LOST" for value in load.acknowledged - there.keys()]
    problems += [f"{value} was refused and is stored" for value in there.keys() & load.refused]
    problems += [f"{value} is there {count} times" for value, count in there.items() if count > 1]
    asked = set(receiver.bodies)
    problems += [f"{value} is stored, and the webhook was not asked" for value in there.keys() - asked]
    if set(receiver.reads) - {200, 503}:
        problems.append(f"the webhook, which read the app, was answered {dict(receiver.reads)}")
    if not receiver.reads[200]:
        problems.append("the webhook could not read the app once")
    after = await quick_requests(stage, app, rows)
    if after.p99 > max(0.2, 4 * calm.p99):
        problems.append(f"requests after the load take longer than before: {after}; before: {calm}")
    problems += left_busy(stage, app) if stage.store == "postgres" else []
    lines = [
        f"{tally.line()}; " + "; ".join(
            f"{kind} {tally.count(kind, 200) + tally.count(kind, 201)} done, {tally.count(kind, 503)} × 503, "
            f"{Spread(times)}" for kind, times in sorted(tally.times.items())
        ),
        f"the webhook's own reads: {dict(receiver.reads)}; requests before {calm}; after {after}",
    ]
    refuse_with(problems, lines)
    return lines


def left_busy(stage, app):
    """What of the app's connections is not idle, when nobody asks any more."""
    where = f"datname = 'rocket_{app}' AND application_name = 'rocket'"
    count = int(stage.psql(f"SELECT count(*) FROM pg_stat_activity WHERE {where}"))
    busy = stage.psql(f"SELECT state, query FROM pg_stat_activity WHERE {where} AND state <> 'idle'")
    problems = [f"left busy: {busy}"] if busy else []
    if count > POOL:
        problems.append(f"the app has {count} connections, of {POOL} at most")
    return problems


class PoolLoad:
    """Requests that hold connections, and the bookkeeping of those that write."""

    def __init__(self, app, rows, seed):
        self.app, self.rows, self.draw = app, rows, random.Random(seed)
        self.numbers, self.acknowledged, self.refused = itertools.count(), set(), set()

    def note(self, tally, kind, answer):
        tally.note(kind, answer, good=(200, 201, 503))
        if answer.status == 503 and answer.header("Retry-After") is None:
            tally.problems.append(f"{kind}: a 503 without Retry-After: {answer}")
        return answer

    async def slow(self, wire, number, tally):
        value = f"{number}-{next(self.numbers)}"
        answer = await wire.ask("POST", f"/api/{self.app}/slow", {"value": value})
        if answer.status == 201:
            self.acknowledged.add(value)
        elif answer.status == 503:
            self.refused.add(value)
        return self.note(tally, "create that waits for a webhook", answer)

    async def same_row(self, wire, number, tally):
        body, path = {"note": f"{number}-{next(self.numbers)}"}, f"/api/{self.app}/item/{self.rows[1]['id']}"
        return self.note(tally, "update of one row", await wire.ask("PUT", path, body))

    async def heavy(self, wire, number, tally):
        where = urllib.parse.quote("note.includes('abc') || note.includes('hgf') || note.includes('fff')")
        path = f"/api/{self.app}/item?where={where}&sort=-note"
        return self.note(tally, "list by an expression", await wire.ask("GET", path))

    async def mixed(self, wire, number, tally):
        """Whatever might want a second connection while it has one."""
        count = next(self.numbers)
        item, new = f"/api/{self.app}/item", {"value": f"m{count}"}
        row = self.rows[self.draw.randrange(100, 10_000)]
        name, *request = [
            ("nested create", "POST", item, new | {"parts": [{"value": "a"}, {"value": "b"}]}),
            ("create with a key", "POST", item, new, [f"Idempotency-Key: {uuid.uuid4()}"]),
            ("batch", "POST", f"/api/{self.app}/_batch",
             {"operations": [{"method": "POST", "path": "/item", "body": new}] * 5}),
            ("sign-in", "POST", f"/api/{self.app}/auth/login", {"email": "admin@localhost", "password": "changeme"}),
            ("get", "GET", f"{item}/{row['id']}?include=parts"),
        ][count % 5]
        return self.note(tally, name, await wire.ask(*request))
