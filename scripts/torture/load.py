#!/usr/bin/env python3
"""Loads a Rocket server up to its bounds and beyond, and judges every answer.

    scripts/torture/load.py [ROCKET] [--part NAME]... [--seconds 10] [--rows 20000]
    PGSAFE=1 scripts/with_postgres.sh scripts/torture/load.py --store postgres
    scripts/torture/load.py --part deliveries --rows 1000000

Parts (all of them, unless `--part` names some):

- connections: 1,000 connections ask at once, idle, and ask again, twice over; beside them new ones come. It is a fault
  where an answer is wrong or later than 10 s, where a newcomer waits longer than 5 s, where files or memory do not go
  back, and where a connection beyond what the system lets the server have is neither answered nor closed within 5 s,
  or does harm to those that are there.
- pool: three times as many writers as the app has connections (4), with transactions that last for seconds and
  webhooks that read the app before they agree. It is a fault where an answer is none of 2xx, or 503 with Retry-After;
  where one takes longer than 20 s; where a refused write is stored; where anything is left busy afterwards.
- neighbours: one app is saturated by 64 connections and another waits for a slow webhook, while a third is used by
  one client, who must get neither an error, nor wait for longer than 2 s, nor see a p99 over 500 ms.
- writers: 64 writers of one app: own rows, counters by If-Match, one transition, unique values, slugs, idempotency
  keys. It is a fault where a race has not exactly one winner, where an acknowledged write is lost, where an answer is
  a 5xx.
- deliveries: many deliveries (`--rows`) wait for a receiver that is down (`--down`); requests, lists of the log and
  starts must be quick meanwhile, and the memory small; then it comes, and each must arrive, with one id of its own.
- bounds: at each documented bound a request just under it works, and one over it is refused at once, with the code
  of the contract and words that say what was expected.
"""
import array
import asyncio
import collections
import contextlib
import itertools
import json
import math
import multiprocessing
import os
import pathlib
import random
import re
import resource
import sys
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import tries  # noqa: E402
from kill9 import Client, RoundFailure, Server, free_port  # noqa: E402
from kill9_webhooks import management_url  # noqa: E402
from outage import Postgres  # noqa: E402
from webhook_receiver import Receiver  # noqa: E402

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
NO_ANSWER, HUNG_UP = 0, -1  # besides the statuses of answers
SHOWN = 12
CONNECTIONS = 1_000
MEGABYTE = 1 << 20


# MARK: one connection


