#!/usr/bin/env python3
"""Puts a proxy that delays, drops, resets, cuts and black-holes into the server's connections, and judges the server.

    scripts/torture/network_faults.py                                          SQLite: webhooks
    PGSAFE=1 scripts/with_postgres.sh scripts/torture/network_faults.py --store postgres
    … --part database | before | after          one part; --rounds 1 is the short form, --rounds 10 the full one
    … --faults hole,cut                         these alone

- database: the proxy stands between the server and PostgreSQL, and the load is that of postgres_stops.py, whose journal
  is compared in the same way. In a round each fault of DATABASE_FAULTS is there once, in an order of its own.
- before: it stands between the server and the receiver of a `before_write` webhook. A write is stored where the call
  was answered 2xx, or else it is 502 WEBHOOK_FAILED with the webhook's id, nothing is stored, and the log says so. On
  SQLite, and where half of the connections wait so, other writers may be told to come again (503).
- after: it stands between the server and the receivers of `after_write` webhooks. Each stored row is told of to each,
  under one id and with one body however often; nothing else is told.

It is a fault where an answer is none of those that the request may have, where one takes longer than the limits that
docs/configuration.md and docs/operations.md give it, where answers are 503 or 502 five seconds after all is well again,
where the connections of PostgreSQL, of the proxy and of the server do not fit, and where nothing was done to anything.
"""
import collections
import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import tries
from journal import ACKNOWLEDGED, Journal, compare_rows, figures, landed, read
from kill9 import Client, RoundFailure, Server
from kill9_webhooks import HOOKS, by_event, count_logs, judge_events, management_url, refuse, wait_until_drained
from kill9_workflows import PATH, CallReceiver, pages
from outage import Postgres
from postgres_stops import (
    RECOVERY_SECONDS, WRITES, Load, World, all_rows, configure, judge, judge_answers, judge_connections, judge_efforts,
    make_app, postgres_port, settle,
)
from proxy import CALM, DOWN, UP, Faults, Proxy
from webhook_receiver import Receiver

# So that what is silent is given up within a short round. The documents' numbers are 30, 30 and 5.
REQUEST_TIMEOUT, CALL_TIMEOUT, SYNC_TIMEOUT = 4, 3, 2
# A statement may run for request_timeout_s, and the database answers by itself then; five seconds later it is given up
# as gone. A read is asked once again. Who waits for a connection does so for 10 s.
SILENCE = REQUEST_TIMEOUT + 5
WAIT = 10
LONGEST_DATABASE_ANSWER = 2 * SILENCE + WAIT + 2
PAUSE = 4.0  # seconds that most faults last


class Fault:
    """What is set for how long, and how it ends."""

    def __init__(self, name, faults, seconds=PAUSE, resets=False, forgets=False):
        self.name, self.faults, self.seconds = name, faults, seconds
        self.resets = resets  # whether the connections that it met are reset at its end
        self.forgets = forgets  # whether they stay silent for good, so that the server has to find out by itself

    @property
    def recovery(self):
        return RECOVERY_SECONDS + (LONGEST_DATABASE_ANSWER if self.forgets else 0)


