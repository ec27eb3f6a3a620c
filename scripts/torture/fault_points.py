#!/usr/bin/env python3
"""Has the server end or lose answers at its fault points under the load of 16 connections, and reads the journal.

    scripts/torture/fault_points.py --deaths 3                              SQLite, the short form: under a minute
    scripts/torture/fault_points.py                                         SQLite, the full form: 20 deaths a point
    PGSAFE=1 scripts/with_postgres.sh scripts/torture/fault_points.py --store postgres
    … --points after-commit,mix                                             these alone

ROCKET_FAULTS (Sources/RocketEngine/Faults/FaultPoints.swift) makes a server kill itself behind a commit (after-commit),
before an answer (before-answer), and behind a call of a workflow's step or a delivery (after-step-effect), and close a
connection instead of answering (answer-lost). First a server starts on nothing and gets its app while commits kill it;
then one point after the other is in force, and a mix of all, each until the server has ended itself `--deaths` times.
Whenever it ends it is started again, as an init system would. The load is that of postgres_stops.py, which all
connections send at the same instants: rows, nested rows and batches, some of them again and again under an
Idempotency-Key until they are answered; changes under If-Match; webhooks; a workflow of a step that is a transaction,
one that calls, and one that is a transaction. At the end a server without faults does what is left, and the journal
is compared with what is there and with what the receivers heard. It is a fault

- where something acknowledged is lost, something is half done, or something is there twice that must be once: a row
  of an Idempotency-Key, a step that is a transaction; where a call or delivery has not come, or has come with two ids
- where a key that is sent again at the end gives anything but the first answer
- where a connection breaks and no point explains it; where an answer is none of those that the request may have, which
  503 is not: nothing is wrong with the database
- where the server ends by itself in another way than SIGKILL; where a start fails that nothing killed, or where no
  start succeeds; where SQLite calls a file damaged; where connections of dead servers stay in PostgreSQL
- where a point never fired, or left no trace of what it is for: fewer calls that came again than there were deaths
  behind calls; no write that is there and was not answered behind commits and before answers; no first answer that was
  given again after one was lost
"""
import argparse
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import tries
from faulty_machine import clean_environment
from journal import ACKNOWLEDGED, UNKNOWN, Journal, by_key, figures, read
from kill9 import Client, RoundFailure, Server, free_port
from kill9_webhooks import HOOKS, management_url, refuse
from kill9_workflows import PATH, CallReceiver
from outage import Postgres
from postgres_stops import (
    LONGEST_ANSWER, SIGN_IN_SECONDS, WRITES, Load, World, add_calls, configure, define, judge, judge_answers,
    judge_connections, judge_efforts, postgres_port, settle,
)
from webhook_receiver import Receiver

# How often each ends a server that is asked 120 times a second after about a second: the first guess.
RATES = {"after-commit": 0.0015, "before-answer": 0.008, "after-step-effect": 0.01}
ANSWER_LOST, MIX, START = "answer-lost", "mix", "start"
LOST_RATE = 0.05
POINTS = [*RATES, MIX, ANSWER_LOST]  # the last leaves nothing behind, so that leases of the others run out meanwhile
LOST_ANSWERS = 10  # for each death of the other points
FALLING = 0.8  # how much less often a commit kills the first start after each kill, beginning with always
MOST_STARTS = 100
LONGEST_LIFE = 12  # times as long as it should be
DEATH_SECONDS = 3  # until a process that broke a connection has ended for everybody
RESENT = 40
EVIDENT = 10  # deaths of which some must have met a write


# MARK: a server that ends itself


class KilledAtStart(Exception):
    """It ended itself before it was ready."""