class Answer(NamedTuple):
    status: int  # or NO_ANSWER within the limit, or HUNG_UP
    head: bytes
    body: bytes
    seconds: float

    def header(self, name):
        match = re.search(rb"\r\n" + name.encode() + rb":[ \t]*([^\r\n]*)", self.head, re.IGNORECASE)
        return match.group(1).decode() if match else None

    @property
    def data(self):
        return json.loads(self.body)["data"]

    @property
    def code(self):
        """Of an error."""
        try:
            return json.loads(self.body)["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return None

    def __str__(self):
        return f"{self.status} after {self.seconds:.2f} s: {self.body[:300].decode(errors='replace')}"


class Wire(asyncio.Protocol):
    """A keep-alive connection for one request at a time, cheap enough for a thousand of them in one process."""

    def __init__(self, token=None, limit=30.0):
        self.token, self.limit = token, limit
        self.received, self.waiting, self.is_open = bytearray(), None, True

    @classmethod
    async def connect(cls, port, token=None, limit=30.0):
        _, wire = await asyncio.get_running_loop().create_connection(lambda: cls(token, limit), "127.0.0.1", port)
        return wire

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        self.is_open = False
        self.settle(HUNG_UP, b"", b"")

    def data_received(self, data):
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = LENGTH.search(self.received, 0, end + 4)
        whole = end + 4 + (int(length.group(1)) if length else 0)
        if len(self.received) >= whole:
            head, body = bytes(self.received[: end + 2]), bytes(self.received[end + 4 : whole])
            del self.received[:whole]
            self.settle(int(head[9:12]), head, body)

    def settle(self, status, head, body):
        if self.waiting and not self.waiting.done():
            self.waiting.set_result((status, head, body))

    async def ask(self, method, path, body=None, headers=()):
        """Sends a request and waits for its answer, which may be that there is none."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
            if not any(line.lower().startswith("content-type:") for line in headers):
                lines.append("Content-Type: application/json")
        loop, begin = asyncio.get_running_loop(), time.monotonic()
        if not self.is_open:
            return Answer(HUNG_UP, b"", b"", 0.0)
        self.waiting = loop.create_future()
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        timer = loop.call_later(self.limit, self.settle, NO_ANSWER, b"", b"")
        status, head, text = await self.waiting
        timer.cancel()
        return Answer(status, head, text, time.monotonic() - begin)

    def close(self):
        self.transport.abort()


async def connect_all(port, token, count, limit=30.0):
    wires = []
    for _ in range(0, count, 100):
        more = min(100, count - len(wires))
        wires += await asyncio.gather(*(Wire.connect(port, token, limit) for _ in range(more)))
    return wires


def close_all(wires):
    for wire in wires:
        wire.close()


async def newcomer(port, token, path, limit=30.0):
    """A request on a connection of its own, the connecting included in its time."""
    begin = time.monotonic()
    wire = await Wire.connect(port, token, limit)
    answer = await wire.ask("GET", path)
    wire.close()
    return answer._replace(seconds=time.monotonic() - begin)


# MARK: figures


class Spread:
    """Of times in seconds, told in milliseconds."""

    def __init__(self, seconds):
        times = sorted(seconds)
        self.count = len(times)
        self.median = self.part(times, 0.5)
        self.p99 = self.part(times, 0.99)
        self.most = times[-1] if times else 0.0

    @staticmethod
    def part(times, share):
        return times[min(len(times) - 1, math.ceil(share * len(times)) - 1)] if times else 0.0

    def __str__(self):
        return f"p50 {self.median * 1000:.1f}, p99 {self.p99 * 1000:.1f}, most {self.most * 1000:.0f} ms"


class Tally:
    """What was answered, by kind of request, and what was wrong with it."""

    def __init__(self):
        self.statuses, self.times, self.problems = collections.Counter(), collections.defaultdict(list), []

    def note(self, kind, answer, good=(200, 201), is_right=True):
        self.statuses[kind, answer.status] += 1
        self.times[kind].append(answer.seconds)
        if answer.status not in good:
            self.problems.append(f"{kind}: {answer}")
        elif not is_right:
            self.problems.append(f"{kind}: a WRONG answer, {answer}")
        return answer

    def count(self, kind, status):
        return self.statuses[kind, status]

    @property
    def all_times(self):
        return list(itertools.chain.from_iterable(self.times.values()))

    def line(self):
        counts = collections.Counter()
        for (_, status), count in self.statuses.items():
            counts[status] += count
        return ", ".join(f"{count} × {status}" for status, count in sorted(counts.items()))


class Reading(NamedTuple):
    """What the system says of a process (proc(5))."""

    rss: int
    files: int
    threads: int
    cpu: float  # seconds

    @classmethod
    def of(cls, pid):
        folder = pathlib.Path("/proc") / str(pid)
        stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return cls(
            int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            len(os.listdir(folder / "fd")), int(stat[17]), (int(stat[11]) + int(stat[12])) / ticks,
        )

    @property
    def megabytes(self):
        return self.rss / MEGABYTE


# MARK: the server and its apps


UUID_KEY = {"field": "id", "type": "uuid", "generated": True}


def entity(name, fields, **more):
    """Fields are `{name: type}`, or `{name: {…}}` where there is more to say."""
    described = [{"name": each} | ({"type": kind} if isinstance(kind, str) else kind) for each, kind in fields.items()]
    return {
        "name": name, "table": f"{name}s", "primary_key": UUID_KEY, "soft_delete": False,
        "fields": [{"name": "id", "type": "uuid"}, *described],
    } | more


ITEM = entity("item", {"value": {"type": "string", "required": True}, "note": "text", "number": "int"})


class Stage:
    """A server with a configuration, and what the parts do with it."""

    def __init__(self, options, directory, part, settings=None):
        self.options, self.store, self.directory = options, options.store, directory / part
        self.directory.mkdir()
        self.name = f"load_{os.getpid()}_{part}"
        self.url = management_url(options.url if options.store == "postgres" else None, self.name)
        configure(self.directory, settings or {})
        self.server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.server.process.poll() is None:
            self.server.kill()

    def start(self):
        self.server = Server(self.options.rocket, self.directory, 0, self.url)
        self.port, self.pid = self.server.port, self.server.process.pid
        self.token = self.server.sign_in()

    @property
    def admin(self):
        """A connection with a fresh token: one lasts for a quarter of an hour."""
        self.token = self.server.sign_in()
        return Client(self.port, self.token)

    def app(self, suffix=""):
        return f"{self.name}{suffix}"

    def make_app(self, suffix="", rows=None, **definitions):
        app, admin = self.app(suffix), self.admin
        admin.call("POST", "/api/_platform/apps", {"name": app}, expect=201)
        admin.call("POST", f"/api/{app}/_admin/import", {"version": 1} | definitions)
        for name, batch in rows or []:
            admin.call("POST", f"/api/{app}/_admin/import", {"version": 1, "sample_data": {name: batch}})
        return app

    @property
    def reading(self):
        return Reading.of(self.pid)

    def must_live(self):
        if self.server.process.poll() is not None:
            raise RoundFailure(f"the server ended with {self.server.process.returncode}: {self.server.last_words()}")

    def psql(self, statement, database="postgres"):
        return Postgres(self.options.url, "/nowhere").psql(statement, database)


def configure(directory, settings):
    """The file that the server finds in its folder."""
    lines = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"  {key}: {each}" for key, each in value.items())]
        else:
            lines.append(f"{name}: {value}")
    (directory / "app.yaml").write_text("\n".join(lines) + "\n" if lines else "", encoding="utf-8")


def some_rows(count, seed, length=200):
    draw = random.Random(seed)
    text = "".join(draw.choices("abcdefgh ", k=length * 50))

    def note():
        start = draw.randrange(len(text) - length)
        return text[start : start + length]

    return [
        {"id": str(uuid.UUID(int=draw.getrandbits(128), version=4)), "value": f"{number}", "number": number,
         "note": note()} for number in range(count)
    ]


def stored(client, app, name, most=10**9):
    """All rows of an entity."""
    rows = []
    for page in itertools.count(1):
        answer = client.call("GET", f"/api/{app}/{name}?per_page=100&count=none&page={page}")
        rows += answer["data"]
        if not answer["data"] or len(rows) >= most:
            return rows


def refuse_with(problems, lines):
    """Ends a part where there are problems; the figures are of use to whoever looks for the fault."""
    if problems:
        more = [f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        shown = [each[:500] for each in problems[:SHOWN]] + more + [f"(figures) {line}" for line in lines]
        raise RoundFailure("\n".join([f"{len(problems)} problems", *shown]))


def all_of(*parts):
    """The lines of each, where none has failed; a part that fails keeps none of the others from being tried."""
    lines, problems = [], []
    for part in parts:
        try:
            lines += part()
        except RoundFailure as failure:
            problems.append(str(failure))
    if problems:
        raise RoundFailure("\n".join([*problems, *lines]))
    return lines


def raise_file_limit(wanted):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < wanted:
        raise RoundFailure(f"this needs {wanted} open files, and the system allows {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def for_seconds(seconds, work, count):
    """`count` coroutines of `work(number, is_over)`, until the time is over and each has ended its last request."""
    end = time.monotonic() + seconds
    await asyncio.gather(*(work(number, lambda: time.monotonic() >= end) for number in range(count)))


# MARK: part connections

ASK_LIMIT, NEWCOMER_LIMIT, BEYOND_LIMIT = 10.0, 5.0, 5.0
# What a closed connection may leave behind for its allocator's sake.
RETAINED = 1.15
RETAINED_MEGABYTES = 24
IDLE_SECONDS = 4
FEW_FILES = 300


def run_connections(options, directory, seed):
    raise_file_limit(CONNECTIONS + 600)
    rows = some_rows(2_000, seed)

    def many():
        with Stage(options, directory, "connections") as stage:
            app = stage.make_app(entities=[ITEM], rows=[("item", rows)])
            return asyncio.run(thousand(stage, app, rows, seed))

    def beyond():
        # The number of connections has no bound but the files that the system lets the process have.
        with Stage(options, directory, "files") as stage:
            app = stage.make_app(entities=[ITEM], rows=[("item", rows[:100])])
            return asyncio.run(too_many(stage, app, rows[:100]))

    return all_of(many, beyond)


async def thousand(stage, app, rows, seed):
    lines, problems = [], []
    # What is made when it is first needed is made.
    first = await connect_all(stage.port, stage.token, 32)
    await hammer(stage, app, rows, seed, first, Tally(), 2)
    close_all(first)
    calm = await settled(stage, stage.reading.files - len(first))
    after = []
    for cycle in range(2):
        tally, fresh = Tally(), []
        wires = await connect_all(stage.port, stage.token, CONNECTIONS, ASK_LIMIT)
        await asyncio.gather(*(each.ask("GET", "/health") for each in wires))
        opened = stage.reading
        asking = asyncio.create_task(hammer(stage, app, rows, seed + cycle, wires, tally, stage.options.seconds))
        while not asking.done():
            fresh.append(await newcomer(stage.port, stage.token, f"/api/{app}/item/{rows[0]['id']}"))
            await asyncio.sleep(0.25)
        busy = stage.reading
        await asyncio.sleep(IDLE_SECONDS)
        idle = await newcomer(stage.port, stage.token, f"/api/{app}/item/{rows[0]['id']}")
        again = Tally()
        await hammer(stage, app, rows, f"{seed}-{cycle}-again", wires, again, stage.options.seconds / 2)
        peak = stage.reading
        stage.must_live()
        close_all(wires)
        left = await settled(stage, calm.files)
        after.append(left)
        problems += tally.problems + again.problems
        bad = [each for each in [*fresh, idle] if each.status != 200 or each.seconds > NEWCOMER_LIMIT]
        problems += [f"a newcomer: {each}" for each in bad]
        if idle.seconds > 1:
            problems.append(f"a newcomer among idle connections: {idle}")
        # PostgreSQL's own connections are kept for a minute.
        spare = 40 if stage.store == "postgres" else 8
        if left.files > calm.files + spare:
            problems.append(f"{left.files} files are open after all is closed, {calm.files} were before")
        asked, told = len(tally.all_times) + len(again.all_times), Spread(tally.all_times)
        if asked < 4 * CONNECTIONS:
            problems.append(f"only {asked} requests by {CONNECTIONS} connections")
        lines.append(
            f"{CONNECTIONS} connections: {len(tally.all_times) / stage.options.seconds:.0f} requests/s, {told}; again "
            f"after an idle while {Spread(again.all_times)}; {tally.line()}; newcomers "
            f"{Spread(each.seconds for each in fresh)}, among idle ones {idle.seconds * 1000:.1f} ms"
        )
        most = max(busy.rss, peak.rss)
        lines.append(
            f"memory {calm.megabytes:.0f} MB, open {opened.megabytes:.0f} "
            f"({(opened.rss - calm.rss) / CONNECTIONS / 1024:.1f} kB a connection), at most {most / MEGABYTE:.0f} "
            f"({(most - calm.rss) / CONNECTIONS / 1024:.1f} kB a connection), closed {left.megabytes:.0f}; "
            f"files {calm.files}, {busy.files}, {left.files}"
        )
    # What the allocator keeps of the first time serves the second.
    if after[1].rss > after[0].rss * RETAINED + RETAINED_MEGABYTES * MEGABYTE:
        problems.append(f"memory after each time: {after[0].megabytes:.0f}, then {after[1].megabytes:.0f} MB")
    refuse_with(problems, lines)
    return lines


async def hammer(stage, app, rows, seed, wires, tally, seconds):
    """All wires ask at once: mostly by key, some lists, some creates; and what they get must be it."""

    async def work(number, is_over):
        draw = random.Random(f"{seed}-{number}")
        while not is_over() and wires[number].is_open:
            await one_request(wires[number], app, draw.choice(rows), draw, tally)

    await for_seconds(seconds, work, len(wires))
    if not all(wire.is_open for wire in wires):
        tally.problems.append(f"{sum(not wire.is_open for wire in wires)} connections were closed by the server")


async def one_request(wire, app, row, draw, tally):
    dice = draw.random()
    if dice < 0.90:
        answer = await wire.ask("GET", f"/api/{app}/item/{row['id']}")
        tally.note("get", answer, is_right=answer.status != 200 or answer.data["value"] == row["value"])
    elif dice < 0.95:
        answer = await wire.ask("GET", f"/api/{app}/item?filter%5Bid%5D={row['id']}&count=none")
        tally.note("list", answer, is_right=answer.status != 200 or [e["id"] for e in answer.data] == [row["id"]])
    else:
        value = f"new {draw.getrandbits(60)}"
        answer = await wire.ask("POST", f"/api/{app}/item", {"value": value})
        tally.note("create", answer, is_right=answer.status != 201 or answer.data["value"] == value)


async def settled(stage, files, seconds=10):
    """The reading when the files are as few as they were, or the time is over."""
    end = time.monotonic() + seconds
    while stage.reading.files > files and time.monotonic() < end:
        await asyncio.sleep(0.2)
    await asyncio.sleep(1)
    return stage.reading


async def too_many(stage, app, rows):
    """More connections than the process may have files."""
    raise_file_limit(2 * FEW_FILES)
    path = f"/api/{app}/item/{rows[0]['id']}"
    before = stage.reading
    resource.prlimit(stage.pid, resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))
    wires = await connect_all(stage.port, stage.token, FEW_FILES + 100, BEYOND_LIMIT)
    first = await asyncio.gather(*(wire.ask("GET", path) for wire in wires))
    counts = collections.Counter(each.status for each in first)
    inside = [wire for wire, answer in zip(wires, first) if answer.status == 200]
    problems = []
    if stage.server.process.poll() is not None:
        raise RoundFailure(f"{FEW_FILES} files: the server ENDED: {stage.server.last_words()}; {dict(counts)}")
    if counts[200] < FEW_FILES / 2:
        problems.append(f"with {FEW_FILES} files: only {counts[200]} connections were answered")
    if counts[NO_ANSWER]:
        problems.append(
            f"with {FEW_FILES} files: {counts[NO_ANSWER]} of {len(wires)} connections had neither an answer nor an end "
            f"within {BEYOND_LIMIT} s"
        )
    start, since = stage.reading.cpu, time.monotonic()
    await asyncio.sleep(2)
    idle_cpu = (stage.reading.cpu - start) / (time.monotonic() - since)
    if idle_cpu > 0.2:
        problems.append(f"with {FEW_FILES} files, all taken and idle: {idle_cpu:.2f} CPUs are busy")
    second = await asyncio.gather(*(wire.ask("GET", path) for wire in inside))
    bad = [answer for answer in second if answer.status != 200]
    problems += [f"with {FEW_FILES} files: one that was there before got {answer}" for answer in bad[:3]]
    if inside:
        write = await inside[0].ask("POST", f"/api/{app}/item", {"value": "at the bound"})
        if write.status not in (201, 503):
            problems.append(f"with {FEW_FILES} files: a write got {write}")
    close_all(wires)
    await asyncio.sleep(1)
    try:
        late = await newcomer(stage.port, stage.token, path, BEYOND_LIMIT)
    except OSError as error:
        late = Answer(HUNG_UP, b"", repr(error).encode(), 0)
    if late.status != 200:
        problems.append(f"with {FEW_FILES} files, when all had gone: a newcomer got {late}")
    lines = [
        f"{len(wires)} connections with {FEW_FILES} files (of which {before.files} are the server's own): "
        f"{counts[200]} served, {counts[HUNG_UP]} closed, {counts[NO_ANSWER]} left waiting; idle at the bound "
        f"{idle_cpu:.2f} CPUs; served again {late.seconds * 1000:.1f} ms after the others had gone"
    ]
    refuse_with(problems, lines)
    return lines


# MARK: part pool

POOL = 4
# What may follow on each other: the wait for a connection, that for a row, the calls of a write, and some way.
POOL_LIMIT = 20.0
HOOK_SECONDS = 2.0
SLOW = entity("slow", {"value": {"type": "string", "required": True}})
PART_OF = entity("part", {"item_id": "uuid", "value": "string"})
PARTS = {
    "name": "parts", "type": "one_to_many", "source": "item", "target": "part", "source_key": "id",
    "target_key": "item_id", "on_delete": "cascade",
}


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


async def quick_requests(stage, app, rows, count=300):
    wire = await Wire.connect(stage.port, stage.token)
    times = []
    for number in range(count):
        if number % 3:
            answer = await wire.ask("GET", f"/api/{app}/item/{rows[number]['id']}")
        else:
            answer = await wire.ask("PUT", f"/api/{app}/item/{rows[number]['id']}", {"number": number + 1})
        if answer.status != 200:
            raise RoundFailure(f"a request of one client alone: {answer}")
        times.append(answer.seconds)
    wire.close()
    return Spread(times)


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


# MARK: part neighbours

SATURATING = 64
NEIGHBOUR_LIMIT, NEIGHBOUR_P99 = 2.0, 0.5


def run_neighbours(options, directory, seed):
    with Receiver(delay=3.0) as receiver, Stage(options, directory, "neighbours") as stage:
        rows = some_rows(20_000, seed)
        busy = stage.make_app("_busy", entities=[ITEM], rows=[("item", rows)])
        waiting = stage.make_app("_waiting", entities=[SLOW])
        quiet = stage.make_app("_quiet", entities=[ITEM], rows=[("item", rows[:1_000])])
        webhook = {"entity": "slow", "hook": "before_write", "url": receiver.url("/slow")}
        stage.admin.call("POST", f"/api/{waiting}/_admin/webhooks", webhook, expect=201)
        seconds = stage.options.seconds
        alone = asyncio.run(one_client(stage, quiet, rows[:1_000], seconds / 2, seed))
        # In a process of its own, so that what is measured here is not the driver's own crowd.
        context = multiprocessing.get_context("spawn")
        counts = context.Queue()
        load = context.Process(target=saturate, args=(stage.port, stage.token, busy, waiting, seconds + 3, counts))
        load.start()
        time.sleep(2)
        beside = asyncio.run(one_client(stage, quiet, rows[:1_000], seconds, seed + 1))
        is_over = not load.is_alive()
        statuses, rate = counts.get(timeout=120)
        load.join(timeout=60)
        stage.must_live()
    problems = alone.problems + beside.problems
    told = Spread(beside.all_times)
    if is_over or rate < 20:
        problems.append(f"the load was none: {rate:.0f} requests/s, {statuses}")
    if told.count < 100:
        problems.append(f"the client got only {told.count} answers")
    if told.most > NEIGHBOUR_LIMIT:
        problems.append(f"the client waited for {told.most:.2f} s")
    if told.p99 > NEIGHBOUR_P99:
        problems.append(f"the client's p99 was {told.p99 * 1000:.0f} ms")
    unexpected = {each: count for each, count in statuses.items() if each not in (200, 201, 503)}
    if unexpected:
        problems.append(f"the saturated apps answered {unexpected}")
    lines = [f"alone {Spread(alone.all_times)}; beside the load {told} ({rate:.0f} requests/s there: {statuses})"]
    lines += [
        f"  {kind}: {Spread(alone.times[kind])}; beside the load {Spread(times)}"
        for kind, times in sorted(beside.times.items())
    ]
    refuse_with(problems, lines)
    return lines


async def one_client(stage, app, rows, seconds, seed):
    tally, draw, end = Tally(), random.Random(seed), time.monotonic() + seconds
    wire = await Wire.connect(stage.port, stage.token)
    while time.monotonic() < end:
        row = draw.choice(rows)
        answer = await wire.ask("GET", f"/api/{app}/item/{row['id']}")
        tally.note("get", answer, is_right=answer.status != 200 or answer.data["value"] == row["value"])
        answer = await wire.ask("GET", f"/api/{app}/item?filter%5Bnumber.gte%5D={row['number']}&per_page=25")
        tally.note("list", answer)
        tally.note("create", await wire.ask("POST", f"/api/{app}/item", {"value": "new"}))
        tally.note("update", await wire.ask("PUT", f"/api/{app}/item/{row['id']}", {"note": f"{draw.random()}"}))
        await asyncio.sleep(0.002)
    wire.close()
    return tally


def saturate(port, token, busy, waiting, seconds, counts):
    """In a process of its own: lists without an index and writes on one app, writes that wait on the other."""
    tally = Tally()

    async def run():
        wires = await connect_all(port, token, SATURATING + 4)
        draw = random.Random(1)

        async def work(number, is_over):
            while not is_over():
                if number >= SATURATING:
                    answer = await wires[number].ask("POST", f"/api/{waiting}/slow", {"value": "x"})
                elif number % 4 == 0:
                    answer = await wires[number].ask("POST", f"/api/{busy}/item", {"value": "x", "note": "y" * 500})
                else:
                    word = "".join(draw.choices("abcdefgh", k=4))
                    path = f"/api/{busy}/item?filter%5Bnote.contains%5D={word}&sort=-note&per_page=100"
                    answer = await wires[number].ask("GET", path)
                tally.note("load", answer)
                if answer.status == 503:
                    await asyncio.sleep(0.05)

        await for_seconds(seconds, work, len(wires))

    asyncio.run(run())
    statuses = collections.Counter()
    for (_, status), count in tally.statuses.items():
        statuses[status] += count
    counts.put((dict(statuses), sum(statuses.values()) / seconds))


# MARK: part writers

WRITERS = 64
COUNTER = entity("counter", {"number": {"type": "int", "default": 0}, "note": "text"})
TASK = entity("task", {"status": "string", "owner": "string"})
TASK_STATES = {
    "entity": "task", "field": "status",
    "definition": {
        "initial": "open", "transitions": [{"from": "open", "to": f"s{number}"} for number in range(WRITERS)],
    },
}
NAMED = entity("named", {"name": {"type": "string", "required": True, "unique": True}, "by": "int"})
PAGE = entity(
    "page", {"title": {"type": "string", "required": True}, "slug": {"type": "string", "unique": True}},
    slug={"field": "slug", "source": "title"},
)


def run_writers(options, directory, seed):
    with Stage(options, directory, "writers") as stage:
        app = stage.make_app(entities=[ITEM, COUNTER, TASK, NAMED, PAGE], state_machines=[TASK_STATES])
        return asyncio.run(write_all(stage, app, seed))


async def write_all(stage, app, seed):
    wires = await connect_all(stage.port, stage.token, WRITERS)
    lines, problems = [], []
    for race in (own_rows, counters, transitions, unique_values, slugs, same_keys):
        line, wrong = await race(stage, app, wires, seed)
        lines.append(line)
        problems += [f"{race.__name__}: {each}" for each in wrong]
    stage.must_live()
    close_all(wires)
    refuse_with(problems, lines)
    return lines


async def own_rows(stage, app, wires, seed):
    """Creates and updates; what was acknowledged last is what is stored."""
    tally, last, mine = Tally(), {}, [[] for _ in wires]

    async def work(number, is_over):
        draw = random.Random(f"{seed}-{number}")
        for count in itertools.count():
            if is_over():
                return
            body = {"value": f"{number}-{count}", "note": "n" * draw.randrange(500), "number": count}
            if not mine[number] or draw.random() < 0.5:
                answer = await wires[number].ask("POST", f"/api/{app}/item", body)
                tally.note("create", answer, good=(201,))
                if answer.status == 201:
                    mine[number].append(answer.data["id"])
                    last[mine[number][-1]] = body
            else:
                id = draw.choice(mine[number])
                answer = await wires[number].ask("PUT", f"/api/{app}/item/{id}", body)
                tally.note("update", answer, good=(200,))
                if answer.status == 200:
                    last[id] = body

    await for_seconds(stage.options.seconds, work, WRITERS)
    rows = {row["id"]: row for row in stored(stage.admin, app, "item")}
    problems = list(tally.problems)
    for id, body in last.items():
        if id not in rows:
            problems.append(f"{id} was acknowledged and is LOST")
        elif any(rows[id][name] != value for name, value in body.items()):
            problems.append(f"{id} has not what was acknowledged last: {rows[id]}"[:300])
    if len(rows) != len(last) or len(last) < WRITERS:
        problems.append(f"{len(rows)} rows are there, {len(last)} were acknowledged")
    rate = len(tally.all_times) / stage.options.seconds
    return f"own rows: {rate:.0f} writes/s by {WRITERS}, {Spread(tally.all_times)}; {tally.line()}, all there", problems


async def counters(stage, app, wires, seed, rows=4, each=10):
    """Reads a number and writes the next one, if nobody else has."""
    tally, ids = Tally(), []
    for _ in range(rows):
        ids.append((await wires[0].ask("POST", f"/api/{app}/counter", {})).data["id"])

    async def work(number):
        path = f"/api/{app}/counter/{ids[number % rows]}"
        left = each
        while left and not tally.problems:
            read = tally.note("read", await wires[number].ask("GET", path), good=(200,))
            if read.status != 200:
                return
            body, condition = {"number": read.data["number"] + 1}, [f"If-Match: {read.header('ETag')}"]
            answer = tally.note("write", await wires[number].ask("PUT", path, body, condition), good=(200, 412))
            left -= answer.status == 200

    begin = time.monotonic()
    await asyncio.gather(*(work(number) for number in range(WRITERS)))
    seconds = time.monotonic() - begin
    found = [(await wires[0].ask("GET", f"/api/{app}/counter/{id}")).data["number"] for id in ids]
    wanted = [each * sum(number % rows == place for number in range(WRITERS)) for place in range(rows)]
    problems = list(tally.problems)
    if found != wanted:
        problems.append(f"the counters are {found}, after {wanted} acknowledged increments")
    if not tally.count("write", 412):
        problems.append("nobody met anybody")
    return (
        f"counters by If-Match: {sum(wanted)} increments in {seconds:.1f} s, {tally.count('write', 412)} × 412, "
        f"{Spread(tally.times['write'])}; exact"
    ), problems


async def transitions(stage, app, wires, seed, rounds=20):
    """All take one open task at once, each to a state of its own, from which no way leads on."""
    problems, times = [], []
    for turn in range(rounds):
        made = await wires[0].ask("POST", f"/api/{app}/task", {})
        path = f"/api/{app}/task/{made.data['id']}"
        answers = await asyncio.gather(*(
            wire.ask("PUT", path, {"status": f"s{number}", "owner": f"{number}"}) for number, wire in enumerate(wires)
        ))
        times += [answer.seconds for answer in answers]
        winners = [number for number, answer in enumerate(answers) if answer.status == 200]
        problems += [f"task {turn}: {answer}" for answer in answers if answer.status not in (200, 422)]
        row = (await wires[0].ask("GET", path)).data
        if len(winners) != 1 or (row["status"], row["owner"]) != (f"s{winners[0]}", f"{winners[0]}"):
            problems.append(f"task {turn} was won by {winners}, and is {row}")
    return f"transitions: {rounds} races of {WRITERS} with one winner each, {Spread(times)}", problems


async def unique_values(stage, app, wires, seed, rounds=20):
    problems, times = [], []
    for turn in range(rounds):
        answers = await asyncio.gather(*(
            wire.ask("POST", f"/api/{app}/named", {"name": f"name {turn}", "by": number})
            for number, wire in enumerate(wires)
        ))
        times += [answer.seconds for answer in answers]
        winners = [number for number, answer in enumerate(answers) if answer.status == 201]
        problems += [f"name {turn}: {answer}" for answer in answers if answer.status not in (201, 409)]
        if len(winners) != 1:
            problems.append(f"name {turn} was won by {winners}")
    rows = stored(stage.admin, app, "named")
    if len(rows) != rounds or len({row["name"] for row in rows}) != rounds:
        problems.append(f"{len(rows)} rows for {rounds} names")
    return f"unique values: {rounds} races of {WRITERS} with one winner each, {Spread(times)}", problems


async def slugs(stage, app, wires, seed, rounds=3):
    problems, found, times = [], set(), []
    for _ in range(rounds):
        answers = await asyncio.gather(*(wire.ask("POST", f"/api/{app}/page", {"title": "The same"}) for wire in wires))
        problems += [f"{answer}" for answer in answers if answer.status != 201]
        found |= {answer.data["slug"] for answer in answers if answer.status == 201}
        times += [answer.seconds for answer in answers]
    if len(found) != rounds * WRITERS - len(problems):
        problems.append(f"{len(found)} slugs for {rounds * WRITERS} pages")
    return f"slugs: {len(found)} of one title, {Spread(times)}", problems


async def same_keys(stage, app, wires, seed, rounds=10):
    problems, replayed, times = [], 0, []
    before = await wires[0].ask("GET", f"/api/{app}/item?per_page=1")
    for turn in range(rounds):
        key = [f"Idempotency-Key: {uuid.uuid4()}"]
        answers = await asyncio.gather(*(
            wire.ask("POST", f"/api/{app}/item", {"value": f"key {turn}"}, key) for wire in wires
        ))
        times += [answer.seconds for answer in answers]
        problems += [f"key {turn}: {answer}" for answer in answers if answer.status != 201]
        replayed += sum(answer.header("Idempotency-Replayed") == "true" for answer in answers)
        if len({answer.body for answer in answers}) != 1:
            problems.append(f"key {turn}: answers that differ")
    after = await wires[0].ask("GET", f"/api/{app}/item?per_page=1")
    made = json.loads(after.body)["meta"]["total"] - json.loads(before.body)["meta"]["total"]
    if made != rounds or replayed != rounds * (WRITERS - 1):
        problems.append(f"{rounds} keys made {made} rows, and {replayed} answers were replayed")
    return f"idempotency keys: {rounds} of {WRITERS} at once made {made} rows, {Spread(times)}", problems


# MARK: part deliveries

LANES = 8
# Of one request; each child has a delivery.
FAMILY = 5_000
PENDING_P99, PENDING_LOG, PENDING_READY, PENDING_MEGABYTES = 0.5, 2.0, 2.0, 200
PARENT = entity("parent", {"value": "string"}, history=False)
CHILD = entity("child", {"parent_id": "uuid", "n": {"type": "int", "required": True}, "lane": "int"}, history=False)
CHILDREN = PARTS | {"name": "children", "source": "parent", "target": "child", "target_key": "parent_id"}
NUMBER = re.compile(rb'"n":(\d+)')


class Counting(Receiver):
    """Counts what it is told, by number of the row, and keeps an id of each."""

    def __init__(self, port, rows):
        super().__init__(port=port)
        self.times, self.ids, self.differing = bytearray(rows), array.array("Q", bytes(8 * rows)), 0
        self.total = 0

    def record(self, delivery):
        number = int(NUMBER.search(delivery.body).group(1))
        name = uuid.UUID((delivery.id or "").removeprefix("wh_")).int & (2**64 - 1)
        if self.times[number] and self.ids[number] != name:
            self.differing += 1
        self.times[number] = min(255, self.times[number] + 1)
        self.ids[number] = name
        self.total += 1


ANSWER, COUNT, END = range(3)


def receive(port, rows, delay, commands, answers):
    """The receiver, in a process of its own. Tells how it stands whenever it is asked."""
    with Counting(port, rows) as receiver:
        receiver.delay = delay
        answers.put(None)
        while (command := commands.get()) != END:
            if command == ANSWER:
                receiver.delay = 0
            missing = receiver.times.count(0)
            answers.put((receiver.total, missing, receiver.differing, len(set(receiver.ids)) if not missing else None))


class ReceiverProcess:
    """Down at first: nobody listens at its port, or somebody listens and never answers."""

    def __init__(self, rows, hangs):
        context = multiprocessing.get_context("spawn")
        self.port, self.rows, self.hangs = free_port(), rows, hangs
        self.commands, self.answers, self.start = context.Queue(), context.Queue(), context.Process
        self.process = None

    def __enter__(self):
        if self.hangs:
            self.listen(None)
        return self

    def __exit__(self, *_):
        if self.process:
            self.commands.put(END)
            self.process.join(timeout=20)
            self.process.kill()

    def listen(self, delay):
        arguments = (self.port, self.rows, delay, self.commands, self.answers)
        self.process = self.start(target=receive, args=arguments, daemon=True)
        self.process.start()
        self.answers.get(timeout=60)

    def come(self):
        if self.hangs:
            self.ask(ANSWER)
        else:
            self.listen(0)

    def ask(self, command=COUNT):
        self.commands.put(command)
        return self.answers.get(timeout=60)


def run_deliveries(options, directory, seed):
    rows = options.rows
    with ReceiverProcess(rows, options.down == "hang") as receiver, Stage(options, directory, "deliveries") as stage:
        items = some_rows(301, seed)
        app = stage.make_app(entities=[ITEM, PARENT, CHILD], relations=[CHILDREN], rows=[("item", items)])
        for lane in range(LANES):
            webhook = {
                "entity": "child", "url": f"http://127.0.0.1:{receiver.port}/{lane}",
                # So patient that none is given up before its receiver comes.
                "condition": f"record.lane == {lane}", "retry": {"max_attempts": 100, "backoff": "linear"},
            }
            stage.admin.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
        calm, before = asyncio.run(quick_requests(stage, app, items)), stage.reading
        lines, problems = [make_families(stage, app, rows)], []
        lines += while_pending(stage, app, items, rows, calm, before, problems)
        lines += drain(stage, app, receiver, items, rows, problems)
        refuse_with(problems, lines)
        return lines


def make_families(stage, app, rows):
    """Through the API, so that the deliveries are what the server itself makes of writes."""
    begin, peak = time.monotonic(), 0
    for start in range(0, rows, FAMILY):
        children = [{"n": number, "lane": number % LANES} for number in range(start, min(rows, start + FAMILY))]
        if start % (20 * FAMILY) == 0:
            client = stage.admin
        client.connection.timeout = 120
        client.call("POST", f"/api/{app}/parent", {"value": f"{start}", "children": children}, expect=201)
        peak = max(peak, stage.reading.rss)
    seconds = time.monotonic() - begin
    rate = rows / seconds
    return f"{rows} deliveries made in {seconds:.1f} s ({rate:.0f}/s), memory at most {peak / MEGABYTE:.0f} MB"


def while_pending(stage, app, items, rows, calm, before, problems):
    """The receiver is down, and everybody else should not notice."""
    made = stage.reading
    pending = log_total(stage.admin, app, "pending") + log_total(stage.admin, app, "retrying")
    if pending != rows:
        problems.append(f"{pending} deliveries wait, of {rows}")
    times = [asyncio.run(quick_requests(stage, app, items)) for _ in range(3)]
    stage.server.stop()
    stage.start()
    started = stage.reading
    time.sleep(2)
    again = asyncio.run(quick_requests(stage, app, items))
    lists = log_lists(stage, app, rows)
    time.sleep(1)
    now = stage.reading
    start, since = now.cpu, time.monotonic()
    time.sleep(3)
    cpu = (stage.reading.cpu - start) / (time.monotonic() - since)
    worst = max([*times, again], key=lambda each: each.p99)
    if worst.p99 > PENDING_P99:
        problems.append(f"requests while deliveries wait: {worst}; before: {calm}")
    if stage.server.ready_seconds > PENDING_READY:
        problems.append(f"ready only {stage.server.ready_seconds:.2f} s after the start")
    problems += [
        f"the log's list {name} took {seconds:.2f} s" for name, seconds in lists.items() if seconds > PENDING_LOG
    ]
    if now.megabytes > before.megabytes + PENDING_MEGABYTES:
        problems.append(f"memory while deliveries wait: {now.megabytes:.0f} MB, {before.megabytes:.0f} before")
    return [
        f"while they wait: memory {before.megabytes:.0f} MB before, {made.megabytes:.0f} when made, "
        f"{started.megabytes:.0f} just started again, {now.megabytes:.0f} then; ready "
        f"{stage.server.ready_seconds * 1000:.0f} ms after the start; {cpu:.2f} CPUs busy with trying",
        f"  requests before: {calm}; while they wait: {worst}",
        "  the log: " + ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in lists.items()),
    ]


def log_total(client, app, status):
    client.connection.timeout = 120
    return client.call("GET", f"/api/{app}/_admin/webhook-logs?status={status}&per_page=1")["meta"]["total"]


def log_lists(stage, app, rows):
    client = stage.admin
    client.connection.timeout = 120
    id = client.call("GET", f"/api/{app}/_admin/webhooks")["data"][0]["id"]
    path = f"/api/{app}/_admin/webhook-logs"
    asked = {
        "first page": f"{path}?per_page=100", "status": f"{path}?status=pending", "webhook": f"{path}?webhook_id={id}",
        "entity": f"{path}?entity=child&status=retrying", "none": f"{path}?status=failed",
        "late page": f"{path}?per_page=100&page={max(1, rows // 100)}", "metrics": "/metrics",
    }
    times = {}
    for name, address in asked.items():
        begin = time.monotonic()
        response = client.send("GET", address)
        response.read()
        if response.status != 200:
            raise RoundFailure(f"{address}: {response.status}")
        times[name] = time.monotonic() - begin
    return times


def drain(stage, app, receiver, items, rows, problems):
    """The receiver comes. Each delivery must arrive."""
    receiver.come()
    begin, samples, latencies, peak = time.monotonic(), [], [], 0
    # A delivery that has just failed is tried again half a minute later, and those of a million one by one.
    patience = 120 + rows / 200
    total, missing = 0, rows
    while missing and time.monotonic() - begin < patience and stage.server.process.poll() is None:
        time.sleep(1)
        total, missing, differing, ids = receiver.ask()
        samples.append((time.monotonic() - begin, total))
        peak = max(peak, stage.reading.rss)
        if len(samples) % 10 == 2:
            stage.token = stage.server.sign_in()
            latencies.append(asyncio.run(quick_requests(stage, app, items, 60)))
    seconds = time.monotonic() - begin
    stage.must_live()
    if missing:
        problems.append(f"{missing} of {rows} deliveries had not arrived {seconds:.0f} s after the receiver came")
    if differing:
        problems.append(f"{differing} deliveries came again with another id")
    if not missing and ids != rows:
        problems.append(f"{ids} ids for {rows} deliveries")
    left = wait_for_log(stage, app, rows)
    if left != rows:
        problems.append(f"the log says that {left} of {rows} are delivered")
    few = samples[:: max(1, len(samples) // 20)]
    rates = [(later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in itertools.pairwise(few)]
    worst = max(latencies, key=lambda each: each.p99, default=Spread([]))
    return [
        f"drained in {seconds:.1f} s ({rows / seconds:.0f}/s, at best {max(rates, default=0):.0f}/s), "
        f"{total - rows + missing} told again, memory at most {peak / MEGABYTE:.0f} MB; requests meanwhile {worst}"
    ]


def wait_for_log(stage, app, rows, seconds=30):
    """What was told is noted a little later."""
    end = time.monotonic() + seconds
    while (count := log_total(stage.admin, app, "delivered")) != rows and time.monotonic() < end:
        time.sleep(0.5)
    return count


# MARK: part bounds

AT_ONCE = 1.0  # seconds in which a refusal is given
BOUNDS = {
    "server": {"max_body_bytes": 1_000_000},
    "auth": {"failures_per_account": 5, "failures_per_address": 20},
    "files": {"max_bytes": 100_000, "max_bytes_per_day": 250_000},
    "webhooks": {"sync_timeout_s": 1},
    "database": {"max_open_apps": 3},
}
WIDE = entity("wide", {"value": "string", "extra": "json", "exact": "decimal", "picture": "file"})
NODE = entity("node", {f"key{number}": "uuid" for number in range(51)}, history=False)
WAYS = [
    {
        "name": f"way{number}", "type": "one_to_many", "source": "node", "target": "node", "source_key": "id",
        "target_key": f"key{number}", "on_delete": "detach",
    }
    for number in range(51)
]
WAITING, WAIT_SECONDS = 1_024, 10


class Bounds:
    """Asks on both sides of each bound, and remembers what was wrong."""

    def __init__(self, stage, app, wire):
        self.stage, self.app, self.wire = stage, app, wire
        self.problems, self.count, self.slowest = [], 0, 0.0

    async def under(self, name, method, path, body=None, headers=(), status=None):
        answer = await self.wire.ask(method, self.path(path), body, headers)
        self.count += 1
        if answer.status not in ([status] if status else (200, 201)):
            self.problems.append(f"{name}, just under the bound: {answer}")
        return answer

    async def over(self, name, status, code, says, method, path, body=None, headers=()):
        """`says` must stand in the refusal, so that whoever reads it knows what is allowed."""
        answer = await self.wire.ask(method, self.path(path), body, headers)
        self.judge(name, answer, status, code, says)
        if not self.wire.is_open:  # which is the server's right where a body is not read to its end
            self.wire = await Wire.connect(self.stage.port, self.wire.token)
        return answer

    def judge(self, name, answer, status, code, says):
        self.count += 1
        self.slowest = max(self.slowest, answer.seconds)
        if answer.status != status or answer.code != code:
            self.problems.append(f"{name}, over the bound: expected {status} {code}, got {answer}")
        elif says not in answer.body.decode():
            self.problems.append(f"{name}, over the bound: does not say {says!r}: {answer}")
        elif answer.seconds > AT_ONCE:
            self.problems.append(f"{name}, over the bound: not at once: {answer}")
        elif status in (429, 503) and answer.header("Retry-After") is None:
            self.problems.append(f"{name}, over the bound: no Retry-After: {answer}")

    def path(self, path):
        return path if path.startswith("/api/") else f"/api/{self.app}{path}"


def run_bounds(options, directory, seed):
    raise_file_limit(3_000)
    return all_of(lambda: run_requests(options, directory), lambda: run_waiting(options, directory))


def run_requests(options, directory):
    with Receiver(delay=30) as receiver, Stage(options, directory, "bounds", BOUNDS) as stage:
        app = stage.make_app(entities=[ITEM, WIDE, SLOW, PART_OF, NODE], relations=[PARTS, *WAYS])
        webhook = {"entity": "slow", "hook": "before_write", "url": receiver.url("/never")}
        stage.admin.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
        return asyncio.run(all_bounds(stage, app))


def run_waiting(options, directory):
    settings = {"app_pool_size": POOL, "webhooks": {"sync_timeout_s": 4}}
    with Receiver(delay=3) as receiver, Stage(options, directory, "waiting", settings) as stage:
        app = stage.make_app(entities=[ITEM])
        webhook = {
            "entity": "item", "hook": "before_write", "url": receiver.url("/slow"), "condition": "record.number == -1",
        }
        stage.admin.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
        return asyncio.run(waiting_callers(stage, app))


async def all_bounds(stage, app):
    bounds = Bounds(stage, app, await Wire.connect(stage.port, stage.token))
    for group in (bodies, queries, batches, metadata, users, events, hooks, open_apps, files, hashes, sign_ins):
        before = len(bounds.problems)
        try:
            await group(bounds)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            bounds.problems.append(f"{group.__name__}: an answer was not as expected: {error!r}")
        bounds.problems[before:] = [f"{group.__name__}: {each}" for each in bounds.problems[before:]]
        stage.must_live()
    line = f"{bounds.count} requests on both sides of the bounds, the slowest refusal {bounds.slowest * 1000:.0f} ms"
    refuse_with(bounds.problems, [line])
    return [line]


def of_size(size):
    """A body of so many bytes."""
    empty = json.dumps({"value": ""}).encode()
    return json.dumps({"value": "v" * (size - len(empty))}).encode()


async def bodies(bounds):
    most = BOUNDS["server"]["max_body_bytes"]
    large = ("PAYLOAD_TOO_LARGE", f"{most}")
    await bounds.under("body", "POST", "/wide", of_size(most))
    await bounds.over("body", 413, *large, "POST", "/wide", of_size(most + 1))
    deep = lambda levels: ("[" * levels + "]" * levels).encode()  # noqa: E731
    await bounds.under("depth", "POST", "/wide", b'{"extra":' + deep(63) + b"}")
    await bounds.over("depth", 400, "INVALID_PAYLOAD", "64", "POST", "/wide", b'{"extra":' + deep(64) + b"}")
    await bounds.under("digits", "POST", "/wide", b'{"exact":' + b"9" * 1_000 + b"}")
    await bounds.over("digits", 422, "VALIDATION_FAILED", "1000", "POST", "/wide", b'{"exact":' + b"9" * 1_001 + b"}")
    await bounds.over("number", 400, "INVALID_PAYLOAD", "4096", "POST", "/wide", b'{"exact":' + b"9" * 4_097 + b"}")
    key = lambda length: [f"Idempotency-Key: {'k' * length}"]  # noqa: E731
    await bounds.under("key", "POST", "/wide", {"value": "x"}, key(255))
    answer = await bounds.wire.ask("POST", bounds.path("/wide"), {"value": "x"}, key(256))
    if answer.status not in (400, 422) or b"255" not in answer.body:
        bounds.problems.append(f"key of 256: {answer}")


async def queries(bounds):
    def filters(count):
        return "&".join(f"filter%5Bvalue.neq%5D={number}" for number in range(count))

    fields = ["value", "note", "number", "id"]
    bad = "INVALID_PARAMETER"
    await bounds.under("filters", "GET", f"/item?{filters(50)}")
    await bounds.over("filters", 400, bad, "50", "GET", f"/item?{filters(51)}")
    await bounds.over("parameters", 400, bad, "200", "GET", f"/item?{filters(201)}")
    await bounds.under("sort keys", "GET", f"/item?sort={','.join(fields)}")
    await bounds.over("sort keys", 400, bad, "8", "GET", f"/item?sort={','.join(f'f{number}' for number in range(9))}")
    page = await bounds.under("page size", "GET", "/item?per_page=100")
    more = await bounds.under("page size over 100", "GET", "/item?per_page=101")
    for answer in (page, more):
        if json.loads(answer.body)["meta"]["per_page"] != 100:
            bounds.problems.append(f"page size: {answer}")
    await bounds.over("page size", 400, bad, "per_page", "GET", "/item?per_page=0")
    await bounds.under("pattern", "GET", f"/item?filter%5Bvalue.like%5D={'a' * 1_000}")
    await bounds.over("pattern", 400, bad, "1000", "GET", f"/item?filter%5Bvalue.like%5D={'a' * 1_001}")
    await bounds.over("includes", 400, bad, "50", "GET", f"/node?include={','.join(f'way{n}' for n in range(51))}")
    condition = lambda length: urllib.parse.quote("number == 1".ljust(length))  # noqa: E731
    await bounds.under("includes", "GET", f"/node?include={','.join(f'way{n}' for n in range(50))}")
    await bounds.under("where", "GET", f"/item?where={condition(4_000)}")
    await bounds.over("where", 400, bad, "16", "GET", f"/item?where={condition(16_385)}")


async def batches(bounds):
    def operations(count):
        return {"operations": [{"method": "POST", "path": "/wide", "body": {"value": "b"}}] * count}

    def family(count):
        return {"value": "parent", "parts": [{}] * count}

    await bounds.under("batch", "POST", "/_batch", operations(100), status=200)
    before = await bounds.under("rows", "GET", "/wide?per_page=1")
    answer = await bounds.wire.ask("POST", bounds.path("/_batch"), operations(101))
    if answer.status not in (400, 413, 422) or b"100" not in answer.body or answer.seconds > AT_ONCE:
        bounds.problems.append(f"batch of 101: {answer}")
    after = await bounds.under("rows", "GET", "/wide?per_page=1")
    if json.loads(before.body)["meta"]["total"] != json.loads(after.body)["meta"]["total"]:
        bounds.problems.append("a batch that was refused has made rows")
    await bounds.under("rows of a request", "POST", "/item", family(9_999))
    rows = ("PAYLOAD_TOO_LARGE", "10000")
    await bounds.over("rows of a request", 413, *rows, "POST", "/item", family(10_000))
    parent = (await bounds.under("rows", "POST", "/item", family(9_000))).data["id"]
    for _ in range(2):
        append = {"parts": {"_write_mode": "append", "data": [{}] * 5_500}}
        await bounds.under("rows", "PUT", f"/item/{parent}", append)
    included = bounds.path(f"/item/{parent}?include=parts")
    answer = await bounds.wire.ask("GET", included)
    if answer.status != 200:
        bounds.problems.append(f"an include of 20,000 rows: {str(answer)[:200]}")
    await bounds.under("rows", "PUT", f"/item/{parent}", {"parts": {"_write_mode": "append", "data": [{}]}})
    await bounds.over("include", 400, "INVALID_PARAMETER", "20000", "GET", included)


async def metadata(bounds):
    def wide(name, count):
        return entity(name, {f"f{number}": "int" for number in range(count - 1)}, history=False)

    bad = "VALIDATION_FAILED"
    await bounds.under("fields", "POST", "/_admin/entities", wide("w500", 500))
    await bounds.over("fields", 422, bad, "500", "POST", "/_admin/entities", wide("w501", 501))
    await bounds.under("name", "POST", "/_admin/entities", entity("n" * 62, {"f": "int"}))
    await bounds.over("name", 422, bad, "62", "POST", "/_admin/entities", entity("n" * 64, {"f": "int"}, table="short"))
    rule = lambda text: {  # noqa: E731
        "entity": "item", "type": "expression", "active": False, "hook": "before_write",
        "definition": {"expression": text},
    }
    await bounds.under("expression", "POST", "/_admin/rules", rule("record.number == 1".ljust(16_384)))
    await bounds.over("expression", 422, bad, "16", "POST", "/_admin/rules", rule("record.number == 1".ljust(16_385)))
    flow = lambda name, count: {  # noqa: E731
        "name": name, "trigger": {"type": "event", "event": name}, "active": False, "context": {},
        "steps": [{"id": f"s{n}", "type": "wait", "duration": "1s", "then": f"s{n + 1}" if n + 1 < count else "end"}
                  for n in range(count)],
    }
    await bounds.under("steps", "POST", "/_admin/workflows", flow("w500", 500))
    await bounds.over("steps", 422, bad, "500", "POST", "/_admin/workflows", flow("w501", 501))
    await bounds.over("app's name", 422, bad, "49", "POST", "/api/_platform/apps", {"name": "a" * 51})


async def users(bounds):
    user = lambda **more: {"email": f"{uuid.uuid4()}@b.example", "password": "p" * 12, "roles": []} | more  # noqa: E731
    bad = "VALIDATION_FAILED"
    for name, good, wrong, says in [
        ("password", user(password="p" * 72), user(password="p" * 73), "72"),
        ("short password", user(password="p" * 8), user(password="p" * 7), "8"),
        ("roles", user(roles=[f"r{n}" for n in range(100)]), user(roles=[f"r{n}" for n in range(101)]), "100"),
        ("a role", user(roles=["r" * 100]), user(roles=["r" * 101]), "100"),
        ("attributes", user(attributes={"a": "v" * 16_300}), user(attributes={"a": "v" * 16_400}), "16384"),
        ("e-mail", user(email="e" * 244 + "@b.example"), user(email="e" * 245 + "@b.example"), "254"),
    ]:
        await bounds.under(name, "POST", "/_admin/users", good)
        await bounds.over(name, 422, bad, says, "POST", "/_admin/users", wrong)
    invites = lambda count: {"invites": [{"email": f"{uuid.uuid4()}@b.example"} for _ in range(count)]}  # noqa: E731
    await bounds.under("invites", "POST", "/_admin/invites/bulk", invites(100))
    await bounds.over("invites", 422, bad, "100", "POST", "/_admin/invites/bulk", invites(101))


async def events(bounds):
    await bounds.under("event", "POST", f"/_events/{'e' * 100}", {}, status=202)
    answer = await bounds.wire.ask("POST", bounds.path(f"/_events/{'e' * 2_000}"), {})
    if not 400 <= answer.status < 500 or answer.seconds > AT_ONCE:
        bounds.problems.append(f"a name of 2,000 bytes: {answer}")


async def hooks(bounds):
    """A webhook that never answers takes as long as it is given, and no longer."""
    answer = await bounds.wire.ask("POST", bounds.path("/slow"), {"value": "x"})
    bounds.count += 1
    if (answer.status, answer.code) != (502, "WEBHOOK_FAILED") or not 0.8 < answer.seconds < 2:
        bounds.problems.append(f"a webhook that never answers, of 1 s: {answer}")
    total = json.loads((await bounds.under("slow", "GET", "/slow")).body)["meta"]["total"]
    if total:
        bounds.problems.append(f"{total} rows are stored that the webhook has not agreed to")


async def open_apps(bounds):
    """More apps than may be open: each is answered when it is asked."""
    apps = [bounds.stage.make_app(f"_{number}", entities=[ITEM]) for number in range(5)]
    for app in apps * 2:
        answer = await bounds.under("open apps", "GET", f"/api/{app}/item")
        if answer.seconds > 2:
            bounds.problems.append(f"an app that had to be opened: {answer}")


def form(size):
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    return head + b"t" * size + b"\r\n--b--\r\n"


FORM = ["Content-Type: multipart/form-data; boundary=b"]


async def files(bounds):
    most, day = BOUNDS["files"]["max_bytes"], BOUNDS["files"]["max_bytes_per_day"]
    person = {"email": "uploader@b.example", "password": "p" * 12, "roles": ["clerk"]}
    await bounds.under("user", "POST", "/_admin/users", person)
    admin = bounds.wire
    words = {"email": person["email"], "password": person["password"]}
    signed = await admin.ask("POST", bounds.path("/auth/login"), words)
    bounds.wire = await Wire.connect(bounds.stage.port, signed.data["access_token"])
    upload = ("POST", "/_files/upload")
    await bounds.under("file", *upload, form(most), FORM)
    await bounds.over("file", 413, "PAYLOAD_TOO_LARGE", f"{most}", *upload, form(most + 1), FORM)
    await bounds.under("file", *upload, form(most), FORM)
    answer = await bounds.wire.ask("POST", bounds.path("/_files/upload"), form(day - 2 * most + 1), FORM)
    bounds.judge("uploads of a day", answer, 429, "RATE_LIMITED", f"{day}")
    await many_uploads(bounds, signed.data["access_token"])
    bounds.wire = admin


async def many_uploads(bounds, token):
    """Eight of one user at once, none of which ends; the ninth is refused, and served when they have gone."""
    wires = [await Wire.connect(bounds.stage.port, token) for _ in range(8)]
    whole = form(10)
    head = (
        f"POST {bounds.path('/_files/upload')} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"{FORM[0]}\r\nContent-Length: {len(whole)}\r\n\r\n"
    ).encode()
    for wire in wires:
        wire.transport.write(head + whole[:-5])
    await asyncio.sleep(0.5)
    ninth = await newcomer_upload(bounds, token)
    bounds.judge("uploads at once", ninth, 429, "RATE_LIMITED", "8")
    close_all(wires)
    await asyncio.sleep(0.5)
    after = await newcomer_upload(bounds, token)
    if after.status != 201:
        bounds.problems.append(f"an upload after eight that were broken off: {after}")


async def newcomer_upload(bounds, token):
    wire = await Wire.connect(bounds.stage.port, token)
    answer = await wire.ask("POST", bounds.path("/_files/upload"), form(10), FORM)
    wire.close()
    return answer


async def hashes(bounds, count=150):
    """Two passwords are hashed at once and 64 wait; more are told to come again."""
    wires = await connect_all(bounds.stage.port, None, count)
    body = {"email": "admin@localhost", "password": "changeme"}
    answers = await asyncio.gather(*(wire.ask("POST", bounds.path("/auth/login"), body) for wire in wires))
    close_all(wires)
    counts = collections.Counter(answer.status for answer in answers)
    refused = [answer for answer in answers if answer.status == 503]
    if set(counts) - {200, 503} or counts[200] < 60:
        bounds.problems.append(f"{count} sign-ins at once: {dict(counts)}, {answers[-1]}")
    for answer in refused:
        if answer.header("Retry-After") is None or answer.code != "UNAVAILABLE" or answer.seconds > 3:
            bounds.problems.append(f"a sign-in too many: {answer}")


async def sign_ins(bounds):
    """Last, for it locks this address out."""
    per_account, per_address = BOUNDS["auth"]["failures_per_account"], BOUNDS["auth"]["failures_per_address"]
    login = bounds.path("/auth/login")
    wrong = lambda name: {"email": f"{name}@b.example", "password": "wrong password"}  # noqa: E731
    for _ in range(per_account):
        answer = await bounds.wire.ask("POST", login, wrong("uploader"))
        if answer.status != 401:
            bounds.problems.append(f"a wrong password: {answer}")
    right = {"email": "uploader@b.example", "password": "p" * 12}
    await bounds.over("account", 429, "RATE_LIMITED", "", "POST", login, right)
    await bounds.under("another account", "POST", login, {"email": "admin@localhost", "password": "changeme"})
    for number in range(per_address - per_account):
        answer = await bounds.wire.ask("POST", login, wrong(f"nobody{number}"))
        if answer.status != 401:
            bounds.problems.append(f"a wrong password of another account: {answer}")
    admin = {"email": "admin@localhost", "password": "changeme"}
    await bounds.over("address", 429, "RATE_LIMITED", "", "POST", login, admin)
    # Who has signed in is not kept out.
    await bounds.under("signed in", "GET", "/item?per_page=1")


async def waiting_callers(stage, app):
    """A write keeps a row for three seconds; far more want it than may wait."""
    holder = await Wire.connect(stage.port, stage.token)
    id = (await holder.ask("POST", f"/api/{app}/item", {"value": "one"})).data["id"]
    count = WAITING + 300
    wires = await connect_all(stage.port, stage.token, count)
    holding = asyncio.create_task(holder.ask("PUT", f"/api/{app}/item/{id}", {"number": -1}))
    await asyncio.sleep(0.5)
    answers = await asyncio.gather(*(
        wire.ask("PUT", f"/api/{app}/item/{id}", {"number": number}) for number, wire in enumerate(wires)
    ))
    held = await holding
    close_all(wires)
    counts = collections.Counter(answer.status for answer in answers)
    refused = [answer for answer in answers if answer.status == 503]
    problems = [f"{answer}" for answer in answers if answer.status not in (200, 503)]
    problems += [f"no Retry-After: {answer}" for answer in refused if answer.header("Retry-After") is None]
    at_once = [answer for answer in refused if answer.seconds < 2.5]  # before the row came free
    late = [answer for answer in answers if answer.seconds > WAIT_SECONDS + 5]
    problems += [f"an answer after {answer.seconds:.1f} s" for answer in late[:3]]
    if held.status != 200:
        problems.append(f"the one that held the row: {held}")
    if not at_once:
        problems.append(f"{count} callers at once, and none was refused at once: {dict(counts)}")
    if counts[200] < WAITING / 2:
        problems.append(f"of {count} callers only {counts[200]} were served")
    final = (await holder.ask("GET", f"/api/{app}/item/{id}")).data["number"]
    winners = {number for number, answer in enumerate(answers) if answer.status == 200}
    if final not in winners:
        problems.append(f"the row has {final}, which nobody was told of")
    line = (
        f"{count} callers of a row that is held: {dict(counts)}, {len(at_once)} of them refused at once "
        f"({Spread(answer.seconds for answer in at_once)}), the others "
        f"{Spread(answer.seconds for answer in answers if answer not in at_once)}"
    )
    refuse_with(problems, [line])
    return [line]


# MARK: a try

PARTS_OF_LOAD = {
    "connections": run_connections, "pool": run_pool, "neighbours": run_neighbours, "writers": run_writers,
    "deliveries": run_deliveries, "bounds": run_bounds,
}


def run_try(options, directory, seed):
    """All parts, each with a server of its own. Raises RoundFailure with what was wrong in any of them."""
    failures = []
    for part in options.part or PARTS_OF_LOAD:
        begin = time.monotonic()
        try:
            lines = PARTS_OF_LOAD[part](options, directory, seed)
        except (RoundFailure, OSError, ValueError, KeyError) as failure:
            text = str(failure) if isinstance(failure, RoundFailure) else repr(failure)
            failures.append(f"{part}: {text}")
            print(f"{options.store} {part}: FAILED", flush=True)
        else:
            print(f"{options.store} {part} ({time.monotonic() - begin:.0f} s): " + "\n  ".join(lines), flush=True)
    if failures:
        raise RoundFailure("\n".join(failures))
    return len(options.part or PARTS_OF_LOAD)


def main():
    parser = tries.arguments(__doc__, 1)
    parser.add_argument("--part", action="append", choices=list(PARTS_OF_LOAD), help="may be given again; default: all")
    parser.add_argument("--seconds", type=float, default=10, help="of a phase of load (default: 10)")
    parser.add_argument("--rows", type=int, default=20_000, help="deliveries that wait (default: 20000)")
    words = "how the receiver is down: nobody listens, or nobody answers (default: refuse)"
    parser.add_argument("--down", choices=["refuse", "hang"], default="refuse", help=words)
    summary = lambda store, good, asked: f"{store}: {len(good)} of {asked} tries went as they must"  # noqa: E731
    tries.run(parser, "load", run_try, lambda parts: f"{parts} parts went as they must", summary)


if __name__ == "__main__":
    main()
