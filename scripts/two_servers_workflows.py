#!/usr/bin/env python3
"""Stops one of two Rocket servers on one PostgreSQL while workflows run, for longer than their leases, and judges.

    PGSAFE=1 scripts/with_postgres.sh scripts/two_servers_workflows.py [--instances 1000]

Items are created and questions decided through both servers, as in kill9_workflows.py. Then one server is stopped
with SIGSTOP for 60 seconds: the calls that it was making are the other's when their lease has run out, which is 25 s
here. It goes on with SIGCONT, and with answers to calls that are no longer its own. What is a fault is said in
kill9_workflows.py.
"""
import contextlib
import os
import signal
import time

from kill9 import Client, RoundFailure, Server
from kill9_webhooks import Journal, judge_rows, management_url, refuse
from kill9_workflows import (
    PATH, Approvers, CallReceiver, ItemWriters, World, checked, common_parser, configure, figures, judge, make_app,
    make_first, report, wait_until_ended,
)

BEFORE = 8  # seconds of work until a server is stopped, and about as many after it
HELD = 3  # seconds until then without an answer, so that the server is stopped in calls


def pause(server, seconds, receiver):
    """Stops the server in the middle of its calls. Returns how many had arrived before and after."""
    delay, receiver.delay = receiver.delay, None
    time.sleep(HELD)
    server.process.send_signal(signal.SIGSTOP)
    before, receiver.delay = receiver.count, delay
    time.sleep(seconds)
    after = receiver.count
    server.process.send_signal(signal.SIGCONT)
    return before, after


def run(options, directory):
    app = f"two_{os.getpid()}"
    url = management_url(options.url, app)
    journal, decisions = Journal(), []
    rate = options.instances / (options.stop_seconds + 2 * BEFORE)
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(
            CallReceiver(delay=options.delay, failures=options.failures, seed=options.seed)
        )
        servers, load = [], []
        for name in ("one", "two"):
            (directory / name).mkdir()
            configure(directory / name, options.call_timeout)
            servers.append(Server(options.binary, directory / name, 0, url))
            stack.callback(servers[-1].kill)
        admin = Client(servers[0].port, servers[0].sign_in())
        lead = make_app(admin, app, receiver.url(PATH), options.timeout)
        make_first(admin, app, journal)
        time.sleep(2)  # until the other server knows it

        begin = time.monotonic()
        for server, prefix in zip(servers, "ab"):
            seed = f"{options.seed}{prefix}"
            writers = ItemWriters(app, rate / 2, seed, journal, options.instances, prefix)
            approvers = Approvers(app, options.seed, journal, decisions, 1, prefix)
            load.append((writers, approvers))
            for part in (writers, approvers):
                stack.callback(part.end)
                part.start(server)
        time.sleep(BEFORE - HELD)
        before, after = pause(servers[1], options.stop_seconds, receiver)
        for writers, _ in load:
            writers.wait(60 + 2 * options.instances / rate)
            writers.end()
        drained = wait_until_ended(servers[0], app, options.drain_seconds)
        seconds = time.monotonic() - begin
        for _, approvers in load:
            approvers.end()
        time.sleep(5)  # for what the server that was stopped may still send

        # The server that was stopped must see what the other one did.
        world = World(Client(servers[1].port, servers[1].sign_in()), app, receiver.deliveries())
        markers = [item["marker"] for item in world.items.values()]
        # Requests to the server that is stopped end after 30 s, so that they are cut off as if it were killed.
        cuts = 1 + int(options.stop_seconds / 30)
        problems = journal.problems + judge_rows(journal, markers, cuts)
        refuse(problems + judge(world, journal, decisions, lead, options.timeout))
        if after == before or not world.taken_over:
            raise RoundFailure("no call was taken over from the server that was stopped, so nothing is told by this")
        for server in servers:
            server.stop()
    return [
        f"two servers, one stopped for {options.stop_seconds:g} s after {before} calls; {after} when it went on",
        *figures(world, journal, decisions, options.timeout, drained, seconds),
    ]


def main():
    parser = common_parser(__doc__)
    parser.add_argument("--stop-seconds", type=float, default=60, help="default: 60")
    report(checked(parser), run, "rocket-two-servers-workflows-")


if __name__ == "__main__":
    main()
