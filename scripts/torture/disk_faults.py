#!/usr/bin/env python3
"""Lets the disk under a Rocket server on SQLite fail in many ways while 16 connections use it, and judges what is left.

    scripts/torture/disk_faults.py [ROCKET] --tries 15 [--seed 1]                                 (the full form)
    scripts/torture/disk_faults.py [ROCKET] --tries 1 --windows 4 --starts 1 --backups 1           (the short form)

The server runs on faulty_machine.c. In each window the disk is full, or writes, syncs, reads, truncations, openings or
renames fail: always, by chance, once, or from some call on, for all files or for one kind of them; some writes are cut
in half. Meanwhile records, records with others below them, changes, uploads, metadata, reads and sign-ins are asked
for; some windows end with SIGKILL, and some servers start while the disk is bad. Then apps, backups and restorations are
made on a bad disk, by the server and by the command alone. What counts as wrong:

- an answer other than 2xx and 503, one that never comes, a connection that breaks, a process that ends by itself
- a 2xx for a write that began and ended while no write or no sync could succeed
- a read that fails while only writing does
- a server that has not written everything again 5 seconds after the disk is well, without a restart
- what was acknowledged and is gone or different: at once, after a restart, after SIGKILL
- a record without those that came with it; a file that is shown and is not whole, or has no bytes; metadata that is listed
  and can't be used; the draft of an upload that was answered
- what SQLite calls damage
- a start on a bad disk that ends without a code or a word, or after which the next one does not succeed
- an app whose making failed, and whose name is not free at the next making, on a disk that is well
- a backup that failed and says 0, or says nothing, or lies there all the same; one that succeeded and does not bring
  everything back; a restoration that failed and leaves an app, or bars the way for the next one, which comes at once
- a window or a try in which nothing failed
"""
import collections
import contextlib
import errno
import hashlib
import http.client
import json
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import faulty_machine as machine_of  # noqa: E402
import kill9  # noqa: E402
import tries  # noqa: E402
from faulty_machine import (  # noqa: E402
    ALL_FILES, ALWAYS, CHANCE, DATABASE, FOLDER, FROM, NTH, OPEN, OTHER, READ, RENAME, SHM, SYNC, TRUNCATE, WAL, WRITE,
    Machine,
)
from kill9 import APP, CONNECTIONS, Client, RoundFailure  # noqa: E402

RECOVERY_SECONDS = 5
# A caller waits ten seconds at most for the database (operations.md), and a statement thirty.
PATIENCE = 15
SHOWN = 25
REQUEST_ID = re.compile(r"(?<=request id )[^\"]*")
API = f"/api/{APP}"


# MARK: the app


def entity(name, *fields):
    return {
        "name": name, "table": f"{name}s", "primary_key": {"field": "id", "type": "uuid", "generated": True},
        "fields": [{"name": "id", "type": "uuid"}, *({"name": field, "type": kind} for field, kind in fields)],
    }


DEFINITIONS = {
    "version": 1,
    "entities": [
        entity("item", ("value", "string"), ("note", "text")),
        entity("order", ("value", "string"), ("count", "int")),
        entity("line", ("value", "string"), ("order_id", "uuid")),
        entity("doc", ("value", "string"), ("attachment", "file")),
    ],
    "relations": [{
        "name": "lines", "type": "one_to_many", "source": "order", "target": "line", "source_key": "id",
        "target_key": "order_id", "on_delete": "cascade",
    }],
}


# MARK: what was sent and answered


class Journal:
    """What was asked for and acknowledged. What was asked for and not acknowledged may be there or not."""

    def __init__(self):
        self.lock = threading.Lock()
        self.items = {}  # value: the notes that it may have
        self.item_ids = {}  # value: the id, of acknowledged ones
        self.orders = {}  # value: whether it is acknowledged
        self.files = {}  # value of the doc: (file's id, digest), of acknowledged docs
        self.uploads = {}  # file's id: digest, of acknowledged uploads
        self.entities = {}  # name: whether it is acknowledged
        self.statuses = collections.Counter()  # (operation, status)
        self.problems = []

    def complain(self, problem):
        with self.lock:
            self.problems.append(problem)

    @property
    def acknowledged(self):
        counted = [self.item_ids, self.files, self.uploads]
        flagged = [self.orders, self.entities]
        return sum(map(len, counted)) + sum(sum(map(bool, known.values())) for known in flagged)


class Broken(Exception):
    """The connection ended before the answer."""