class FaultyServer(Server):
    """With points in force. Its start may be what they end."""

    def __init__(self, rocket, directory, port, database_url, faults):
        self.port = port
        self.log = open(directory / "server.log", "a", encoding="utf-8")
        where = ["--database-url", database_url] if database_url else ["--data-dir", directory / "data"]
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [rocket, "serve", "--port", str(port), *where], cwd=directory, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, env=clean_environment() | {"ROCKET_LOG_LEVEL": "warning", "ROCKET_FAULTS": faults},
        )
        try:
            self.ready_seconds = self.wait_until_ready(begin)
        except RoundFailure:
            if self.process.returncode == -signal.SIGKILL and time.monotonic() - begin < 30:
                self.log.close()
                raise KilledAtStart from None
            raise


def wait_until_dead(server, seconds):
    """Whether it ended itself in time, as the points do."""
    try:
        status = server.process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    if status != -signal.SIGKILL:
        raise RoundFailure(f"the server ended by itself with {status}: {server.last_words()}")
    server.log.close()
    return True


class Phase:
    """The time of one point, or of a mix of all, and what came of it."""

    def __init__(self, name, life):
        self.name, self.life = name, life
        self.deaths = self.killed_starts = self.lost = 0
        self.idle = 0  # how often in a row nothing happened
        self.begin = self.end = 0.0  # time.time()
        # So that the first rate is the guess, and the next ones would have ended it every `life` seconds so far.
        self.exposure = life

    @property
    def loses_answers(self):
        return self.name in (ANSWER_LOST, MIX)

    @property
    def ends_servers(self):
        return self.name != ANSWER_LOST

    @property
    def share(self):
        """Of the first rates, that are in force next."""
        return self.exposure / self.life / (1 + self.deaths + self.killed_starts)

    def faults(self):
        names = list(RATES) if self.name == MIX else [self.name] if self.ends_servers else []
        rates = [f"{name}={min(1, RATES[name] * self.share / len(names)):.7f}" for name in names]
        return ",".join(rates + [f"{ANSWER_LOST}={LOST_RATE}"] * self.loses_answers)

    def has(self, at):
        return self.begin <= at < self.end


# MARK: load


