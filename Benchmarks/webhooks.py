#!/usr/bin/env python3
"""Measures webhooks on both stores: how quickly they are sent, what one costs a create, what many pending ones hold.

Run it through `Benchmarks/webhooks.sh`, which starts a PostgreSQL with its own defaults of durability. The receiver is a
process of its own, whose speed alone is printed too: it must be quicker than what it measures.

- drain: 10,000 deliveries are written while the receiver answers nothing. Then it answers all at once, and what counts
  is the time until the last one has arrived, and the server's CPU for each.
- cost: wrk creates records over 16 connections, in turns: without a webhook, with one whose condition never holds, with
  one that is written but not answered meanwhile, and with one that is sent along. CPU is the server's for a create; of
  the last it is that of the sending too, until all have arrived. wrk, the server and the receiver share the machine.
- memory: the resident memory before and after 100,000 records were written, without a webhook, with one that nothing
  listens for, and with one that is never answered; then the most of it while the server goes on trying.

The figures are medians of the repetitions. An answer that is not 2xx, or a delivery that is lost, makes it exit 1.
"""
import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import platform
import re
import shutil
import statistics
import sys
import tempfile
import time

from measure import REPORT, ROOT, Client, Server, cpu_seconds, fail, free_port, on_connections, run_wrk, sign_in

sys.path.insert(0, str(ROOT / "scripts"))
from webhook_receiver import Receiver  # noqa: E402

SQLITE, POSTGRES = "sqlite", "postgres"
DRAIN, COST, MEMORY = "drain", "cost", "memory"
BATCH, END = 100, "end"
LONGEST_HOLD = 25  # seconds; an attempt ends after 30
FIELDS = {"title": "string", "note": "text", "status": "string", "count": "int", "price": "decimal", "due": "date"}
BODY = {
    "title": "A title of some length", "note": "Something to be read by nobody. " * 4, "status": "open", "count": 3,
    "price": 19.9, "due": "2026-12-24",
}
PLAIN, JUDGED, HELD, SENT = "without", "condition that never holds", "written, not answered", "sent along"
CASES = {PLAIN: "plain", JUDGED: "judged", HELD: "told", SENT: "told"}
NONE, REFUSED, HANGING = "without", "nothing listens", "never answered"
SCRIPT = """
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = os.getenv("TOKEN") }
local path, body = os.getenv("CALL_PATH"), os.getenv("BODY")
function request() return wrk.format("POST", path, headers, body) end
""" + REPORT


# MARK: the receiver


class Counter(Receiver):
    """Counts what it receives, in memory that another process reads."""

    def __init__(self, total, last):
        super().__init__()
        self.total, self.last = total, last

    def record(self, delivery):
        self.total.value += 1
        self.last.value = delivery.at


def receive(pipe, total, last):
    """The receiver's process: it says its port, and is told the delay of its answers until the end."""
    with Counter(total, last) as receiver:
        pipe.send(receiver.port)
        for delay in iter(pipe.recv, END):
            receiver.delay = delay


class ReceiverProcess:
    """A receiver beside this process, until the end of a `with`."""

    def __enter__(self):
        context = multiprocessing.get_context("fork")
        self.total, self.arrived = context.RawValue("q", 0), context.RawValue("d", 0)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=receive, args=(theirs, self.total, self.arrived), daemon=True)
        self.process.start()
        self.port = self.pipe.recv()
        return self

    def __exit__(self, *_):
        self.pipe.send(END)
        self.process.join()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def count(self):
        return self.total.value

    @property
    def last(self):
        """When the last request arrived, in time.monotonic()."""
        return self.arrived.value

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def hold(self):
        self.pipe.send(None)

    def release(self):
        """Answers what was held. Returns the instant."""
        self.pipe.send(0.0)
        return time.monotonic()

    def speed(self, directory):
        """Requests a second of the size of a delivery."""
        script = directory / "receiver.lua"
        script.write_text(SCRIPT, encoding="utf-8")
        environment = {"CALL_PATH": "/hook", "TOKEN": "none", "BODY": json.dumps({"record": BODY, "more": "." * 300})}
        return run_wrk("the receiver", self, script, 2, directory, environment)["per_second"]


# MARK: the app