DATABASE_FAULTS = {
    fault.name: fault for fault in [
        Fault("delay", Faults(delay=(0.01, 0.2))),
        Fault("throttle", Faults(bytes_per_second=20_000)),
        Fault("reset", Faults(reset=0.02)),
        Fault("cut", Faults(cut=0.02)),
        Fault("refuse", Faults(refuse=True), resets=True),
        Fault("answers-lost", Faults(swallow=DOWN), resets=True),
        Fault("requests-lost", Faults(swallow=UP), resets=True),
        Fault("hole", Faults(black_hole=True)),  # all of it arrives late
        Fault("hole-reset", Faults(black_hole=True), resets=True),
        Fault("long-hole", Faults(black_hole=True), seconds=SILENCE + 8, resets=True),
        Fault("answers-forgotten", Faults(swallow=DOWN), forgets=True),
    ]
}
CALL_FAULTS = {
    fault.name: fault for fault in [
        Fault("delay", Faults(delay=(0.01, 0.3)), seconds=3),
        Fault("throttle", Faults(bytes_per_second=2_000), seconds=3),
        Fault("reset", Faults(reset=0.2), seconds=3),
        Fault("cut", Faults(cut=0.2), seconds=3),
        Fault("refuse", Faults(refuse=True), seconds=3, resets=True),
        Fault("answers-lost", Faults(swallow=DOWN), seconds=3, resets=True),
        Fault("requests-lost", Faults(swallow=UP), seconds=3, resets=True),
        Fault("hole", Faults(black_hole=True), seconds=CALL_TIMEOUT + 2),
    ]
}
# What each of them must have left in the proxy's counts, or it was no test.
COUNTED = {
    "delay": "delayed", "throttle": "throttled", "reset": "reset", "cut": "cut", "refuse": "refusing",
    "answers-lost": "swallowed", "requests-lost": "swallowed", "hole": "silenced", "hole-reset": "silenced",
    "long-hole": "silenced", "answers-forgotten": "swallowed",
}


class Window:
    def __init__(self, fault, begin, end):
        self.fault, self.begin, self.end = fault, begin, end


def chosen(options, faults, draw):
    """All of them, each once a round, in an order of its own."""
    names = options.faults.split(",") if options.faults else list(faults)
    for _ in range(options.rounds):
        for name in draw.sample(names, len(names)):
            if name in faults:
                yield faults[name]


def do(proxy, fault, rest, load=None):
    """Has the fault happen, and then nothing for `rest` seconds."""
    before = proxy.counts[COUNTED[fault.name]]
    with load.hurried() if load else contextlib.nullcontext():
        begin = time.monotonic()
        proxy.set(fault.faults)
        if fault.faults.refuse:
            proxy.reset_all()
    time.sleep(fault.seconds)
    if fault.resets:
        proxy.reset_all()
    proxy.set(CALM)
    end = time.monotonic()
    print(f"  {fault.name}: {proxy.counts[COUNTED[fault.name]] - before} {COUNTED[fault.name]}", file=sys.stderr)
    if proxy.counts[COUNTED[fault.name]] == before:
        raise RoundFailure(f"{fault.name} met nothing: {dict(proxy.counts)}")
    time.sleep(rest)
    return Window(fault, begin, end)


def quiet_times(windows):
    ends = [window.begin for window in windows[1:]] + [time.monotonic()]
    return [(window.end + window.fault.recovery, end) for window, end in zip(windows, ends)]


def slowest(windows, answers):
    """By the fault during which the answer was asked for."""
    found = collections.defaultdict(float)
    for window in windows:
        for when, _, seconds, _ in answers:
            if window.begin <= when - seconds <= window.end:
                found[window.fault.name] = max(found[window.fault.name], seconds)
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.items())


# MARK: the proxy before PostgreSQL