class FaultyLoad(Load):
    """All connections send at the same instants, so that a server that ends has all of them to do."""

    server, phase = None, None

    def next_due(self, last):
        return (time.monotonic() // self.interval + 1) * self.interval

    def explains(self, error, kills, is_answered):
        phase = self.phase
        lost = phase and phase.loses_answers and not is_answered and isinstance(error, ConnectionError)
        patience = time.monotonic() + (0.2 if lost and phase.ends_servers else 0 if lost else DEATH_SECONDS)
        while True:
            if super().explains(error, kills, is_answered) or self.server.process.poll() is not None:
                return True
            if time.monotonic() >= patience:
                break
            time.sleep(0.01)
        with self.lock:
            if lost:
                phase.lost += 1
        return lost


# MARK: a run


class Run:
    """A store, the servers on it one after the other, and the load on them."""

    def __init__(self, options, directory, seed):
        self.options, self.directory, self.seed = options, directory, seed
        self.app, self.port, self.phases = f"faults_{os.getpid()}_{seed}", free_port(), []
        self.url = management_url(options.url, self.app) if options.store == "postgres" else None
        self.server, self.load, self.signed_in = None, None, 0.0

    def start_well(self):
        self.server = Server(self.options.rocket, self.directory, self.port, self.url)
        return self.server

    def start(self, phase, faults):
        """As often as it takes."""
        for _ in range(MOST_STARTS):
            try:
                self.server = FaultyServer(self.options.rocket, self.directory, self.port, self.url, faults())
                return
            except KilledAtStart:
                phase.killed_starts += 1
        raise RoundFailure(f"{phase.name}: {MOST_STARTS} starts in a row were killed")

    # MARK: the first start

    def begin_on_nothing(self, hooks, call):
        """The first start, and an app with its definitions, while commits end the server."""
        phase = Phase(START, 1)
        self.start(phase, lambda: f"after-commit={FALLING ** phase.killed_starts}")
        if not phase.killed_starts:
            raise RoundFailure("no commit killed the first start")
        self.server.kill()
        before = phase.killed_starts

        def make_faults():
            return f"after-commit={FALLING ** (phase.deaths + phase.killed_starts - before)}"

        self.start(phase, make_faults)
        for _ in range(MOST_STARTS):
            try:
                client = PatientClient(self.port, self.server.sign_in(), phase)
                if not self.is_free(client):
                    self.app = f"{self.app}x"
                define(client, self.app)
                break
            except (OSError, http.client.HTTPException):
                if not wait_until_dead(self.server, DEATH_SECONDS):
                    raise RoundFailure("a connection to a server that lives failed") from None
                phase.deaths += 1
                self.start(phase, make_faults)
        else:
            raise RoundFailure(f"no app could be made in {MOST_STARTS} attempts")
        self.server.kill()
        self.start_well()
        add_calls(Client(self.port, self.server.sign_in()), self.app, hooks, call)
        if not phase.deaths:
            raise RoundFailure("no commit killed the making of an app")
        self.say(phase)

    def is_free(self, client):
        """Whether the app is there or can be made.

        On PostgreSQL another server might still be at what a dead one began, so that the name is held for ten minutes
        (docs/operations.md), and this run takes another one.
        """
        if self.options.store == "sqlite":
            return True
        response = client.send("POST", "/api/_platform/apps", {"name": self.app})
        response.read()
        if response.status == 201:
            return True
        response = client.send("GET", f"/api/{self.app}/_admin/entities")
        response.read()
        return response.status == 200

    def begin_load(self, journal):
        token, self.signed_in = self.server.sign_in(), time.monotonic()
        self.load = FaultyLoad(self.port, self.app, token, journal, self.seed, self.options.rate)
        self.load.server = self.server
        self.load.start()

    # MARK: a phase

    def go(self, name):
        phase = Phase(name, self.options.life)
        self.phases.append(phase)
        phase.begin, self.load.phase = time.time(), phase
        self.bury()
        self.live(phase)
        while self.is_wanted(phase):
            self.watch(phase)
        phase.end = time.time()
        self.say(phase)

    def is_wanted(self, phase):
        if phase.ends_servers:
            return phase.deaths < self.options.deaths
        return phase.lost < LOST_ANSWERS * self.options.deaths

    def live(self, phase):
        """Starts the server and lets the load at it."""
        self.start(phase, phase.faults)
        self.load.server, self.load.is_server_down = self.server, False
        if time.monotonic() - self.signed_in > SIGN_IN_SECONDS:
            with contextlib.suppress(OSError, http.client.HTTPException):  # the next life is another chance
                self.load.token, self.signed_in = self.server.sign_in(), time.monotonic()

    def watch(self, phase):
        """Until it ends itself and is started again, or until it is plain that it does not."""
        begin, share, lost = time.monotonic(), phase.share, phase.lost
        is_dead = wait_until_dead(self.server, phase.life * (LONGEST_LIFE if phase.ends_servers else 3))
        phase.exposure += share * (time.monotonic() - begin)
        if is_dead and not phase.ends_servers:
            raise RoundFailure("the server was killed, and only answers were to be lost")
        phase.deaths += is_dead
        phase.idle = 0 if is_dead or (not phase.ends_servers and phase.lost > lost) else phase.idle + 1
        if phase.idle > 3:
            raise RoundFailure(f"{phase.name}: {phase.deaths} deaths, {phase.lost} lost answers, and then none")
        if is_dead or phase.ends_servers:
            self.bury()
            time.sleep(0.05)
            self.live(phase)

    def bury(self):
        """What the load is told of the end of a server, which is killed where it lives."""
        self.load.is_server_down = True
        self.load.kills += 1
        if not wait_until_dead(self.server, 0):
            self.server.kill()

    def say(self, phase):
        print(
            f"  {phase.name}: {phase.deaths} deaths, {phase.killed_starts} starts killed, {phase.lost} answers lost",
            file=sys.stderr,
        )


class PatientClient(Client):
    """Makes what may have been made by a request whose answer was lost."""

    def __init__(self, port, token, phase):
        super().__init__(port, token)
        self.phase = phase

    def call(self, method, path, body=None, expect=200):
        try:
            return super().call(method, path, body, expect)
        except RoundFailure as failure:
            if ": 409 " in str(failure) and path == "/api/_platform/apps":
                return None
            raise


def run_try(options, directory, seed):
    """Returns lines that say what happened; raises RoundFailure with what was wrong."""
    configure(directory)
    with contextlib.ExitStack() as stack:
        receiver, called = stack.enter_context(Receiver()), stack.enter_context(CallReceiver())
        journal, run = Journal(directory / "journal.jsonl"), Run(options, directory, seed)
        stack.callback(lambda: run.server and run.server.process.poll() is None and run.server.kill())
        run.begin_on_nothing(map(receiver.url, HOOKS), called.url(PATH))
        run.begin_load(journal)
        stack.callback(run.load.end)
        for name in options.points:
            run.go(name)
        run.bury()
        run.load.end()
        run.server, drained, problems = settle(run.start_well(), run.app, options.drain_seconds, run.start_well)
        if options.store == "postgres":
            problems += judge_connections(Postgres(options.url, "/"), run.server, postgres_port(options.url))[1]
        client = Client(run.server.port, run.server.sign_in())
        resent, wrong = judge_keys(client, run.app, read(journal.path), random.Random(seed))
        record = read(journal.path)
        world = World(client, run.app, receiver.deliveries(), called.deliveries())
        traces = {phase.name: Traces(phase, record, world) for phase in run.phases}
        problems += wrong + run.load.problems + judge_answers(run.load.answers, [], LONGEST_ANSWER)
        problems += judge(record, world) + judge_statuses(run.load.answers)
        problems += judge_efforts(record, WRITES, needs_unknown=True) + judge_traces(run.phases, traces)
        run.server.stop()
        problems += judge_files(directory / "data") if options.store == "sqlite" else []
        refuse(problems)
    return describe(run, record, world, traces, resent, drained)


# MARK: judging


class Traces:
    """What a phase left behind that only its point explains."""

    def __init__(self, phase, record, world):
        there = {name: {row["marker"] for row in world.rows[name]} for name in ("item", "parent", "job")}
        within = [operation for operation in record.operations if phase.has(operation.at)]
        # Of what was sent once.
        self.landed = sum(
            operation.fate == UNKNOWN and not operation.key and operation.marker in there.get(operation.entity, ())
            for operation in within
        )
        # Of what was sent until it was answered: the first answer that came was one that had been lost.
        self.replayed = 0
        for group in by_key(record).values():
            first = next((operation for operation in group if operation.fate == ACKNOWLEDGED), None)
            self.replayed += bool(first and first.is_replayed and phase.has(first.at))
        self.again = came_again(phase, [*world.told, *world.deliveries])


def came_again(phase, deliveries):
    """Of the calls that arrived in a phase, how many came once more."""
    ahead = time.time() - time.monotonic()
    arrivals = collections.defaultdict(list)
    for delivery in deliveries:
        arrivals[delivery.id].append(delivery.at + ahead)
    return sum(phase.has(at) for instants in arrivals.values() for at in sorted(instants)[:-1])


def judge_traces(phases, traces):
    problems = []
    for phase in phases:
        trace, is_long = traces[phase.name], phase.deaths >= EVIDENT
        if phase.name == "after-step-effect" and trace.again < phase.deaths:
            problems.append(f"{phase.deaths} deaths behind calls, and {trace.again} of them came again: NOT DONE AGAIN")
        if phase.name in ("after-commit", "before-answer", MIX) and is_long and not trace.landed + trace.replayed:
            problems.append(f"{phase.name}: {phase.deaths} deaths, and no write was stored without an answer")
        if phase.name == ANSWER_LOST and not (trace.landed and trace.replayed):
            problems.append(
                f"{phase.lost} answers were lost; {trace.landed} of their writes are there, {trace.replayed} replayed"
            )
        if phase.name == MIX and is_long and not phase.lost:
            problems.append(f"{MIX}: no answer was lost")
    return problems


def judge_statuses(answers):
    """The database was there all the time."""
    kinds = collections.Counter(kind for _, status, _, kind in answers if status == 503)
    return [f"{sum(kinds.values())} answers were 503: {dict(kinds)}"] if kinds else []


def judge_keys(client, app, record, draw):
    """Sends some once more. Returns how many, and what is wrong; whether rows come of it is seen among the rows."""
    known = [
        group[0] for group in by_key(record).values() if group[0].kind in ("keyed", "keyed_nested")
        and any(operation.fate == ACKNOWLEDGED for operation in group)
    ]
    ids = {operation.key: operation.id for operation in record.operations if operation.key and operation.id}
    chosen, problems = draw.sample(known, min(RESENT, len(known))), []
    for operation in chosen:
        client.headers["Idempotency-Key"] = operation.key
        response = client.send("POST", f"/api/{app}/{operation.entity}", operation.body)
        body = response.read()
        id = json.loads(body)["data"]["id"] if response.status == 201 else None
        is_replayed = response.headers.get("Idempotency-Replayed") == "true"
        if not is_replayed or id != ids.get(operation.key, id) or id is None:
            said = body[:300].decode(errors="replace")
            problems.append(f"{operation.marker} sent again at the end: {response.status}, {is_replayed=}, {said}")
    del client.headers["Idempotency-Key"]
    if not chosen:
        problems.append("no key was sent again at the end")
    return len(chosen), problems


def judge_files(data):
    """What SQLite says of them, when the server has ended."""
    problems, files = [], sorted(data.rglob("*.db"))
    for file in files:
        try:
            with contextlib.closing(sqlite3.connect(file)) as database:
                found = [row[0] for row in database.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            found = [str(error)]
        problems += [f"{file.name}: {line}" for line in found if line != "ok"]
    return problems if len(files) > 1 else ["there are no files to be looked at"]


def describe(run, record, world, traces, resent, drained):
    statuses = collections.Counter(status for _, status, _, _ in run.load.answers)
    rows = {name: len(world.rows[name]) for name in ("item", "parent", "line", "job")}
    lines = [
        f"{phase.name}: {phase.deaths} deaths in {phase.end - phase.begin:.0f} s, {phase.killed_starts} starts killed, "
        f"{phase.lost} answers lost; {traces[phase.name].landed} writes are there that were not answered, "
        f"{traces[phase.name].replayed} were answered when they were sent again, {traces[phase.name].again} calls came "
        "again"
        for phase in run.phases
    ]
    return [
        *lines,
        f"{len(run.load.answers)} requests {dict(statuses)}, the slowest {max(a[2] for a in run.load.answers):.1f} s; "
        + figures(record),
        f"rows {rows}; {len(world.told)} deliveries, {len(world.instances)} workflows, drained in {drained:.0f} s; "
        f"{resent} keys sent again at the end",
    ]


def main():
    parser = tries.arguments(__doc__, tries=1)
    parser.add_argument("--deaths", type=int, default=20, help="of each point: 20 is the full form, 3 the short one")
    parser.add_argument("--life", type=float, default=1, help="seconds that a server lives on average (default: 1)")
    parser.add_argument("--points", default=",".join(POINTS), type=points, help=f"of {', '.join(POINTS)}")
    parser.add_argument("--rate", type=float, default=120, help="requests a second of all connections (default: 120)")
    parser.add_argument("--drain-seconds", type=float, default=240, help="to send and end what is left (default: 240)")
    tries.run(
        parser, "faults", run_try, lambda lines: "\n  ".join(lines),
        lambda store, good, all: f"{store}: {len(good)} of {all} tries lost nothing and did nothing twice",
    )


def points(text):
    names = text.split(",")
    if not set(names) <= set(POINTS):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(POINTS)}, got {text}")
    return names


if __name__ == "__main__":
    main()
