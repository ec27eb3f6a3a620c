#!/usr/bin/env python3
"""Stops a Rocket server with SIGTERM while 38 connections are busy, again and again, and judges every request.

    scripts/stop_under_load.py [ROCKET] [--tries 20] [--seed 1]
    PGSAFE=1 scripts/with_postgres.sh scripts/stop_under_load.py --store postgres

32 connections create rows with keys of their own; 2 send their bodies in two parts with a pause between, 2 read slow
lists, and 2 read long answers slowly, as over a long way. All go on after the signal until nobody takes them any more.
It is a fault where the process does not end with 0 within `server.grace_s` and two seconds; where an acknowledged row
(201) is gone or differs; where a row is there whose request had no answer; where a request that was begun a while
before the signal has none, or half of one; where an answer is no 2xx, other than 503 to what was sent after the signal;
and where a webhook is not told of a row within a minute of the next start, or only after a pause as long as that of a
retry or a lease. It may be told twice; that is counted.
"""
import collections
import contextlib
import dataclasses
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import uuid

import tries
from kill9 import Client, RoundFailure, Server
from kill9_webhooks import count_logs, management_url, refuse
from webhook_receiver import Receiver

CREATORS, PARTERS, LISTERS = 32, 2, 2
OLD_ROWS = 10_000
# A long answer is far more than the kernel takes off the server's hands at once; it is read within three seconds.
LONG_ROWS, LONG_NOTE, WINDOW, PIECE, PIECE_PAUSE = 100, 150_000, 131_072, 65_536, 0.01
GRACE, MORE = 10, 2  # seconds: the default of server.grace_s, and what closing may take besides
PAUSE = 0.3  # seconds between the parts of a body
RECEIVER_DELAY = 0.05
DELIVERY_LIMIT = 60
# A retry waits for 30 s and a lease lasts as long: a delivery that waited for either comes after a pause like this.
LONGEST_PAUSE = 8
# What was sent later than this before the signal need not have been read by a busy server when the signal came.
JUST_BEFORE = 0.1
# Each of them sends 16 calls at once, so that the deliveries keep up with the creates.
LANES = 4
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
CREATE, PARTS, LIST, LONG = "create", "create in parts", "list", "long list"
# Outcomes besides a status.
UNANSWERED, TORN, REFUSED = "unanswered", "torn", "refused"
ITEM = {
    "name": "item",
    "table": "items",
    "soft_delete": False,
    "primary_key": {"field": "id", "type": "uuid", "generated": False},
    "fields": [
        {"name": "id", "type": "uuid"},
        {"name": "lane", "type": "int", "required": True},
        {"name": "note", "type": "text"},
    ],
}
OLD, LONGS = ITEM | {"name": "old", "table": "olds"}, ITEM | {"name": "long", "table": "longs"}
PATHS = {
    CREATE: "item", PARTS: "item", LIST: "old?filter%5Bnote.contains%5D=ab1c&sort=-note&per_page=100",
    LONG: f"long?per_page={LONG_ROWS}",
}


# MARK: requests


@dataclasses.dataclass(slots=True)
class Request:
    kind: str
    begun: float  # time.monotonic() before its first byte was sent
    sent: dict | None = None  # the body
    outcome: int | str = UNANSWERED  # the status, or why there is none
    answer: bytes = b""
    ended: float = 0.0

    @property
    def is_create(self):
        return self.kind in (CREATE, PARTS)


class Wire:
    """A keep-alive connection that tells a missing answer from half of one."""

    def __init__(self, port, token, kind):
        self.kind, self.plug = kind, socket.socket()
        self.plug.settimeout(GRACE + MORE + 5)
        if kind == LONG:
            self.plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        self.plug.connect(("127.0.0.1", port))
        self.plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.headers = f"Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"

    def send(self, method, path, body):
        head = f"{method} {path} HTTP/1.1\r\n{self.headers}Content-Length: {len(body)}\r\n\r\n".encode()
        middle = len(body) // 2 if self.kind == PARTS else len(body)
        # A server that has hung up may have answered before.
        with contextlib.suppress(OSError):
            self.plug.sendall(head + body[:middle])
            if self.kind == PARTS:
                time.sleep(PAUSE)
                self.plug.sendall(body[middle:])

    def receive(self):
        """The outcome and the body of an answer."""
        received = bytearray()
        try:
            while (end := received.find(b"\r\n\r\n")) < 0:
                self.read(received)
            length = LENGTH.search(received, 0, end + 4)
            if not length:
                raise RoundFailure(f"an answer without a length: {bytes(received[:300])!r}")
            whole = end + 4 + int(length.group(1))
            while len(received) < whole:
                self.read(received)
        except TimeoutError:
            raise
        except OSError:
            return (TORN if received else UNANSWERED), bytes(received)
        return int(received[9:12]), bytes(received[end + 4 : whole])

    def read(self, received):
        more = self.plug.recv(PIECE)
        if not more:
            raise ConnectionResetError
        received += more
        if self.kind == LONG:
            time.sleep(PIECE_PAUSE)

    def close(self):
        self.plug.close()


