#!/usr/bin/env python3
"""Stops one of two Rocket servers on one PostgreSQL while they send webhooks, for longer than its lease, and judges.

    PGSAFE=1 scripts/with_postgres.sh scripts/two_servers_webhooks.py [--count 10000]

Both servers write records of an entity with a webhook, in batches, while the receiver answers slowly. Then it answers
quickly, and when a part has arrived one server is stopped with SIGSTOP for 45 seconds: what it had claimed is the
other's after the lease of 30. It goes on with SIGCONT, holding claims that are no longer its own. It is a fault where a
record was not told of, where the log has not one row for each record, delivered at the first attempt, or where the
copies of a delivery differ in their `webhook-id` or body.
"""
import argparse
import collections
import concurrent.futures
import contextlib
import http.client
import itertools
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from kill9 import Client, RoundFailure, Server
from kill9_webhooks import by_event, make_app, management_url, refuse, wait_until_drained
from webhook_receiver import Receiver

HOOK, BATCH = "/hook", 100
SLOWLY = 5  # seconds before an answer, while records are written: not so long that an attempt ends
SHARE = 0.2  # of the deliveries have arrived when a server is stopped


def write_records(servers, app, count):
    """Writes the records in batches through both servers. Returns the markers by the records' ids."""
    tokens = [server.sign_in() for server in servers]

    def write(number):
        which = number % len(servers)
        markers = [f"{number}-{index}" for index in range(min(BATCH, count - number * BATCH))]
        operations = [
            {"method": "POST", "path": "/item", "body": {"marker": marker, "code": marker}} for marker in markers
        ]
        client = Client(servers[which].port, tokens[which])
        answer = client.call("POST", f"/api/{app}/_batch", {"operations": operations})
        return {result["data"]["id"]: result["data"]["marker"] for result in answer["data"]}

    records = {}
    with concurrent.futures.ThreadPoolExecutor(2 * len(servers)) as pool:
        for made in pool.map(write, range((count + BATCH - 1) // BATCH)):
            records |= made
    if len(records) != count:
        raise RoundFailure(f"the batches gave {len(records)} ids, and {count} were written")
    return records


def wait_for_share(receiver, count):
    begin = time.monotonic()
    while receiver.count < SHARE * count:
        if time.monotonic() - begin > 120:
            raise RoundFailure(f"only {receiver.count} of {count} deliveries came in 120 s")
        time.sleep(0.005)


def pause(server, seconds, receiver, count):
    """Stops the server in the middle of its work. Returns how much had arrived before and after."""
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    before = receiver.count
    if before >= 0.9 * count:
        raise RoundFailure(f"{before} had arrived when the server was stopped: too late to tell; try a longer --delay")
    time.sleep(seconds)
    after = receiver.count
    server.process.send_signal(signal.SIGCONT)
    return before, after


def log_rows(client, app):
    rows = []
    for page in itertools.count(1):
        answer = client.call("GET", f"/api/{app}/_admin/webhook-logs?per_page=100&page={page}")
        rows += answer["data"]
        if not answer["data"]:
            return rows


def judge_logs(rows, records):
    problems = []
    counts = collections.Counter(row["record_id"] for row in rows)
    problems += [f"{records[id]} has no row in the log" for id in records if not counts[id]]
    problems += [f"{records.get(id, id)} has {count} rows in the log" for id, count in counts.items() if count > 1]
    problems += [f"the log has a row for {id}, which is no record" for id in counts if id not in records]
    for row in rows:
        if row["status"] != "delivered" or row["attempt"] != 1:
            said = {key: row[key] for key in ("id", "status", "attempt", "error")}
            problems.append(f"{records.get(row['record_id'])}: the log says {said}")
    return problems


def judge_events(events, records):
    markers, problems = set(records.values()), []
    problems += [f"{marker} was NEVER TOLD of" for marker in sorted(markers) if (HOOK, marker) not in events]
    for (hook, marker), copies in events.items():
        if marker not in markers:
            problems.append(f"{hook} was told of {marker}, which is no record")
        if len({(copy.id, copy.body) for copy in copies}) > 1:
            ids = sorted({str(copy.id) for copy in copies})
            problems.append(f"{marker} came in {len(copies)} copies that differ, with the webhook-ids {ids}")
    return problems


def run(options, directory):
    app = f"two_{os.getpid()}"
    url = management_url(options.url, app)
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver(delay=SLOWLY))
        servers = []
        for name in ("one", "two"):
            (directory / name).mkdir()
            servers.append(Server(options.binary, directory / name, 0, url))
            stack.callback(servers[-1].kill)
        make_app(Client(servers[0].port, servers[0].sign_in()), app, [receiver.url(HOOK)])
        time.sleep(2)  # until the other server knows it

        begin = time.monotonic()
        records = write_records(servers, app, options.count)
        wrote = time.monotonic() - begin
        receiver.delay = options.delay
        wait_for_share(receiver, options.count)
        before, after = pause(servers[1], options.stop_seconds, receiver, options.count)
        drained = wait_until_drained(servers[0], app, options.drain_seconds)
        time.sleep(5)  # for what the server that was stopped may still send

        rows = log_rows(Client(servers[1].port, servers[1].sign_in()), app)
        deliveries = receiver.deliveries()
        events, problems = by_event(deliveries)
        problems += judge_events(events, records) + judge_logs(rows, records)
        refuse(problems)
        for server in servers:
            server.stop()
    copies = sum(len(found) > 1 for found in events.values())
    return [
        f"{len(records)} records written in {wrote:.1f} s by two servers",
        f"one stopped for {options.stop_seconds:g} s after {before} deliveries had arrived; {after} when it went on",
        f"drained {drained:.1f} s after that; {len(rows)} rows in the log, all delivered at the first attempt",
        f"{len(deliveries) - len(events)} duplicates, of {copies} deliveries, each with the webhook-id of its first copy",
    ]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / ".build/release/rocket"
    parser.add_argument("--binary", default=default, type=pathlib.Path, help="default: .build/release/rocket")
    parser.add_argument("--url", default=os.environ.get("TEST_POSTGRES_URL"), help="default: $TEST_POSTGRES_URL")
    parser.add_argument("--count", type=int, default=10_000, help="of deliveries (default: 10000)")
    parser.add_argument("--stop-seconds", type=float, default=45, help="default: 45")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds before each answer (default: 0.02)")
    parser.add_argument("--drain-seconds", type=float, default=120, help="after the stop (default: 120)")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        parser.error(f"{options.binary} is not there: swift build -c release --product rocket")
    if not options.url:
        parser.error("it needs --url, or scripts/with_postgres.sh before it")
    options.binary = options.binary.resolve()
    return options


def main():
    options = parse()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="rocket-two-servers-"))
    try:
        lines = run(options, directory)
    except (RoundFailure, OSError, http.client.HTTPException, ValueError, KeyError) as failure:
        # The folder stays for whoever looks into it: the servers' logs.
        print(f"FAILED, see {directory}\n  " + str(failure).replace("\n", "\n  "))
        sys.exit(1)
    shutil.rmtree(directory)
    print("\n".join(lines) + "\nnothing was lost")


if __name__ == "__main__":
    main()