def try_database(options, directory, seed):
    draw, app = random.Random(seed), f"net_{os.getpid()}_{seed}"
    port = postgres_port(options.url)
    configure(directory, REQUEST_TIMEOUT, CALL_TIMEOUT)
    with contextlib.ExitStack() as stack:
        receiver, called = stack.enter_context(Receiver()), stack.enter_context(CallReceiver())
        proxy = stack.enter_context(Proxy(("127.0.0.1", port), seed))
        url = re.sub(r":\d+/", f":{proxy.port}/", management_url(options.url, app))
        server = Server(options.rocket, directory, 0, url)
        stack.callback(server.kill)
        journal = Journal(directory / "journal.jsonl")
        make_app(Client(server.port, server.sign_in()), app, map(receiver.url, HOOKS), called.url(PATH))
        token = server.sign_in()
        load = Load(server.port, app, token, journal, seed, options.rate, LONGEST_DATABASE_ANSWER)
        load.start()
        stack.callback(load.end)
        time.sleep(2)
        windows, renewed = [], time.monotonic()
        for fault in chosen(options, DATABASE_FAULTS, draw):
            windows.append(do(proxy, fault, fault.recovery + 1, load))
            if server.process.poll() is not None:
                raise RoundFailure(f"the server ended by itself: {server.last_words()}")
            if time.monotonic() - renewed > 240:  # a token lasts for a quarter of an hour
                load.token, renewed = server.sign_in(), time.monotonic()
        load.end()
        held, problems = judge_connections(Postgres(options.url, "/"), server, proxy.port)
        if proxy.connections() != held:
            problems.append(f"PostgreSQL has {held} connections of the server's, and the proxy {proxy.connections()}")
        def start_again():
            another = Server(options.rocket, directory, 0, url)
            stack.callback(another.kill)
            return another

        server, drained, stuck = settle(server, app, options.drain_seconds, start_again)
        problems += stuck
        record = read(journal.path)
        world = World(Client(server.port, server.sign_in()), app, receiver.deliveries(), called.deliveries())
        problems += load.problems + judge_answers(load.answers, quiet_times(windows), LONGEST_DATABASE_ANSWER)
        problems += judge(record, world) + judge_efforts(record, WRITES, needs_unknown=not options.faults)
        refuse(problems)
        server.stop()
    came, did_not = landed(record, "item", world.rows["item"])
    statuses = collections.Counter(status for _, status, _, _ in load.answers)
    return [
        f"database: {len(windows)} faults, {dict(proxy.counts)}",
        f"{len(load.answers)} requests {dict(statuses)}; {figures(record)}",
        f"slowest: {slowest(windows, load.answers)}",
        f"of items of unknown fate {came} are there and {did_not} not; {len(world.told)} deliveries, "
        f"{len(world.instances)} workflows, drained in {drained:.0f} s; {held} connections",
    ]


# MARK: the proxy before a receiver

CALLED_ITEM = {
    "name": "item", "table": "items", "soft_delete": False,
    "primary_key": {"field": "id", "type": "uuid", "generated": True},
    "fields": [{"name": "id", "type": "uuid"}, {"name": "marker", "type": "string", "required": True}],
}


class Writers:
    """Threads that create items, one after the other."""

    def __init__(self, server, app, token, journal, count, pause, prefix=""):
        self.server, self.app, self.token, self.journal, self.pause = server, app, token, journal, pause
        self.prefix, self.lock, self.is_over = prefix, threading.Lock(), threading.Event()
        self.answers, self.bodies, self.problems = [], [], []
        self.threads = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        client = Client(self.server.port, self.token)
        for count in itertools.count():
            if self.is_over.wait(self.pause):
                return
            marker = f"{self.prefix}{number}-{count}"
            sent, begin = self.journal.sent("create", "item", marker, {"marker": marker}), time.monotonic()
            try:
                response = client.send("POST", f"/api/{self.app}/item", {"marker": marker})
                body = response.read()
            except OSError as error:
                self.journal.lost(sent, error)
                self.problems.append(f"{marker}: no answer after {time.monotonic() - begin:.1f} s: {error!r}")
                return
            more = {"id": json.loads(body)["data"]["id"]} if response.status == 201 else {}
            self.journal.answered(sent, response.status, body, **more)
            with self.lock:
                self.answers.append((time.monotonic(), response.status, time.monotonic() - begin, "create"))
                if response.status != 201:
                    self.bodies.append((marker, response.status, body))

    def end(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join()


@contextlib.contextmanager
def called_server(options, directory, seed, hooks):
    """A server on either store, with an app whose items are told through a proxy. `hooks` are (hook, path)."""
    app = f"calls_{os.getpid()}_{seed}"
    (directory / "app.yaml").write_text(
        f"webhooks:\n  timeout_s: {CALL_TIMEOUT}\n  sync_timeout_s: {SYNC_TIMEOUT}\n", encoding="utf-8"
    )
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        proxy = stack.enter_context(Proxy(("127.0.0.1", receiver.port), seed))
        url = management_url(options.url, app) if options.store == "postgres" else None
        server = Server(options.rocket, directory, 0, url)
        stack.callback(lambda: server.kill())
        admin = Client(server.port, server.sign_in())
        admin.call("POST", "/api/_platform/apps", {"name": app}, expect=201)
        admin.call("POST", f"/api/{app}/_admin/import", {"version": 1, "entities": [CALLED_ITEM]})
        ids = []
        for hook, path in hooks:
            webhook = {"entity": "item", "hook": hook, "url": f"http://127.0.0.1:{proxy.port}{path}"}
            if hook == "after_write":
                webhook["retry"] = {"max_attempts": 100, "backoff": "linear"}
            ids.append(admin.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)["data"]["id"])
        yield server, app, receiver, proxy, ids, Journal(directory / f"journal-{app}.jsonl")
        server.stop()