class Load:
    """All connections: each sends until nobody takes it any more."""

    def __init__(self, server, app, seed, slow_readers):
        self.port, self.token, self.app, self.seed = server.port, server.sign_in(), app, seed
        self.requests, self.problems = [], []
        kinds = [CREATE] * CREATORS + [PARTS] * PARTERS + [LIST] * LISTERS + [LONG] * slow_readers
        self.threads = [threading.Thread(target=self.work, args=(*place,)) for place in enumerate(kinds)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def join(self, seconds):
        end = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0, end - time.monotonic()))
        if any(thread.is_alive() for thread in self.threads):
            raise RoundFailure(f"a connection was still open {seconds} s after the server had ended")

    def work(self, number, kind):
        draw = random.Random(f"{self.seed}-{number}")
        requests = []
        try:
            while wire := self.connect(kind, requests):
                with contextlib.closing(wire):
                    while self.exchange(wire, kind, draw, requests):
                        pass
        except (OSError, RoundFailure, ValueError) as error:
            self.problems.append(f"a connection for {kind}: {error!r}")
        self.requests += requests  # one operation of the interpreter, so safe among threads

    def connect(self, kind, requests):
        begun = time.monotonic()
        try:
            return Wire(self.port, self.token, kind)
        except OSError:
            requests.append(Request(kind, begun, outcome=REFUSED, ended=time.monotonic()))
            return None

    def exchange(self, wire, kind, draw, requests):
        """One request. Returns whether the connection may be used again."""
        request = Request(kind, time.monotonic())
        requests.append(request)
        if request.is_create:
            request.sent = self.body(draw)
        body = json.dumps(request.sent).encode() if request.sent else b""
        wire.send("POST" if request.sent else "GET", f"/api/{self.app}/{PATHS[kind]}", body)
        request.outcome, answer = wire.receive()
        request.ended = time.monotonic()
        if request.is_create or request.outcome != 200:
            request.answer = answer
        return request.outcome not in (UNANSWERED, TORN)

    @staticmethod
    def body(draw):
        return {
            "id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
            "lane": draw.randrange(LANES),
            "note": "".join(draw.choices('äbc 1\n"', k=draw.randrange(500))),
        }


# MARK: the app


