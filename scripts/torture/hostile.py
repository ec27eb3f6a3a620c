#!/usr/bin/env python3
"""Sends bad input to every surface of a Rocket server, and looks what it makes of it.

    scripts/torture/hostile.py [ROCKET] [--quick] [--seed 1] [--only bodies,values]
    scripts/with_postgres.sh scripts/torture/hostile.py [ROCKET] --store postgres

The documents, strings and numbers of corpus.py go to every route of Tests/RocketServerTests/access-matrix.txt (a route
that is not driven is a failure): as the whole body, as the value of each member of a body that is right otherwise, in
every header that the server reads, in every parameter and every part of a path; as an administrator, as a user, without
a token. Then HTTP itself is abused over raw sockets. Wrong is

- an answer of 500 or above, none at all, one later than 2 seconds, one without the error envelope, one that tells of
  SQL, files or stacks; the end of the process; a line of an error in its log
- a request accepted that must be refused (what is no JSON, a bad framing, a type that can't hold the value), or a value
  that is stored as another one; a status that the matrix does not give who asks
- a request with no Host or with two, or with two lengths, that gets anything but one 400 and the end of its connection
- a connection that ends without a word, or goes on though its client asked for the end or for another protocol
- a refused request that changed a row: the rows of the app and of the platform are compared before and after it
- a slow client that is kept longer than the server's deadlines, or that others feel
- memory that grows by more than GROWTH_MB while the worst of it is repeated

--quick does a sample of it within a minute: every route, header, parameter and part of a path, but not with everything,
and a quarter of the places in bodies. Only the whole run waits for the deadline of a request's head, a minute.

What is tried is in the folder hostile, a file for each part (try_*.py) and one for each thing that they have in common.
"""
import contextlib
import pathlib
import re
import subprocess
import sys
import time

TORTURE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = map(str, (TORTURE / "hostile", TORTURE, TORTURE.parent))

import corpus
import tries
from app import APP
from judge import Judge, alive
from kill9 import RoundFailure, Server
from routes import routes
from rows import PostgresRows, SQLiteRows
from slow_clients import BODY_SECONDS, SlowClients
from stage import Stage
from try_abuse import try_abuse
from try_bodies import try_bodies
from try_forms import try_forms
from try_headers import try_headers
from try_memory import memory_megabytes, try_memory
from try_parameters import try_parameters
from try_paths import try_paths
from try_values import try_values
from webhook_receiver import Receiver

PARTS = {
    "bodies": try_bodies, "values": try_values, "headers": try_headers, "parameters": try_parameters,
    "paths": try_paths, "forms": try_forms, "abuse": try_abuse, "memory": try_memory
}
SHARES = {  # of each part, where it must be quick
    "bodies": 0.015, "values": 0.02, "headers": 0.3, "parameters": 0.03, "paths": 0.02, "forms": 0.2, "abuse": 0.5,
    "memory": 0.5
}


def run_try(options, directory, seed):
    """Returns how many requests were answered; raises RoundFailure with all that was wrong."""
    configure(directory)
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        server = start_server(stack, options, directory)
        judge = Judge(server, directory, None, seed)
        stage = Stage(judge, receiver)
        stage.open_rows(open_rows(stack, options, directory))
        tried, memory = routes(), [memory_megabytes(judge)]
        slow = SlowClients(judge, 4 if options.quick else 10, not options.quick)
        for name in options.only or PARTS:
            run_part(judge, stage, tried, name, SHARES[name] if options.quick else options.share)
            memory.append(memory_megabytes(judge))
        print(f"  slow clients were kept: {slow.end()}", flush=True)
        if not options.only:
            judge_whole(judge, tried)
        judge_life(judge, stage)
        server.stop()
        judge_log(judge, directory)
    print(summary(judge, memory, time.monotonic() - begin), flush=True)
    if judge.problems:
        lines = [f"{kind} ({count} times): {text}"[:900] for kind, (text, count) in judge.problems.items()]
        raise RoundFailure(f"{len(lines)} kinds of wrong answers:\n" + "\n".join(lines))
    return sum(judge.statuses.values())