class Worker:
    """One connection, which asks for one thing after the other."""

    def __init__(self, load, number):
        self.load, self.number, self.journal = load, number, load.journal
        self.draw = random.Random(f"{load.seed}-{number}")
        self.count = 0
        self.mine = []  # values of items
        self.client, self.place = None, None
        operations = {
            self.create: 35, self.nest: 15, self.update: 15, self.upload: 12, self.read: 14, self.define: 3, self.sign_in: 4,
        }
        self.operations, self.weights = list(operations), list(operations.values())

    def work(self):
        while not self.load.is_over.is_set():
            place = self.load.place
            if place is None:
                time.sleep(0.01)
                continue
            if place != self.place:
                self.place, self.client = place, None
            operation = self.draw.choices(self.operations, self.weights)[0]
            self.count += 1
            try:
                operation(f"{self.number}-{self.count}")
            except Broken as broken:
                self.client = None
                # A kill breaks connections, and takes the place away first.
                if self.load.place == place:
                    self.journal.complain(f"{operation.__name__}: {broken} {self.load.where()}")
                    time.sleep(0.2)

    def ask(self, what, method, path, body=None, headers=None, writes=True):
        """The status and the body of an answer, judged."""
        begin, window = time.monotonic(), self.load.window
        try:
            if self.client is None:
                self.client = Client(*self.place)
            self.client.connection.timeout = 30
            if headers is None:
                response = self.client.send(method, path, body)
            else:
                self.client.connection.request(method, path, body, self.client.headers | headers)
                response = self.client.connection.getresponse()
            status = response.status
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Broken(f"no answer: {error!r}") from None
        took = time.monotonic() - begin
        with self.journal.lock:
            self.journal.statuses[what, status] += 1
        # More than eight uploads at once are refused (files.md), and some of those that go on may hang on the disk.
        is_one_too_many = what == "upload" and status == 429
        if status not in (200, 201, 503) and not is_one_too_many:
            self.journal.complain(f"{what}: {status} {content[:300]!r} {self.load.where(window)}")
        if took > PATIENCE:
            self.journal.complain(f"{what}: {status} after {took:.1f} s {self.load.where(window)}")
        is_inside = window is not None and self.load.window is window and not window.is_ending
        if is_inside and writes and status < 300 and window.is_gate:
            self.journal.complain(f"{what}: {status}, and nothing could be stored {self.load.where(window)}")
        if is_inside and not writes and status == 503 and window.reads_work:
            self.journal.complain(f"{what}: {status} {content[:200]!r}, though reading works {self.load.where(window)}")
        if status in (503, 429):
            time.sleep(0.01)  # a client that does not hammer
        return status, content

    # MARK: operations

    def text(self, most):
        return "".join(self.draw.choices("äbc 1\n\"", k=self.draw.randrange(most)))

    def create(self, value):
        note = self.text(6_000)
        with self.journal.lock:
            self.journal.items[value] = {note}
        status, content = self.ask("create", "POST", f"{API}/item", {"value": value, "note": note})
        if status == 201:
            with self.journal.lock:
                self.journal.item_ids[value] = json.loads(content)["data"]["id"]
            self.mine.append(value)

    def nest(self, value):
        count = self.draw.randrange(1, 6)
        lines = [{"value": f"{value}-{number}"} for number in range(count)]
        with self.journal.lock:
            self.journal.orders[value] = False
        status, _ = self.ask("nest", "POST", f"{API}/order", {"value": value, "count": count, "lines": lines})
        if status == 201:
            self.journal.orders[value] = True

    def update(self, value):
        if not self.mine:
            return self.create(value)
        known, note = self.draw.choice(self.mine), f"changed {value} {self.text(3_000)}"
        notes, id = self.journal.items[known], self.journal.item_ids[known]
        # Nobody else changes this item: what is not acknowledged may have come about all the same.
        notes.add(note)
        status, _ = self.ask("update", "PUT", f"{API}/item/{id}", {"note": note})
        if status == 200:
            self.journal.items[known] = {note}

    def upload(self, value):
        content = self.draw.randbytes(self.draw.choice([10, 5_000, 70_000, 400_000]))
        digest = hashlib.sha256(content).hexdigest()
        head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{value}.bin"\r\n\r\n'
        body = head.encode() + content + b"\r\n--edge--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=edge"}
        status, answer = self.ask("upload", "POST", f"{API}/_files/upload", body, headers)
        if status >= 300:
            return
        id = json.loads(answer)["data"]["id"]
        with self.journal.lock:
            self.journal.uploads[id] = digest
        status, _ = self.ask("doc", "POST", f"{API}/doc", {"value": value, "attachment": id})
        if status == 201:
            with self.journal.lock:
                self.journal.files[value] = (id, digest)

    def read(self, value):
        if not self.mine:
            return self.create(value)
        known = self.draw.choice(self.mine)
        status, content = self.ask("read", "GET", f"{API}/item/{self.journal.item_ids[known]}", writes=False)
        if status == 200 and json.loads(content)["data"]["note"] not in self.journal.items[known]:
            self.journal.complain(f"{known} was read with a note that it never had {self.load.where()}")

    def define(self, value):
        name = f"e{value.replace('-', '_')}"
        with self.journal.lock:
            self.journal.entities[name] = False
        status, _ = self.ask("define", "POST", f"{API}/_admin/entities", entity(name, ("value", "string")))
        if status == 201:
            self.journal.entities[name] = True

    def sign_in(self, _):
        body = {"email": "admin@localhost", "password": "changeme"}
        self.ask("sign in", "POST", f"{API}/auth/login", body)