def make_app(server, app, receiver, seed):
    client, draw = Client(server.port, server.sign_in()), random.Random(f"{seed}-old")
    client.call("POST", "/api/_platform/apps", {"name": app}, expect=201)

    def rows(count, length):
        notes = ("".join(draw.choices("abc1", k=200)) * (length // 200) for _ in range(count))
        return [{"id": str(uuid.UUID(int=draw.getrandbits(128), version=4)), "lane": 0, "note": note} for note in notes]

    longs = rows(LONG_ROWS, LONG_NOTE)
    parts = [{"old": rows(OLD_ROWS, 200)}, {"long": longs[::2]}, {"long": longs[1::2]}]  # a body has its bound
    for number, part in enumerate(parts):
        document = {"version": 1, "entities": [] if number else [ITEM, OLD, LONGS], "sample_data": part}
        client.call("POST", f"/api/{app}/_admin/import", document)
    for lane in range(LANES):
        webhook = {
            "entity": "item", "hook": "after_write", "url": receiver.url(f"/{lane}"),
            "condition": f"record.lane == {lane}",
        }
        client.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)


def stored_rows(client, app):
    rows = {}
    for page in itertools.count(1):
        answer = client.call("GET", f"/api/{app}/item?per_page=100&count=none&page={page}")
        rows |= {row["id"]: row for row in answer["data"]}
        if not answer["data"]:
            return rows


# MARK: judging


def judge_requests(requests, signalled):
    problems = []
    for request in requests:
        name = f"{request.kind} {request.sent['id'] if request.sent else ''}".strip()
        begun, ended = ((instant - signalled) * 1000 for instant in (request.begun, request.ended))
        when = f"begun {begun:+.0f} ms and ended {ended:+.0f} ms from the signal"
        is_after, good = request.begun >= signalled, 201 if request.is_create else 200
        if request.outcome == TORN:
            length = LENGTH.search(request.answer)
            part = f"{len(request.answer)} bytes, of a body of {length.group(1).decode() if length else '?'}"
            problems.append(f"{name} has HALF AN ANSWER ({part}), {when}")
        elif request.outcome == REFUSED:
            if not is_after:
                problems.append(f"{name}: no connection, {when}")
        elif request.outcome == UNANSWERED:
            if request.begun < signalled - JUST_BEFORE:
                problems.append(f"{name} has NO ANSWER, {when}")
        elif request.outcome != good and not (request.outcome == 503 and is_after):
            problems.append(f"{name} was answered {request.outcome}, {when}: {request.answer[:200]!r}")
    return problems


def judge_rows(requests, rows):
    problems = []
    creates = {request.sent["id"]: request for request in requests if request.sent}
    for id, request in creates.items():
        if request.outcome == 201:
            answered = json.loads(request.answer)["data"]
            if id not in rows:
                problems.append(f"{id} ({request.kind}) was acknowledged and is LOST")
            elif rows[id] != answered:
                problems.append(f"{id} differs from its answer: {answered} became {rows[id]}"[:400])
            elif any(answered[name] != value for name, value in request.sent.items()):
                problems.append(f"{id} has other values than were sent: {answered}"[:400])
        elif id in rows:
            problems.append(f"{id} ({request.kind}) is stored, and its writer was told: {request.outcome}")
    problems += [f"{id} is stored and was never sent" for id in rows if id not in creates]
    return problems


def wait_for_deliveries(receiver, ids, limit):
    """Waits until all are there, and a little longer. Returns what arrived, by the rows' ids."""
    end = time.monotonic() + limit
    known, arrived = 0, collections.defaultdict(list)
    while ids - arrived.keys() and time.monotonic() < end:
        time.sleep(0.2)
        deliveries = receiver.deliveries()
        for delivery in deliveries[known:]:
            arrived[json.loads(delivery.body)["record"]["id"]].append(delivery)
        known = len(deliveries)
    return arrived


def judge_deliveries(arrived, rows, restarted):
    problems = []
    missing = sorted(rows.keys() - arrived.keys())
    problems += [f"{id} is stored, and nobody was told within {DELIVERY_LIMIT} s" for id in missing]
    for id, copies in arrived.items():
        if id not in rows:
            problems.append(f"the receiver was told of {id}, which is NOT STORED")
        if len({(copy.id, copy.body, copy.path) for copy in copies}) > 1:
            problems.append(f"{id} was told in copies that differ")
    instants = sorted([restarted, *(copy.at for copies in arrived.values() for copy in copies if copy.at > restarted)])
    pauses = [(later - sooner, sooner) for sooner, later in itertools.pairwise(instants)]
    problems += [
        f"a delivery came after a pause of {pause:.1f} s, {since - restarted:.1f} s after the start"
        for pause, since in pauses if pause > LONGEST_PAUSE
    ]
    return problems


# MARK: a try


@dataclasses.dataclass
class Try:
    outcomes: collections.Counter
    unanswered: int  # requests that were cut off, and not carried out
    unavailable: int
    stop: float
    rows: int
    left: int  # rows that nobody had been told of when the process ended
    last: float  # seconds from the restart to the last first delivery
    again: int  # deliveries beyond the first of a row
    running: int  # requests that the signal came in the middle of, and that were answered
    after: int  # requests that were begun after the signal and answered 2xx

    def line(self):
        return (
            f"{sum(self.outcomes.values())} requests, {self.rows} rows, {self.unanswered} cut off, "
            f"{self.unavailable} × 503; {self.running} ran at the signal, {self.after} more were served after it; "
            f"stopped in {self.stop * 1000:.0f} ms; {self.left} left to tell, told {self.last:.1f} s after the start, "
            f"{self.again} again"
        )


def stop(server):
    """Sends the signal and waits for the end. Returns when the signal was sent, and how long the end took."""
    signalled = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    try:
        status = server.process.wait(timeout=GRACE + MORE)
    except subprocess.TimeoutExpired:
        raise RoundFailure(f"the server had not stopped {GRACE + MORE} s after SIGTERM") from None
    seconds = time.monotonic() - signalled
    server.log.close()
    if status != 0:
        raise RoundFailure(f"the server ended with {status} after SIGTERM: {server.last_words()}")
    return signalled, seconds


def run_try(options, directory, seed):
    """One stop. Raises RoundFailure with what was wrong."""
    draw, app = random.Random(seed), f"stop_{os.getpid()}_{seed}"
    url = management_url(options.url if options.store == "postgres" else None, app)
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver(delay=RECEIVER_DELAY))
        server = Server(options.rocket, directory, 0, url)
        stack.callback(lambda: server.kill())
        make_app(server, app, receiver, seed)
        load = Load(server, app, seed, options.slow_readers)
        load.start()
        time.sleep(draw.uniform(0.5, 2))
        if server.process.poll() is not None:
            raise RoundFailure(f"the server ended by itself with {server.process.returncode}: {server.last_words()}")
        signalled, seconds = stop(server)
        load.join(GRACE)
        told = {json.loads(delivery.body)["record"]["id"] for delivery in receiver.deliveries()}

        restarted = time.monotonic()
        server = Server(options.rocket, directory, 0, url)
        client = Client(server.port, server.sign_in())
        rows = stored_rows(client, app)
        arrived = wait_for_deliveries(receiver, rows.keys(), DELIVERY_LIMIT - (time.monotonic() - restarted))
        time.sleep(0.5)  # for copies
        left = {status: count_logs(client, app, status) for status in ("pending", "retrying", "failed")}
        problems = load.problems + judge_requests(load.requests, signalled) + judge_rows(load.requests, rows)
        problems += judge_deliveries(arrived, rows, restarted)
        if any(left.values()):
            problems.append(f"the log of the webhooks says {left}")
        stop(server)
        refuse(problems)
    outcomes = collections.Counter(request.outcome for request in load.requests)
    served = [request for request in load.requests if request.outcome in (200, 201) and request.ended > signalled]
    firsts = [min(copy.at for copy in copies) for copies in arrived.values()]
    return Try(
        outcomes, outcomes[UNANSWERED], outcomes[503], seconds, len(rows), len(rows.keys() - told),
        max(0, max(firsts, default=0) - restarted), receiver.count - len(arrived),
        sum(request.begun <= signalled for request in served),
        sum(request.begun > signalled for request in served),
    )