# Who writes waits for the calls of its own write and, on SQLite, for those of others, which is bounded by 10 s.
LONGEST_BEFORE_ANSWER = SYNC_TIMEOUT + WAIT + 2


def try_before(options, directory, seed):
    draw = random.Random(seed)
    with called_server(options, directory, seed, [("before_write", "/before")]) as (
        server, app, receiver, proxy, ids, journal,
    ):
        writers = Writers(server, app, server.sign_in(), journal, count=4, pause=0.02)
        time.sleep(1)
        # On SQLite those who wait in line do so for each other.
        windows = [do(proxy, fault, fault.recovery + 1) for fault in chosen(options, CALL_FAULTS, draw)]
        writers.end()
        record, admin = read(journal.path), Client(server.port, server.sign_in())
        rows = all_rows(admin, app, "item")
        problems = writers.problems + compare_rows(record.groups("item"), rows)
        problems += judge_answers(writers.answers, quiet_times(windows), LONGEST_BEFORE_ANSWER)
        problems += judge_refusals(writers, ids[0]) + judge_agreement(record, rows, receiver)
        problems += judge_quiet(writers.answers, quiet_times(windows))
        failed = [json.loads(body)["error"]["code"] for _, status, body in writers.bodies if status == 502]
        logged = {status: count_logs(admin, app, status) for status in ("delivered", "failed", "pending", "retrying")}
        # Each call has a row in the log, whether its write is there or not. One whose write the store refused at its
        # end was delivered all the same.
        is_whole = logged["failed"] == len(failed) and logged["delivered"] >= len(rows)
        if not is_whole or logged["pending"] or logged["retrying"]:
            problems.append(f"the log has {logged}, and {len(failed)} writes were answered 502, {len(rows)} are stored")
        if not failed or not record.count(ACKNOWLEDGED):
            problems.append(f"nothing was tried: {len(failed)} failed, {record.count(ACKNOWLEDGED)} acknowledged")
        refuse(problems)
    statuses = collections.Counter(status for _, status, _, _ in writers.answers)
    return [
        f"before: {len(windows)} faults, {dict(proxy.counts)}",
        f"{len(writers.answers)} writes {dict(statuses)}, {len(rows)} rows, {receiver.count} calls arrived; "
        f"log {logged}",
        f"slowest: {slowest(windows, writers.answers)}",
    ]


def judge_refusals(writers, webhook):
    """502 is WEBHOOK_FAILED and names the webhook; 503 is the line of those who wait."""
    problems = []
    for marker, status, body in writers.bodies:
        error = json.loads(body)["error"]
        details = error.get("details") or [{}]
        is_right = (
            status == 502 and error["code"] == "WEBHOOK_FAILED" and details[0].get("webhook_id") == webhook
        ) or (status == 503 and error["code"] == "UNAVAILABLE")
        if not is_right:
            problems.append(f"{marker}: answered {status} {body[:300].decode(errors='replace')}")
    return problems


def judge_agreement(record, rows, receiver):
    """What is stored was asked about, once."""
    asked, problems = collections.Counter(), []
    for delivery in receiver.deliveries():
        asked[json.loads(delivery.body)["record"]["marker"]] += 1
    problems += [f"{row['marker']} is stored, and nobody was asked" for row in rows if not asked[row["marker"]]]
    problems += [f"{marker} was asked about {count} times" for marker, count in asked.items() if count > 1]
    strange = asked.keys() - record.groups("item").keys()
    return problems + [f"{marker} was asked about and never sent" for marker in strange]