def configure(directory):
    (directory / "app.yaml").write_text(
        f"server:\n  request_timeout_s: {BODY_SECONDS}\ndatabase:\n  synchronous: normal\n"
        f"auth:\n  bcrypt_cost: 4\n  failures_per_account: 1000000\n  failures_per_address: 1000000\n",
        encoding="utf-8"
    )


def start_server(stack, options, directory):
    url = None
    if options.store == "postgres":
        clear_postgres(options.url)
        url = re.sub(r"/[^/]*$", "/rocket", options.url)
    server = Server(options.rocket, directory, 0, url)
    stack.callback(server.kill)
    return server


def clear_postgres(url):
    """Each try begins with nothing."""
    for name in ("rocket", f"rocket_{APP}", "rocket_elsewhere"):
        subprocess.run(
            ["psql", url, "-XAqc", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'], check=True, capture_output=True
        )


def open_rows(stack, options, directory):
    if options.store == "sqlite":
        return SQLiteRows(directory)
    rows = PostgresRows(options.url)
    stack.callback(rows.close)
    return rows


def run_part(judge, stage, tried, name, share):
    begin, answered, probed = time.monotonic(), sum(judge.statuses.values()), sum(judge.positions.values())
    note = PARTS[name](judge, stage, tried, share)
    alive(judge, name)
    probes = sum(judge.positions.values()) - probed
    if not probes:
        judge.wrong(f"{name} tried nothing", "")
    print(
        f"  {name}: {probes} probes, {sum(judge.statuses.values()) - answered} answers in "
        f"{time.monotonic() - begin:.0f} s, then {memory_megabytes(judge):.0f} MB{'; ' + note if note else ''}",
        flush=True
    )


def judge_whole(judge, tried):
    """A run that has left something out is none."""
    missing = [str(route) for route in tried if not judge.driven[str(route)]]
    if missing:
        judge.wrong("routes that were not driven", ", ".join(missing))
    if not judge.refused_and_compared:
        judge.wrong("no refused request was compared", "")


def judge_life(judge, stage):
    """The server does its work after all of it."""
    judge.sign_in()
    made = judge.must("POST", f"/api/{APP}/every", stage.record())
    if judge.must("GET", f"/api/{APP}/every/{made['id']}")["title"] != made["title"]:
        judge.wrong("a record is not what it was made as", str(made))


def judge_log(judge, directory):
    for line in (directory / "server.log").read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split(" ", 2)
        is_crash = re.search(r"Fatal error|Crash|\*\*\*|Thread \d+ crashed", line)
        if len(words) < 2 or words[1] in ("error", "critical") or is_crash:
            judge.wrong(f"in the log: {' '.join(words[1:])[:60]}", line[:500])


def summary(judge, memory, seconds):
    by_status = ", ".join(f"{status} {count}" for status, count in sorted(judge.statuses.items(), key=str))
    fresh, warm, last = memory[0], memory[1], memory[-1]
    return (
        f"  {len(corpus.documents())} documents, {len(corpus.strings())} strings, {len(corpus.numbers())} numbers, "
        f"{len(corpus.values())} values; {len(judge.driven)} routes and paths\n"
        f"  {sum(judge.statuses.values())} requests in {seconds:.0f} s: {by_status}\n"
        f"  by position: {', '.join(f'{name} {count}' for name, count in judge.positions.most_common())}\n"
        f"  {judge.refused_and_compared} refused ones changed no row; slowest {judge.slowest[0]:.2f} s "
        f"({judge.slowest[1][:120]}); largest error {judge.largest_error[0]} bytes ({judge.largest_error[1][:120]})\n"
        f"  memory: {fresh:.0f} MB fresh, {warm:.0f} MB after the first part, {last:.0f} MB at the end"
    )


def main():
    parser = tries.arguments(__doc__, 1)
    parser.add_argument("--quick", action="store_true", help="a sample, within a minute")
    parser.add_argument("--share", type=float, default=1, help="of what the whole run tries, above 0")
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"some of {', '.join(PARTS)}")
    parser.set_defaults(seed=1)  # all is the same each time, random bytes too
    tries.run(
        parser, "hostile", run_try, lambda count: f"{count} requests, nothing wrong",
        lambda store, good, count: f"{store}: {len(good)} of {count} tries found nothing wrong"
    )


if __name__ == "__main__":
    main()