class Load:
    def __init__(self, seed, journal):
        self.seed, self.journal = seed, journal
        self.place = None  # (port, token); None while there is no server
        self.window = None
        self.is_over = threading.Event()
        self.workers = [Worker(self, number) for number in range(CONNECTIONS)]
        self.threads = [threading.Thread(target=worker.work) for worker in self.workers]

    def where(self, window=None):
        window = window or self.window
        return f"[{window.name}]" if window else "[the disk is well]"

    def start(self, server):
        self.place = (server.port, server.sign_in())
        for thread in self.threads:
            thread.start()

    def end(self):
        self.is_over.set()
        for thread in self.threads:
            if thread.ident:
                thread.join()


# MARK: faults


class Window:
    def __init__(self, name, is_gate=False, reads_work=True):
        self.name = name
        self.is_gate = is_gate  # no commit can succeed
        self.reads_work = reads_work
        self.is_ending = False


FILES = {"any file": ALL_FILES, "the log of writes": WAL, "the database": DATABASE, "other files": OTHER, "shared memory": SHM}
MODES = {"always": (ALWAYS, 0), "by chance": (CHANCE, 4_000), "once": (NTH, 60), "from a call on": (FROM, 60)}


def choose_mode(draw):
    name = draw.choice(list(MODES))
    mode, number = MODES[name]
    return name, mode, number if mode == CHANCE else draw.randrange(number + 1)


def fault_full(machine, draw):
    machine.room = draw.choice([0, draw.randrange(20_000), draw.randrange(400_000)])
    return Window(f"the disk is full after {machine.room} bytes")


def fault_short(machine, draw):
    number = draw.randrange(60)
    machine.rule(WRITE, NTH, errno.ENOSPC, number=number, short=True)
    return Window(f"write {number} is cut short, then the disk is full")


def fault_write(machine, draw):
    name, mode, number = choose_mode(draw)
    files, error = draw.choice(list(FILES)[:4]), draw.choice([errno.EIO, errno.ENOSPC])
    machine.rule(WRITE, mode, error, FILES[files], number)
    is_gate = mode == ALWAYS and FILES[files] & WAL
    return Window(f"writes to {files} fail {name} ({number}): {errno.errorcode[error]}", is_gate)


def fault_sync(machine, draw):
    name, mode, number = choose_mode(draw)
    files = draw.choice(list(FILES)[:4])
    machine.rule(SYNC, mode, errno.EIO, FILES[files], number)
    return Window(f"syncs of {files} fail {name} ({number})", mode == ALWAYS and FILES[files] & WAL)


def fault_read(machine, draw):
    name, mode, number = choose_mode(draw)
    files = draw.choice(list(FILES)[:4])
    machine.rule(READ, mode, errno.EIO, FILES[files], number)
    return Window(f"reads of {files} fail {name} ({number})", reads_work=False)