def judge_quiet(answers, quiet):
    """Where all is well again every write is stored."""
    failed = sum(status == 502 for begin, end in quiet for when, status, _, _ in answers if begin <= when < end)
    return [f"{failed} writes were 502 where all was well again for {RECOVERY_SECONDS} s"] if failed else []


def try_after(options, directory, seed):
    draw = random.Random(seed)
    hooks = [("after_write", path) for path in HOOKS]
    with called_server(options, directory, seed, hooks) as (server, app, receiver, proxy, ids, journal):
        writers = Writers(server, app, server.sign_in(), journal, count=4, pause=0.08)
        time.sleep(1)
        windows = [do(proxy, fault, 1) for fault in chosen(options, CALL_FAULTS, draw)]
        writers.end()
        drained = wait_until_drained(server, app, options.drain_seconds)
        record, admin = read(journal.path), Client(server.port, server.sign_in())
        rows = all_rows(admin, app, "item")
        problems = writers.problems + compare_rows(record.groups("item"), rows)
        # Whoever writes waits for no receiver.
        problems += judge_answers(writers.answers, [(0, time.monotonic())], 2)
        problems += [f"{marker}: {status} {body[:200]!r}" for marker, status, body in writers.bodies]
        events, strange = by_event(receiver.deliveries())
        problems += strange + judge_events(record.fates("item"), {row["marker"] for row in rows}, events)
        logs = {status: count_logs(admin, app, status) for status in ("delivered", "failed")}
        if logs != {"delivered": len(HOOKS) * len(rows), "failed": 0}:
            problems.append(f"the log has {logs}, and there are {len(rows)} rows for {len(HOOKS)} webhooks")
        again = sum(len(copies) > 1 for copies in events.values())
        attempts = sum(row["attempt"] > 1 for row in pages(admin, f"/api/{app}/_admin/webhook-logs"))
        if not rows or not attempts or (not options.faults and not again):
            problems.append(f"nothing was tried: {len(rows)} rows, {attempts} tried again, {again} arrived again")
        refuse(problems)
    return [
        f"after: {len(windows)} faults, {dict(proxy.counts)}",
        f"{len(rows)} rows for {len(HOOKS)} webhooks, {receiver.count} deliveries arrived; {attempts} were tried "
        f"again, {again} arrived more than once; the slowest write {max(a[2] for a in writers.answers):.2f} s; "
        f"drained in {drained:.0f} s",
    ]


PARTS = {"database": try_database, "before": try_before, "after": try_after}


def run_try(options, directory, seed):
    lines = []
    for part in [options.part] if options.part else PARTS:
        if part == "database" and options.store != "postgres":
            continue
        folder = directory / part
        folder.mkdir()
        try:
            lines += PARTS[part](options, folder, seed)
        except RoundFailure as failure:
            raise RoundFailure(f"{part}: {failure}") from failure
    return lines


def main():
    parser = tries.arguments(__doc__, tries=1)
    parser.add_argument("--part", choices=list(PARTS), help="default: all that apply")
    parser.add_argument("--rounds", type=int, default=1, help="each fault happens once in a round (default: 1)")
    parser.add_argument("--faults", default="", help="these alone, with commas between them")
    parser.add_argument("--rate", type=float, default=150, help="requests a second of the part database (default: 150)")
    parser.add_argument("--drain-seconds", type=float, default=300, help="to send and end what is left (default: 300)")
    options = parser.parse_args()
    known = DATABASE_FAULTS.keys() | CALL_FAULTS.keys()
    if options.faults and not set(options.faults.split(",")) <= known:
        parser.error(f"--faults: expected some of {', '.join(sorted(known))}")
    if options.part == "database" and options.store != "postgres":
        parser.error("--part database needs --store postgres")
    tries.run(
        parser, "network", run_try, lambda lines: "\n  ".join(lines),
        lambda store, good, all: f"{store}: {len(good)} of {all} tries went as they must",
    )


if __name__ == "__main__":
    main()
