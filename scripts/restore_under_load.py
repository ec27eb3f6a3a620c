#!/usr/bin/env python3
"""Backs up, restores and clones an app of a Rocket server while 16 connections write to it, and judges the copies.

    scripts/restore_under_load.py [ROCKET] [--tries 3] [--papers 50000]
    PGSAFE=1 scripts/with_postgres.sh scripts/restore_under_load.py --store postgres

Each writer moves amounts between accounts, all of them shared, by one batch that changes two balances and makes an
entry with the writer's next number and the last number that another writer was told of. So it is a fault where a copy's
balances have another sum, or are not what its entries say; where the entries of a writer have a gap, are fewer than it
was told of before the copy began, or more than it had sent when it ended; where an entry is there without what its
writer knew of; where a row differs from the source's though it was not changed since; where the copy has other
definitions, refuses the sign-in or the writes of the source, takes the source's tokens, or is not the same after a
restart; where what is there already is written over; and where a writer is refused or waits for seconds.
"""
import collections
import contextlib
import dataclasses
import http.client
import itertools
import json
import os
import random
import subprocess
import threading
import time
import uuid

import tries
from kill9 import Client, RoundFailure, Server
from kill9_webhooks import management_url, refuse

WRITERS, ACCOUNTS, START = 16, 256, 1_000
PHASE = 2  # seconds of writing before and after a command
LONGEST_WAIT = 5  # seconds, of a write while a copy is made
COMMAND_LIMIT = 300
BAD_DATA = 65  # the exit code where something is there already
PART = 5_000  # rows of one import
ADMIN = {"email": "admin@localhost", "password": "changeme"}


def entity(name, generated, *fields, **more):
    return {
        "name": name, "table": f"{name}_rows", "soft_delete": False,
        "primary_key": {"field": "id", "type": "uuid", "generated": generated},
        "fields": [{"name": "id", "type": "uuid"}, *fields, {"name": "made_at", "type": "timestamp", "auto": "create"}],
        **more,
    }


def whole(name):
    return {"name": name, "type": "int", "required": True}


def relation(name, key):
    return {
        "name": name, "type": "one_to_many", "source": "account", "target": "entry", "source_key": "id",
        "target_key": key, "on_delete": "restrict", "inverse": name[:-1],
    }


ENTITIES = [
    entity("account", False, whole("balance"), {"name": "changed_at", "type": "timestamp", "auto": "update"}),
    entity(
        "entry", True, {"name": "account_id", "type": "uuid", "required": True},
        {"name": "to_id", "type": "uuid", "required": True},
        *map(whole, ["amount", "writer", "number", "seen_writer", "seen_number"]), {"name": "note", "type": "text"},
        indexes=[{"fields": ["writer", "number"], "unique": True}],
    ),
    # So that a copy takes a while.
    entity("paper", False, {"name": "price", "type": "decimal"}, {"name": "note", "type": "text"}),
]
RELATIONS = [relation("debits", "account_id"), relation("credits", "to_id")]


# MARK: the app


def make_app(server, app, papers, seed):
    client, draw = Client(server.port, server.sign_in()), random.Random(f"{seed}-rows")

    def rows(count, make):
        made = ({"id": str(uuid.UUID(int=draw.getrandbits(128), version=4))} | make() for _ in range(count))
        return [{**row, "made_at": "2026-01-02T03:04:05.678901Z"} for row in made]

    def paper():
        note = "".join(draw.choices('äbc 1\n"', k=draw.randrange(400)))
        return {"price": draw.choice([None, draw.randrange(10**9) / 100]), "note": note}

    client.call("POST", "/api/_platform/apps", {"name": app}, expect=201)
    accounts = rows(ACCOUNTS, lambda: {"balance": START})
    parts = [{"entities": ENTITIES, "relations": RELATIONS, "sample_data": {"account": accounts}}]
    for begin in range(0, papers, PART):
        parts.append({"sample_data": {"paper": rows(min(PART, papers - begin), paper)}})
    for part in parts:
        client.call("POST", f"/api/{app}/_admin/import", {"version": 1} | part)
    return [account["id"] for account in accounts]


def rows_of(client, app, name):
    """All rows by their keys, in whose order a list is, with the digits of their numbers."""
    rows, last = {}, "00000000-0000-0000-0000-000000000000"
    while True:
        response = client.send("GET", f"/api/{app}/{name}?per_page=100&count=none&filter%5Bid.gt%5D={last}")
        text = response.read()
        if response.status != 200:
            raise RoundFailure(f"GET {app}/{name}: {response.status} {text[:300].decode(errors='replace')}")
        page = json.loads(text, parse_float=str)["data"]
        if not page:
            return rows
        rows |= {row["id"]: row for row in page}
        last = page[-1]["id"]