def fault_open(machine, draw):
    name, mode, number = choose_mode(draw)
    error = draw.choice([errno.EIO, errno.EMFILE, errno.ENOSPC])
    machine.rule(OPEN, mode, error, number=number // 4)
    return Window(f"openings fail {name} ({number // 4}): {errno.errorcode[error]}", reads_work=False)


def fault_name(machine, draw):
    name, mode, number = choose_mode(draw)
    machine.rule(RENAME, mode, errno.EIO, number=number // 10)
    machine.rule(FOLDER, mode, errno.ENOSPC, number=number // 10)
    machine.rule(TRUNCATE, mode, errno.EIO, number=number // 10)
    return Window(f"renames, new folders and truncations fail {name} ({number // 10})")


def fault_storm(machine, draw):
    number = draw.choice([300, 2_000, 10_000])
    for kind in (WRITE, SYNC, READ, TRUNCATE, OPEN, RENAME, FOLDER):
        machine.rule(kind, CHANCE, draw.choice([errno.EIO, errno.ENOSPC]), number=number)
    return Window(f"everything fails by chance ({number} in 65536)", reads_work=False)


def fault_making(machine, draw):
    """Room for a part of a new app, of which the rest is missing: the row in the list of apps is there."""
    machine.room = draw.randrange(350_000)
    return Window(f"the disk is full after {machine.room} bytes of an app")


FAULTS = [fault_full, fault_write, fault_sync, fault_read, fault_short, fault_open, fault_name, fault_storm]


class Faults:
    """One after the other without repeating one before all were had; what was injected by each."""

    def __init__(self, machine, draw):
        self.machine, self.draw = machine, draw
        self.left = []
        self.injected = collections.Counter()

    def begin(self, choice=None):
        if choice is None:
            if not self.left:
                self.left = self.draw.sample(FAULTS, len(FAULTS))
            choice = self.left.pop()
        self.before, self.name = self.machine.injected, choice.__name__.removeprefix("fault_")
        window = choice(self.machine, self.draw)
        self.machine.arm()
        return window

    def end(self):
        self.machine.mend()
        self.injected[self.name] += self.machine.injected - self.before


# MARK: judging


def judge(client, journal):
    """What is wrong with what is there, where the disk is well and nobody writes."""
    return [
        *judge_items(client, journal), *judge_orders(client, journal), *judge_files(client, journal),
        *judge_entities(client, journal),
    ]


def all_of(client, path):
    rows, page = [], 1
    while True:
        joint = "&" if "?" in path else "?"
        answer = client.call("GET", f"{path}{joint}per_page=100&page={page}")["data"]
        rows += answer
        if len(answer) < 100:
            return rows
        page += 1


def by_value(rows, problems, what):
    found = {}
    for row in rows:
        if row["value"] in found:
            problems.append(f"{what} {row['value']} is there twice")
        found[row["value"]] = row
    return found


def judge_items(client, journal):
    problems = []
    found = by_value(all_of(client, f"{API}/item"), problems, "item")
    for value in journal.item_ids:
        if value not in found:
            problems.append(f"item {value} was acknowledged and is LOST")
    for value, row in found.items():
        if value not in journal.items:
            problems.append(f"item {value} was never sent")
        elif row["note"] not in journal.items[value]:
            problems.append(f"item {value} has a note that was not the last acknowledged nor sent after it")
    return problems


def judge_orders(client, journal):
    problems = []
    found = by_value(all_of(client, f"{API}/order?include=lines"), problems, "order")
    problems += [f"order {value} was acknowledged and is LOST" for value, is_known in journal.orders.items()
                 if is_known and value not in found]
    for value, row in found.items():
        expected = {f"{value}-{number}" for number in range(row["count"])}
        lines = [line["value"] for line in row["lines"]]
        if set(lines) != expected or len(lines) != len(expected):
            problems.append(f"order {value} is HALF there: {len(lines)} of its {row['count']} lines")
    orders = {row["id"] for row in found.values()}
    lines = all_of(client, f"{API}/line")
    problems += [f"line {line['value']} has no order" for line in lines if line["order_id"] not in orders]
    return problems


def download(client, id):
    response = client.send("GET", f"{API}/_files/{id}")
    return response.status, response.read()


def judge_files(client, journal):
    problems = []
    shown = {row["id"]: row for row in all_of(client, f"{API}/_files")}
    problems += [f"the upload {id} was acknowledged and is LOST" for id in journal.uploads if id not in shown]
    for id, row in shown.items():
        status, content = download(client, id)
        if status != 200 or len(content) != row["size"]:
            problems.append(f"the file {id} of {row['size']} bytes is shown, and gives {status} with {len(content)} bytes")
        elif id in journal.uploads and hashlib.sha256(content).hexdigest() != journal.uploads[id]:
            problems.append(f"the file {id} has other bytes than were sent")
    found = by_value(all_of(client, f"{API}/doc"), problems, "doc")
    for value, (id, _) in journal.files.items():
        if value not in found:
            problems.append(f"doc {value} was acknowledged and is LOST")
        elif (found[value]["attachment"] or {}).get("id") != id:
            problems.append(f"doc {value} has lost its file: {found[value]}")
    problems += [f"doc {value} names the file {row['attachment']}, which is not there" for value, row in found.items()
                 if row["attachment"] and row["attachment"]["id"] not in shown]
    return problems


def judge_entities(client, journal):
    problems = []
    listed = {row["name"] for row in client.call("GET", f"{API}/_admin/entities")["data"]}
    problems += [f"the entity {name} was acknowledged and is LOST" for name, is_known in journal.entities.items()
                 if is_known and name not in listed]
    for name in listed & journal.entities.keys():
        response = client.send("POST", f"{API}/{name}", {"value": "works"})
        content = response.read()
        if response.status != 201:
            problems.append(f"the entity {name} is listed, and takes no record: {response.status} {content[:200]!r}")
    return problems


def drafts(directory):
    return [path.name for path in (directory / "data" / "files").rglob("*.part")]


def damage(directory):
    """What SQLite says of copies of the files; those of server and app."""
    problems = kill9.damage(directory)
    copy = directory / "management-copy.db"
    for suffix in ("", "-wal"):
        source = directory / "data" / f"management.db{suffix}"
        if source.exists():
            shutil.copyfile(source, f"{copy}{suffix}")
    with contextlib.closing(sqlite3.connect(copy)) as database:
        found = [row[0] for row in database.execute("PRAGMA integrity_check")]
    return problems + ([] if found == ["ok"] else [f"management.db: {line}" for line in found])


def wait_until_well(load, journal):
    """Everything is written again, without a restart. Returns after how long."""
    begin, worker = time.monotonic(), Worker(load, f"well{len(journal.items)}")
    worker.place = load.place
    left, answers = ["create", "nest", "upload", "define", "sign_in"], {}
    while left:
        before = journal.statuses.copy()
        try:
            worker.count += 1
            getattr(worker, left[0])(f"{worker.number}-{worker.count}")
        except Broken as broken:
            raise RoundFailure(f"{left[0]} after the disk was well: {broken}") from None
        what = left[0].replace("_", " ")
        # This worker's answer is among those that have come since; all that matters is one that is good.
        good = {"create": worker.mine, "nest": journal.orders.get(f"{worker.number}-{worker.count}")}
        is_good = good.get(left[0])
        if is_good is None:
            is_good = any(journal.statuses[what, code] > before[what, code] for code in (200, 201))
        if is_good:
            answers[left.pop(0)] = time.monotonic() - begin
        elif time.monotonic() - begin > RECOVERY_SECONDS:
            raise RoundFailure(f"{what} still fails {RECOVERY_SECONDS} s after the disk is well")
    return time.monotonic() - begin


# MARK: the parts of a try


class Scene:
    """The server of a try, its load and what came of it."""

    def __init__(self, options, directory, seed, stack):
        self.rocket, self.directory, self.draw = options.rocket, directory, random.Random(seed)
        self.machine = Machine(directory, directory / "data")
        self.faults = Faults(self.machine, self.draw)
        self.journal = Journal()
        self.load = Load(seed, self.journal)
        self.kills, self.starts, self.recoveries = 0, collections.Counter(), []
        self.left_by_kills = set()  # names of drafts; nobody is there to remove them before a day is over
        (directory / "app.yaml").write_text("auth:\n  bcrypt_cost: 4\n", encoding="utf-8")
        self.server = self.machine.serve(self.rocket, directory)
        stack.callback(lambda: self.server and self.server.kill())
        stack.callback(self.machine.mend)
        stack.callback(self.load.end)

    def begin(self):
        admin = Client(self.server.port, self.server.sign_in())
        admin.call("POST", "/api/_platform/apps", {"name": APP}, expect=201)
        admin.call("POST", f"{API}/_admin/import", DEFINITIONS)
        self.load.start(self.server)

    def require_alive(self):
        if self.server.process.poll() is not None:
            raise RoundFailure(
                f"THE SERVER ENDED by itself with {self.server.process.returncode} {self.load.where()}: "
                f"{self.server.last_words()}"
            )

    def refuse(self, problems, when):
        answers = collections.Counter(REQUEST_ID.sub("…", problem) for problem in self.journal.problems)
        problems = [*(f"{problem} ({count} times)" for problem, count in answers.most_common()), *problems]
        if problems:
            more = [f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
            raise RoundFailure("\n".join([f"{len(problems)} problems {when}", *problems[:SHOWN], *more]))

    def try_window(self):
        time.sleep(self.draw.uniform(0.1, 0.4))
        kills = self.draw.random() < 0.25
        self.load.window = window = self.faults.begin()
        time.sleep(self.draw.uniform(0.4, 1.2))
        self.require_alive()
        if kills:
            self.load.place = None
            self.server.kill()
            self.server = None
            self.kills += 1
            self.left_by_kills.update(drafts(self.directory))
        window.is_ending = True
        if kills and self.draw.random() < 0.5:
            self.start_on_bad_disk(window)
        self.faults.end()
        self.load.window = None
        if kills and self.server is None:
            self.server = self.machine.serve(self.rocket, self.directory)
        if kills:
            self.load.place = (self.server.port, self.server.sign_in())
        self.recoveries.append(wait_until_well(self.load, self.journal))
        self.require_alive()

    def start_on_bad_disk(self, window):
        """It starts, or ends with a code and a word; or it is ready as soon as the disk is well."""
        well = threading.Timer(1.5, self.machine.mend)
        well.start()
        self.server = None
        try:
            self.server = self.machine.serve(self.rocket, self.directory)
            self.starts["started"] += 1
        except RoundFailure as failure:
            text = str(failure)
            code = text.removeprefix("the server ended with ").split(" ")[0]
            if not code.isdigit() or code == "0" or "it said nothing" in text:
                raise RoundFailure(f"a start [{window.name}]: {text}") from None
            self.starts[f"ended with {code}"] += 1
        finally:
            well.cancel()
            well.join()

    def try_start(self):
        """No load: SIGKILL, a start on a bad disk, and a start on one that is well."""
        self.server.kill()
        self.server = None
        window = self.faults.begin()
        self.start_on_bad_disk(window)
        if self.server:
            # Its app is opened now, on the bad disk or just after.
            self.read_on_bad_disk(window)
        self.faults.end()
        if self.server is None:
            self.server = self.machine.serve(self.rocket, self.directory)
        begin = time.monotonic()
        while True:
            try:
                Client(self.server.port, self.server.sign_in()).call("GET", f"{API}/item")
                break
            except RoundFailure as failure:
                if time.monotonic() - begin > RECOVERY_SECONDS:
                    raise RoundFailure(f"{RECOVERY_SECONDS} s after [{window.name}] at its start: {failure}") from None
                time.sleep(0.05)
        self.require_alive()

    def read_on_bad_disk(self, window):
        body = {"email": "platform@localhost", "password": "changeme"}
        for method, path, sent in [("POST", "/api/_platform/auth/login", body), ("POST", f"{API}/auth/login", body)]:
            response = Client(self.server.port).send(method, path, sent)
            text = response.read()
            if response.status not in (200, 401, 503):
                self.journal.complain(f"{path} after a start: {response.status} {text[:200]!r} [{window.name}]")


def try_making(scene, number):
    """An app is made on a bad disk, then one of the same name on a disk that is well. Returns what came of the first."""
    name = f"made_{number}"
    client = Client(scene.server.port, scene.server.sign_in())
    window = scene.faults.begin(scene.draw.choice([fault_making, fault_full, fault_write, fault_sync, fault_open, fault_short]))
    response = client.send("POST", "/api/_platform/apps", {"name": name})
    content = response.read()
    scene.faults.end()
    scene.require_alive()
    where = f"[{window.name}]"
    if response.status not in (201, 503):
        raise RoundFailure(f"making an app: {response.status} {content[:200]!r} {where}")
    if response.status == 503:
        again = client.send("POST", "/api/_platform/apps", {"name": name})
        content = again.read()
        if again.status != 201:
            raise RoundFailure(f"making an app failed, and again on a good disk: {again.status} {content[:200]!r} {where}")
    # It works, whichever of the two has made it.
    try:
        client.call("POST", f"/api/{name}/_admin/import", DEFINITIONS)
        client.call("POST", f"/api/{name}/item", {"value": "first"}, expect=201)
        client.call("DELETE", f"/api/_platform/apps/{name}")
    except RoundFailure as failure:
        raise RoundFailure(f"an app that was made {where}: {failure}") from None
    return "good" if response.status == 201 else "refused"


def run_command(command, directory):
    return subprocess.run(
        command, cwd=directory, env=machine_of.clean_environment(), capture_output=True, text=True, check=False, timeout=60
    )


def fresh_machine(directory, name, prefix):
    """A second machine, with the library of the first."""
    return Machine(directory, prefix, name)


def count_rows(rocket, directory, folder, journal):
    """What a backup brings back, on a disk that is well: the problems with it."""
    home = directory / "proof"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    command = [str(rocket), "restore", str(folder), "--data-dir", str(home / "data")]
    done = run_command(command, home)
    if done.returncode:
        return [f"a backup that was made with 0 can't be restored: {done.returncode} {done.stderr[-300:]}"]
    server = kill9.Server(rocket, home, 0)
    try:
        return judge(Client(server.port, server.sign_in()), journal)
    finally:
        server.stop()


def try_backup(scene, number):
    """A backup on a bad disk, by the server that runs. Returns what came of it."""
    folder = scene.directory / f"data-backups-{number}" / "copy"
    folder.parent.mkdir()
    choice = scene.draw.choice([fault_full, fault_write, fault_sync, fault_open, fault_name, fault_short, fault_read])
    window = scene.faults.begin(choice)
    command = [str(scene.rocket), "backup", str(folder), "--data-dir", str(scene.directory / "data")]
    done = run_command(command, scene.directory)
    scene.faults.end()
    scene.require_alive()
    return judge_backup(scene, folder, done, window)


def judge_backup(scene, folder, done, window):
    where = f"[{window.name}]"
    if done.returncode == 0:
        problems = count_rows(scene.rocket, scene.directory, folder, scene.journal)
        if problems:
            raise RoundFailure("\n".join([f"a backup said 0 {where}", *problems[:SHOWN]]))
        return "good"
    if done.returncode < 0 or not done.stderr.strip():
        raise RoundFailure(f"a backup ended with {done.returncode} and said {done.stderr!r} {where}")
    if folder.exists():
        # All apps but those that it names, with 69: none of it may be there of one that failed.
        manifests = [path for path in folder.iterdir() if path.suffix == ".json"]
        named = [app["name"] for path in manifests for app in json.loads(path.read_text())["apps"]]
        left = [str(path.relative_to(folder)) for path in folder.rglob("*") if APP in path.name]
        if done.returncode != 69 or APP in named or left:
            raise RoundFailure(
                f"a backup ended with {done.returncode} ({done.stderr.strip()[-200:]}) and is there all the same, "
                f"with {named or left or 'nothing'} {where}"
            )
    left = [path.name for path in folder.parent.iterdir() if path != folder]
    if left:
        raise RoundFailure(f"a backup that failed has left {left} {where}: {done.stderr.strip()[-200:]}")
    return f"ended with {done.returncode}"


def try_restore(scene, folder, number):
    """A restoration under another name on a bad disk, by the server or by the command alone; then one on a good disk."""
    home = scene.directory / f"restored-{number}"
    home.mkdir()
    machine = fresh_machine(scene.directory, f"control-{number}", home / "data")
    name = "other"
    command = [str(scene.rocket), "restore", str(folder), "--as", name, "--data-dir", str(home / "data"), APP]
    faults = Faults(machine, scene.draw)
    window = faults.begin(scene.draw.choice([fault_full, fault_write, fault_sync, fault_open, fault_name, fault_short]))
    is_alone, server = scene.draw.random() < 0.5, None
    with contextlib.ExitStack() as stack:
        if not is_alone:
            machine.mend()
            server = machine.serve(scene.rocket, home)
            stack.callback(server.kill)
            window = faults.begin(scene.draw.choice([fault_full, fault_write, fault_sync, fault_open, fault_short]))
        if is_alone:
            done = machine.run(command, home)
        else:
            done = run_command(command, home)
        faults.end()
        scene.faults.injected["restore"] += machine.injected
        where = f"[{'by the command alone' if is_alone else 'by the server'}, {window.name}]"
        if server and server.process.poll() is not None:
            raise RoundFailure(f"the server ended with {server.process.returncode} at a restoration {where}")
        if done.returncode < 0 or (done.returncode and not done.stderr.strip()):
            raise RoundFailure(f"a restoration ended with {done.returncode} and said {done.stderr!r} {where}")
        first = done.returncode
        if first:
            # Nothing of the first bars the way, not even where cleaning up failed as well.
            done = run_command(command, home)
            if done.returncode:
                raise RoundFailure(f"a restoration failed {where}, and again on a good disk: {done.stderr[-300:]}")
        if server is None:
            server = kill9.Server(scene.rocket, home, 0)
            stack.callback(server.kill)
        problems = judge_copy(Client(server.port, server.sign_in()), name, scene.journal)
        if problems:
            raise RoundFailure("\n".join([f"a restoration said 0 {where}", *problems[:SHOWN]]))
        server.stop()
    return f"ended with {first}" if first else "good"


def judge_copy(client, name, journal):
    global API
    before, API = API, f"/api/{name}"
    try:
        return judge(client, journal)
    finally:
        API = before


def try_first_start(options, directory, draw):
    """A bad disk where nothing is yet: the first start ends with a code and a word, or works; the next one works."""
    home = directory / "first"
    home.mkdir()
    machine = fresh_machine(directory, "control-first", home / "data")
    faults = Faults(machine, draw)
    window = faults.begin(draw.choice([fault_full, fault_write, fault_sync, fault_open, fault_name, fault_storm]))
    well = threading.Timer(1.5, machine.mend)
    well.start()
    try:
        server = machine.serve(options.rocket, home)
        result = "started"
    except RoundFailure as failure:
        text, server = str(failure), None
        code = text.removeprefix("the server ended with ").split(" ")[0]
        if not code.isdigit() or code == "0" or "it said nothing" in text:
            raise RoundFailure(f"the first start [{window.name}]: {text}") from None
        result = f"ended with {code}"
    finally:
        well.cancel()
        well.join()
        faults.end()
    if server is None:
        try:
            server = kill9.Server(options.rocket, home, 0)
        except RoundFailure as failure:
            raise RoundFailure(f"the start after a first one [{window.name}]: {failure}") from None
    try:
        client = Client(server.port, server.sign_in())
        client.call("POST", "/api/_platform/apps", {"name": APP}, expect=201)
        client.call("POST", f"{API}/_admin/import", DEFINITIONS)
        client.call("POST", f"{API}/item", {"value": "first"}, expect=201)
        server.stop()
    except RoundFailure as failure:
        server.kill()
        raise RoundFailure(f"after a first start [{window.name}]: {failure}") from None
    return result


# MARK: a try


class Result:
    def __init__(self, scene, makings, backups, restorations, firsts):
        self.acknowledged = scene.journal.acknowledged
        self.injected = scene.faults.injected
        self.refused = sum(count for (_, status), count in scene.journal.statuses.items() if status == 503)
        self.kills, self.starts, self.recoveries = scene.kills, scene.starts, scene.recoveries
        self.makings, self.backups, self.restorations, self.firsts = makings, backups, restorations, firsts


def run_try(options, directory, seed):
    if options.store != "sqlite":
        raise RoundFailure("PostgreSQL has a disk of its own: there is only --store sqlite")
    with contextlib.ExitStack() as stack:
        scene = Scene(options, directory, seed, stack)
        scene.begin()
        for _ in range(options.windows):
            scene.try_window()
        scene.load.end()
        scene.require_alive()
        problems = judge(Client(scene.server.port, scene.server.sign_in()), scene.journal)
        # What is left is told at the end, so that it hides nothing worse.
        left = [name for name in drafts(directory) if name not in scene.left_by_kills]
        scene.refuse(problems, "while the server ran on")

        for _ in range(options.starts):
            scene.try_start()
        scene.refuse(judge(Client(scene.server.port, scene.server.sign_in()), scene.journal), "after SIGKILL and a start")

        makings = collections.Counter(try_making(scene, number) for number in range(options.makings))
        backups = collections.Counter(try_backup(scene, number) for number in range(options.backups))
        good = directory / "good"
        done = run_command([str(scene.rocket), "backup", str(good), "--data-dir", str(directory / "data")], directory)
        if done.returncode:
            raise RoundFailure(f"a backup on a good disk ended with {done.returncode}: {done.stderr[-300:]}")
        restorations = collections.Counter(try_restore(scene, good, number) for number in range(options.backups))
        firsts = collections.Counter([try_first_start(options, directory, scene.draw)])

        server, scene.server = scene.server, None
        server.stop()
        server = kill9.Server(options.rocket, directory, 0)
        problems = judge(Client(server.port, server.sign_in()), scene.journal)
        server.stop()
        problems += damage(directory)
        if left:
            problems.append(f"{len(left)} drafts are left of uploads that were answered: {left[:3]}")
        scene.refuse(problems, "after a stop and a start")
    idle = [name for name in scene.faults.injected if not scene.faults.injected[name]]
    if scene.faults.injected.total() < 10 or len(idle) > 2:
        raise RoundFailure(f"only {scene.faults.injected.total()} calls failed; none at all of {idle}: nothing was tried")
    if scene.journal.acknowledged < 100:
        raise RoundFailure(f"only {scene.journal.acknowledged} writes were acknowledged: nothing was tried")
    return Result(scene, makings, backups, restorations, firsts)


def plain(counter):
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))


def describe(result):
    return (
        f"{result.acknowledged} acknowledged, {result.refused} answers of 503; calls that failed: {plain(result.injected)}; "
        f"well again in at most {max(result.recoveries):.2f} s; {result.kills} kills under load; starts on a bad disk: "
        f"{plain(result.starts)}, the first: {plain(result.firsts)}; apps: {plain(result.makings)}; backups: {plain(result.backups)}; "
        f"restorations: {plain(result.restorations)}"
    )


def summary(store, good, count):
    injected = sum((result.injected for result in good), collections.Counter())
    return (
        f"{store}: {len(good)} of {count} tries lost nothing: {sum(result.acknowledged for result in good)} acknowledged, "
        f"{injected.total()} calls failed ({plain(injected)}), "
        f"{sum(result.refused for result in good)} answers of 503, {sum(result.kills for result in good)} kills under load, "
        f"well again in at most {max((max(result.recoveries) for result in good), default=0):.2f} s"
    )


def main():
    parser = tries.arguments(__doc__, 3)
    parser.add_argument("--windows", type=int, default=8, help="faults under load in a try (default: 8)")
    parser.add_argument("--starts", type=int, default=3, help="starts on a bad disk in a try (default: 3)")
    parser.add_argument("--makings", type=int, default=6, help="apps that are made on a bad disk in a try (default: 6)")
    parser.add_argument("--backups", type=int, default=3, help="backups, and as many restorations, in a try (default: 3)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tries.run(parser, "disk-faults", run_try, describe, summary)


if __name__ == "__main__":
    main()