def summary(store, runs, asked):
    total = sum((each.outcomes for each in runs), collections.Counter())
    statuses = {outcome: count for outcome, count in sorted(total.items(), key=str) if isinstance(outcome, int)}
    answered, more = sum(statuses.values()), ", ".join(f"{count} × {status}" for status, count in statuses.items())
    sums = {name: sum(getattr(each, name) for each in runs) for name in ("running", "rows", "left", "again")}
    most = {name: max(getattr(each, name) for each in runs) for name in ("stop", "last", "again")}
    return "\n".join([
        f"{store}: {len(runs)} of {asked} tries good, slowest stop {most['stop'] * 1000:.0f} ms",
        f"  {answered + total[UNANSWERED]} requests, {answered} answered ({more}), {sums['running']} of them ran at "
        f"the signal; {total[UNANSWERED]} cut off, none of them carried out; {total[REFUSED]} connects refused",
        f"  {sums['rows']} rows, {sums['left']} left to tell at the stop, all told at most {most['last']:.1f} s after "
        f"the start, {sums['again']} told again (at most {most['again']} a try)",
    ])


def main():
    parser = tries.arguments(__doc__, 20)
    parser.add_argument("--slow-readers", type=int, default=2, help="of long answers (default: 2)")
    tries.run(parser, "stop", run_try, lambda result: result.line(), summary)


if __name__ == "__main__":
    main()