def all_rows(server, app):
    client = Client(server.port, server.sign_in())
    return {each["name"]: rows_of(client, app, each["name"]) for each in ENTITIES}


# MARK: writing


class Writers:
    """Move amounts between the accounts of an app, in one phase after another."""

    def __init__(self, server, app, accounts, seed):
        self.server, self.app, self.accounts, self.seed = server, app, accounts, seed
        self.known = {}  # account: (balance, ETag)
        self.sent, self.acknowledged = [0] * WRITERS, [0] * WRITERS
        self.times = []  # (begin, end) of each transfer
        self.conflicts, self.problems, self.phases = 0, [], itertools.count()
        self.is_over = threading.Event()

    @contextlib.contextmanager
    def running(self):
        self.is_over.clear()
        phase, token = next(self.phases), self.server.sign_in()
        threads = [threading.Thread(target=self.work, args=(writer, phase, token)) for writer in range(WRITERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.is_over.set()
            for thread in threads:
                thread.join()
        refuse(self.problems)

    def work(self, writer, phase, token):
        draw = random.Random(f"{self.seed}-{phase}-{writer}")
        try:
            client = Client(self.server.port, token)
            while not self.is_over.is_set():
                self.transfer(client, writer, draw)
        except (RoundFailure, OSError, http.client.HTTPException, ValueError, KeyError) as failure:
            self.problems.append(f"writer {writer}, transfer {self.sent[writer]}: {failure or repr(failure)}")

    def transfer(self, client, writer, draw):
        number, amount = self.acknowledged[writer] + 1, draw.randrange(1, 10)
        pair, other = draw.sample(self.accounts, 2), draw.randrange(WRITERS)
        entry = {
            "account_id": pair[0], "to_id": pair[1], "amount": amount, "writer": writer, "number": number,
            "seen_writer": other, "seen_number": self.acknowledged[other],
            "note": "".join(draw.choices('äbc 1\n"', k=draw.randrange(200))),
        }
        self.sent[writer] = number
        while not self.try_transfer(client, pair, amount, entry):
            self.conflicts += 1
            for account in pair:
                self.known.pop(account, None)
        self.acknowledged[writer] = number

    def try_transfer(self, client, pair, amount, entry):
        """Returns false where somebody else was faster."""
        changes = {pair[0]: -amount, pair[1]: amount}
        operations = [{"method": "POST", "path": "/entry", "body": entry}]
        for account in sorted(changes):  # all in one order, so that nobody waits in a circle
            balance, etag = self.known.get(account) or self.read(client, account)
            operations.append({
                "method": "PATCH", "path": f"/account/{account}", "if_match": etag,
                "body": {"balance": balance + changes[account]},
            })
        begin = time.monotonic()
        response = client.send("POST", f"/api/{self.app}/_batch", {"operations": operations})
        text = response.read()
        if response.status == 412:
            return False
        if response.status != 200:
            raise RoundFailure(f"{response.status} {text[:300].decode(errors='replace')}")
        self.times.append((begin, time.monotonic()))
        for result in json.loads(text)["data"][1:]:
            self.known[result["data"]["id"]] = (result["data"]["balance"], result["etag"])
        return True

    def read(self, client, account):
        response = client.send("GET", f"/api/{self.app}/account/{account}")
        text = response.read()
        if response.status != 200:
            raise RoundFailure(f"GET account: {response.status} {text[:300].decode(errors='replace')}")
        return json.loads(text)["data"]["balance"], response.headers["ETag"]

    def rate(self, begin, end):
        return sum(begin <= ended < end for _, ended in self.times) / (end - begin)

    def slowest(self, begin, end):
        """The longest of the transfers that ran then."""
        return max((ended - begun for begun, ended in self.times if begun < end and ended > begin), default=0)


# MARK: commands


@dataclasses.dataclass
class Command:
    name: str
    acknowledged: list  # by writer, before it began
    sent: list  # by writer, when it had ended
    begin: float
    end: float

    @property
    def seconds(self):
        return self.end - self.begin


class Commands:
    """Runs the command line beside the server."""

    def __init__(self, rocket, directory, url):
        self.rocket, self.directory = rocket, directory
        self.where = ["--database-url", url] if url else ["--data-dir", directory / "data"]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}

    def run(self, *arguments, expect=0):
        command = [self.rocket, *arguments, *self.where]
        done = subprocess.run(
            command, cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=COMMAND_LIMIT, check=False,
        )
        if done.returncode != expect:
            said = (done.stdout + done.stderr).strip()[-1_000:]
            words = " ".join(map(str, arguments))
            raise RoundFailure(f"rocket {words}: exit code {done.returncode} instead of {expect}: {said}")

    def run_beside(self, writers, name, *arguments):
        """Runs one while the writers write, with a phase of theirs before it and after."""
        with writers.running():
            time.sleep(PHASE)
            command = Command(name, list(writers.acknowledged), [], time.monotonic(), 0)
            self.run(*arguments)
            command.end, command.sent = time.monotonic(), list(writers.sent)
            time.sleep(PHASE)
        return command


# MARK: judging


def judge_books(name, rows, low, high):
    """What no moment may have, where each writer's entries are from `low` to `high`."""
    problems, entries, balances = [], rows["entry"].values(), collections.Counter()
    total = sum(account["balance"] for account in rows["account"].values())
    if len(rows["account"]) != ACCOUNTS or total != ACCOUNTS * START:
        problems.append(f"{name}: {len(rows['account'])} accounts have {total} instead of {ACCOUNTS * START}")
    numbers = collections.defaultdict(list)
    for entry in entries:
        numbers[entry["writer"]].append(entry["number"])
        balances[entry["account_id"]] -= entry["amount"]
        balances[entry["to_id"]] += entry["amount"]
    for writer in range(WRITERS):
        count = len(numbers[writer])
        if sorted(numbers[writer]) != list(range(1, count + 1)):
            gaps = sorted(set(range(1, max(numbers[writer]) + 1)) - set(numbers[writer]))
            problems.append(f"{name}: the entries of writer {writer} have GAPS: {gaps[:10]} of {max(numbers[writer])}")
        if not low[writer] <= count <= high[writer]:
            bounds = f"{low[writer]} to {high[writer]}"
            problems.append(f"{name}: writer {writer} has {count} entries, and there must be {bounds}")
    for entry in entries:
        if entry["seen_number"] > len(numbers[entry["seen_writer"]]):
            words = f"{entry['seen_number']} of writer {entry['seen_writer']}"
            problems.append(f"{name}: {entry['number']} of writer {entry['writer']} is there WITHOUT {words}")
    for id, account in rows["account"].items():
        if account["balance"] != START + balances[id]:
            problems.append(f"{name}: {id} has {account['balance']}, and its entries say {START + balances[id]}")
    return problems


def judge_rows(name, rows, source):
    """What differs from the source though it was not changed since."""
    since = [entry for id, entry in source["entry"].items() if id not in rows["entry"]]
    changed = {entry[end] for entry in since for end in ("account_id", "to_id")}
    problems = []
    for kind, theirs in source.items():
        expected = theirs.keys() & rows["entry"].keys() if kind == "entry" else theirs.keys()
        problems += [f"{name}: the {kind} {id} is MISSING" for id in expected - rows[kind].keys()]
        problems += [f"{name}: the {kind} {id} is not the source's" for id in rows[kind].keys() - theirs.keys()]
        for id in expected & rows[kind].keys() - changed:
            if list(rows[kind][id].items()) != list(theirs[id].items()):
                problems.append(f"{name}: the {kind} {id} differs: {theirs[id]} became {rows[kind][id]}"[:500])
    return problems


def judge_app(server, name, source, rows):
    """Whether a copy is an app like the source: definitions, users, writes, tokens of its own."""
    problems = []
    admin = Client(server.port, server.sign_in())
    ours, theirs = (
        admin.call("GET", f"/api/{app}/_admin/export")["data"] | {"exported_at": None} for app in (name, source)
    )
    if ours != theirs:
        different = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
        problems.append(f"{name}: its definitions differ in {', '.join(sorted(different))}")
    tokens = [
        Client(server.port).call("POST", f"/api/{app}/auth/login", ADMIN)["data"]["access_token"]
        for app in (name, source)
    ]
    if Client(server.port, tokens[1]).send("GET", f"/api/{name}/account?per_page=1").status != 401:
        problems.append(f"{name}: it takes a token of {source}")
    # A write, which is taken back, and one that its relations refuse.
    client, id = Client(server.port, tokens[0]), str(uuid.uuid4())
    client.call("POST", f"/api/{name}/paper", {"id": id, "note": "new", "price": 1.5}, expect=201)
    client.call("DELETE", f"/api/{name}/paper/{id}")
    for entry in itertools.islice(rows["entry"].values(), 1):
        client.call("DELETE", f"/api/{name}/account/{entry['account_id']}", expect=409)
    return problems


def judge_copy(server, name, source, source_rows, low, high):
    rows = all_rows(server, name)
    problems = judge_books(name, rows, low, high) + judge_rows(name, rows, source_rows)
    return rows, problems


# MARK: a try


def run_try(options, directory, seed):
    """All commands once. Returns what they took; raises RoundFailure with what was wrong."""
    app = f"bank_{os.getpid()}_{seed}" if options.store == "postgres" else "bank"
    restored, cloned, empty = f"{app}2", f"{app}3", f"{app}4"
    url = management_url(options.url if options.store == "postgres" else None, app)
    commands, copy, problems = Commands(options.rocket, directory, url), directory / "copy", []
    with contextlib.ExitStack() as stack:
        server = Server(options.rocket, directory, 0, url)
        stack.callback(lambda: server.kill())
        writers = Writers(server, app, make_app(server, app, options.papers, seed), seed)

        backup = commands.run_beside(writers, "backup", "backup", copy, app)
        restore = commands.run_beside(writers, "restore", "restore", copy, app, "--as", restored)
        clone = commands.run_beside(writers, "clone", "app", "clone", app, cloned, "--rows")
        ran = [backup, restore, clone]
        source = all_rows(server, app)
        problems += judge_books(app, source, writers.acknowledged, writers.acknowledged)
        copies = {}
        # The restored rows are those of the moment of the backup, whatever was written since.
        for name, command in {restored: backup, cloned: clone}.items():
            copies[name], found = judge_copy(server, name, app, source, command.acknowledged, command.sent)
            problems += found + judge_app(server, name, app, copies[name])
        for command in ran:
            if (slowest := writers.slowest(command.begin, command.end)) > LONGEST_WAIT:
                problems.append(f"a transfer took {slowest:.1f} s beside the {command.name}")

        commands.run("backup", copy, app, expect=BAD_DATA)
        commands.run("restore", copy, app, expect=BAD_DATA)
        commands.run("restore", copy, app, "--as", cloned, expect=BAD_DATA)
        commands.run("app", "clone", app, restored, "--rows", expect=BAD_DATA)
        commands.run("app", "clone", app, empty)
        problems += [f"{empty} has rows: {kind}" for kind, rows in all_rows(server, empty).items() if rows]
        commands.run("app", "delete", app, "--yes")
        commands.run("restore", copy)
        copies[app] = copies[restored]

        server.stop()
        server = Server(options.rocket, directory, 0, url)
        for name, rows in copies.items():
            found = all_rows(server, name)
            problems += [f"{name}: {kind} rows are others after all" for kind in rows if rows[kind] != found[kind]]
        server.stop()
        refuse(problems)
    rows = {kind: len(source[kind]) for kind in source}
    return ran, writers, rows


def describe(ran, writers, rows):
    lines = [f"{sum(rows.values())} rows, {len(writers.times)} transfers, {writers.conflicts} tried again"]
    for command in ran:
        before, during = (command.begin - PHASE, command.begin), (command.begin, command.end)
        lines.append(
            f"{command.name:<8}{command.seconds:6.2f} s; transfers a second {writers.rate(*during):5.0f} "
            f"({writers.rate(*before):.0f} before), the slowest {writers.slowest(*during) * 1000:5.0f} ms "
            f"({writers.slowest(*before) * 1000:.0f} before)"
        )
    return lines


def summary(store, results, asked):
    parts = []
    for number, command in enumerate(results[0][0]):
        runs = [(ran[number], writers) for ran, writers, _ in results]
        seconds = max(each.seconds for each, _ in runs)
        slowest = max(writers.slowest(each.begin, each.end) for each, writers in runs)
        parts.append(f"{command.name} at most {seconds:.2f} s and {slowest * 1000:.0f} ms for a transfer beside it")
    return f"{store}: {len(results)} of {asked} tries good; " + "; ".join(parts)


def main():
    parser = tries.arguments(__doc__, 3)
    parser.add_argument("--papers", type=int, default=50_000, help="rows that nobody writes (default: 50000)")
    tries.run(parser, "restore", run_try, lambda result: "\n  ".join(describe(*result)), summary)


if __name__ == "__main__":
    main()