@contextlib.contextmanager
def running(options, store, part):
    """A server with nothing in it but an app. Gives the server, the app's name and a folder."""
    app = f"bench_{part}"
    with tempfile.TemporaryDirectory(prefix="rocket-webhooks-") as folder:
        directory, port = pathlib.Path(folder), free_port()
        # A management database for each part: the deliveries that one leaves are not for the next.
        url = re.sub(r"/[^/]*$", f"/management_{part}", options.url or "")
        where = ["--database-url", url] if store == POSTGRES else ["--data-dir", str(directory / "data")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
        command = [options.rocket, "serve", "--port", str(port), *where]
        with Server(command, port, "/ready", directory, environment | {"ROCKET_LOG_LEVEL": "critical"}) as rocket:
            Client(port, sign_in(rocket)).call("POST", "/api/_platform/apps", {"name": app})
            yield rocket, app, directory


def make_entity(rocket, app, name, url=None, condition=None):
    """An entity, and its webhook where there is a URL."""
    admin = Client(rocket.port, sign_in(rocket))
    fields = [{"name": "id", "type": "uuid"}] + [{"name": field, "type": kind} for field, kind in FIELDS.items()]
    key = {"field": "id", "type": "uuid", "generated": True}
    entity = {"name": name, "table": name, "soft_delete": False, "primary_key": key, "fields": fields}
    admin.call("POST", f"/api/{app}/_admin/entities", entity)
    if url:
        webhook = {"entity": name, "hook": "after_write", "url": url, "retry": {"max_attempts": 100, "backoff": "linear"}}
        if condition:
            webhook["condition"] = condition
        admin.call("POST", f"/api/{app}/_admin/webhooks", webhook)


def write_records(rocket, app, name, count):
    operations = [{"method": "POST", "path": f"/{name}", "body": BODY}] * BATCH

    def write(client, number):
        client.call("POST", f"/api/{app}/_batch", {"operations": operations[: count - number * BATCH]})

    on_connections(rocket.port, sign_in(rocket), (count + BATCH - 1) // BATCH, write)


def count_left(rocket, app):
    """How many deliveries the log says are still to be made."""
    admin = Client(rocket.port, sign_in(rocket))
    path = f"/api/{app}/_admin/webhook-logs?per_page=1&status="
    return sum(admin.call("GET", path + status)["meta"]["total"] for status in ("pending", "retrying"))


def wait_until_sent(rocket, app, receiver):
    """Waits until nothing comes any more and nothing is left. Returns the server's CPU until then."""
    begin = time.monotonic()
    while time.monotonic() - begin < 600:
        count = receiver.count
        time.sleep(0.5)
        if count == receiver.count:
            # Taken before the question, which has its own cost.
            cpu = rocket.cpu_seconds()
            if count_left(rocket, app) == 0:
                return cpu
    fail(f"after 600 s there are {count_left(rocket, app)} deliveries left")


# MARK: the parts


def measure_drain(options, store, receiver):
    """Deliveries a second and CPU for each, of each repetition."""
    results = []
    with running(options, store, DRAIN) as (rocket, app, _):
        make_entity(rocket, app, "told", receiver.url)
        for _ in range(options.reps):
            received, begin = receiver.count, time.monotonic()
            receiver.hold()
            write_records(rocket, app, "told", options.deliveries)
            if time.monotonic() - begin > LONGEST_HOLD:
                fail(f"writing {options.deliveries} records took too long: the first attempts were about to end")
            cpu, held = rocket.cpu_seconds(), receiver.count
            released = receiver.release()
            cpu = wait_until_sent(rocket, app, receiver) - cpu
            if receiver.count - received != options.deliveries:
                fail(f"{options.deliveries} deliveries were made, {receiver.count - received} arrived")
            waited = options.deliveries - (held - received)
            if not waited:
                fail("all deliveries were under way at once: there was nothing to drain")
            results.append({
                "per_second": waited / (receiver.last - released), "cpu_us": cpu / waited * 1e6, "at_once": held - received,
            })
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


def measure_cost(options, store, receiver):
    """Requests a second and CPU for each create of each case, and how much more that is than without."""
    with running(options, store, COST) as (rocket, app, directory):
        make_entity(rocket, app, CASES[PLAIN])
        make_entity(rocket, app, CASES[JUDGED], receiver.url, "record.count > 1000")
        make_entity(rocket, app, CASES[SENT], receiver.url)
        (directory / "create.lua").write_text(SCRIPT, encoding="utf-8")
        runs = {case: [] for case in CASES}
        for case in CASES:
            create(case, 1, rocket, app, directory, receiver)
        for _ in range(options.reps):
            for case, results in runs.items():
                results.append(create(case, options.secs, rocket, app, directory, receiver))
    medians = {
        case: {name: statistics.median(run[name] for run in results) for name in ("per_second", "cpu_us")}
        for case, results in runs.items()
    }
    # Each beside the one without of its own repetition, because the machine's speed drifts.
    for case, results in runs.items():
        medians[case]["more_us"] = statistics.median(
            run["cpu_us"] - base["cpu_us"] for base, run in zip(runs[PLAIN], results)
        )
    return medians


def create(case, seconds, rocket, app, directory, receiver):
    """One run of wrk, and then a pause until nothing is left to send."""
    environment = {
        "CALL_PATH": f"/api/{app}/{CASES[case]}", "TOKEN": sign_in(rocket), "BODY": json.dumps(BODY),
    }
    if case == HELD:
        receiver.hold()
    received, before = receiver.count, rocket.cpu_seconds()
    result = run_wrk(case, rocket, directory / "create.lua", seconds, directory, environment)
    if case == HELD:
        receiver.release()
    cpu = wait_until_sent(rocket, app, receiver) - before
    arrived = receiver.count - received
    if arrived < result["requests"] if case in (HELD, SENT) else arrived:
        fail(f"{case}: {result['requests']} creates, of which {arrived} deliveries arrived")
    if case == SENT:
        result["cpu_us"] = cpu / result["requests"] * 1e6
    return result


def measure_memory(options, store, receiver):
    """Megabytes before and after so many records, and the most while the server goes on trying."""
    urls = {NONE: None, REFUSED: f"http://127.0.0.1:{free_port()}/hook", HANGING: receiver.url}
    results = {}
    for number, (case, url) in enumerate(urls.items()):
        with running(options, store, f"{MEMORY}_{number}") as (rocket, app, _):
            make_entity(rocket, app, "warm")
            write_records(rocket, app, "warm", 10 * BATCH)
            make_entity(rocket, app, "told", url)
            receiver.hold()
            before = rocket.memory_megabytes("VmRSS")
            write_records(rocket, app, "told", options.pending)
            after = rocket.memory_megabytes("VmRSS")
            most = after
            for _ in range(options.settle):
                time.sleep(1)
                most = max(most, rocket.memory_megabytes("VmRSS"))
            left = count_left(rocket, app)
            if left != (options.pending if url else 0):
                fail(f"{case}: {options.pending} records were written, {left} deliveries are left")
            results[case] = {"before": before, "after": after, "most": most, "peak": rocket.memory_megabytes()}
        receiver.release()
    return results


# MARK: printing


def print_drain(result, options):
    print(f"\n  {options.deliveries} deliveries, {result['at_once']:.0f} of them under way at once")
    print(f"  {'drained':<28}{result['per_second']:>11.0f}/s{result['cpu_us']:>10.1f} µs CPU each")


def print_cost(result, options):
    print(f"\n  {'create, with a webhook':<28}{'requests/s':>11}{'CPU µs':>9}{'more':>9}")
    for case, row in result.items():
        print(f"  {case:<28}{row['per_second']:>11.0f}{row['cpu_us']:>9.1f}{row['more_us']:>9.1f}")


def print_memory(result, options):
    title = f"{options.pending} pending, MB"
    print(f"\n  {title:<28}{'before':>11}{'after':>9}{f'in {options.settle} s':>9}{'peak':>9}")
    for case, row in result.items():
        print(f"  {case:<28}{row['before']:>11.0f}{row['after']:>9.0f}{row['most']:>9.0f}{row['peak']:>9.0f}")


PARTS = {
    DRAIN: (measure_drain, print_drain), COST: (measure_cost, print_cost), MEMORY: (measure_memory, print_memory),
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rocket", type=pathlib.Path, default=ROOT / ".build/release/rocket")
    parser.add_argument("--secs", type=int, default=2, help="of each run of wrk (default: 2)")
    parser.add_argument("--reps", type=int, default=5, help="repetitions, of which the median counts (default: 5)")
    parser.add_argument("--deliveries", type=int, default=10_000, help="to drain (default: 10000)")
    parser.add_argument("--pending", type=int, default=100_000, help="in memory's part (default: 100000)")
    parser.add_argument("--settle", type=int, default=40, help="seconds of trying in memory's part (default: 40)")
    parser.add_argument("--store", choices=[SQLITE, POSTGRES], help="default: both")
    parser.add_argument("--part", choices=list(PARTS), help="default: all")
    parser.add_argument("--json", type=pathlib.Path, help="where the figures go")
    options = parser.parse_args()
    options.url = os.environ.get("TEST_POSTGRES_URL")
    if not options.url and options.store != SQLITE:
        fail("run it through Benchmarks/webhooks.sh, or with --store sqlite")
    if not shutil.which("wrk"):
        fail("wrk is not there: scripts/setup.sh --bench")
    if options.secs > LONGEST_HOLD:
        fail(f"--secs may be at most {LONGEST_HOLD}: an attempt ends after 30 s")
    options.rocket = options.rocket.resolve()
    return options


def main():
    options = parse()
    stores = [options.store] if options.store else [SQLITE, POSTGRES]
    parts = [options.part] if options.part else list(PARTS)
    results = {store: {} for store in stores}
    with ReceiverProcess() as receiver, tempfile.TemporaryDirectory(prefix="rocket-webhooks-") as folder:
        speed = receiver.speed(pathlib.Path(folder))
        print(f"\n{platform.platform()}, {os.cpu_count()} cores, {options.reps} repetitions; receiver alone {speed:.0f}/s")
        for store in stores:
            print(f"\n{store}", flush=True)
            for part in parts:
                measure, show = PARTS[part]
                results[store][part] = measure(options, store, receiver)
                show(results[store][part], options)
    if options.json:
        options.json.write_text(json.dumps({"receiver_per_second": speed} | results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
