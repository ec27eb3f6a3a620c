"""What others notice of deliveries that wait."""
import asyncio
import re
import time

from kill9 import RoundFailure
from loading.stage import quick_requests
from loading.wire import newcomer

PENDING_P99, PENDING_MOST, PENDING_LOG, PENDING_READY, PENDING_MEGABYTES = 0.5, 2.0, 2.0, 2.0, 200
# A call waits for a receiver that refuses it until its time is over, so that tries come in bursts.
TRY_SECONDS = 30
TRIED = re.compile(r'^rocket_webhook_deliveries_total\{[^}]*outcome="(?:retrying|failed)"[^}]*\} ([0-9.e+]+)$', re.M)


def while_pending(stage, app, items, rows, calm, before, problems):
    """The receiver is down, and everybody else should not notice."""
    made = stage.reading
    counts = [log_total(stage.admin, app, status) for status in ("", "delivered", "failed")]
    if counts != [rows, 0, 0]:
        problems.append(f"the log has {counts[0]} deliveries of {rows}, {counts[1]} delivered and {counts[2]} failed")
    times = [asyncio.run(quick_requests(stage, app, items)) for _ in range(3)]
    stage.server.stop()
    stage.start()
    started = stage.reading
    # With it the app is opened.
    opening = asyncio.run(newcomer(stage.port, stage.token, f"/api/{app}/item/{items[0]['id']}"))
    time.sleep(2)
    times.append(asyncio.run(quick_requests(stage, app, items)))
    lists = log_lists(stage, app, rows)
    tries, cpu = trying(stage)
    now = stage.reading
    problems += wrong_requests(times, calm) + wrong_start(stage, opening) + wrong_lists(lists)
    if not tries and stage.options.down != "hang":
        problems.append(f"nothing was tried in {TRY_SECONDS} s")
    if now.megabytes > before.megabytes + PENDING_MEGABYTES:
        problems.append(f"memory while deliveries wait: {now.megabytes:.0f} MB, {before.megabytes:.0f} before")
    return [
        f"while they wait: memory {before.megabytes:.0f} MB before, {made.megabytes:.0f} when made, "
        f"{started.megabytes:.0f} just started again, {now.megabytes:.0f} then; ready "
        f"{stage.server.ready_seconds * 1000:.0f} ms after the start, and the first request, for which the app is "
        f"opened, took {opening.seconds * 1000:.0f} ms; {tries:.1f} tries/s with {cpu:.2f} CPUs",
        f"  requests before: {calm}; while they wait: {'; '.join(map(str, times[:-1]))}; started again: {times[-1]}",
        "  the log: " + ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in lists.items()),
    ]


def wrong_requests(times, calm):
    return [
        f"requests while deliveries wait: {each}; before: {calm}" for each in times
        if each.p99 > PENDING_P99 or each.most > PENDING_MOST
    ]


def wrong_start(stage, opening):
    problems = []
    if stage.server.ready_seconds > PENDING_READY:
        problems.append(f"ready only {stage.server.ready_seconds:.2f} s after the start")
    if opening.status != 200 or opening.seconds > PENDING_MOST:
        problems.append(f"the first request after the start: {opening}")
    return problems


def wrong_lists(lists):
    return [f"the log's list {name} took {seconds:.2f} s" for name, seconds in lists.items() if seconds > PENDING_LOG]


def trying(stage):
    """Tries in a second, and the CPUs that are busy with them."""
    client = stage.admin

    def tried():
        text = client.send("GET", "/metrics").read().decode()
        return sum(float(each) for each in TRIED.findall(text))

    count, cpu, since = tried(), stage.reading.cpu, time.monotonic()
    time.sleep(TRY_SECONDS)
    seconds = time.monotonic() - since
    return (tried() - count) / seconds, (stage.reading.cpu - cpu) / seconds


def log_total(client, app, status):
    """How many deliveries the log has, of a status or of any."""
    client.connection.timeout = 120
    of = f"status={status}&" if status else ""
    return client.call("GET", f"/api/{app}/_admin/webhook-logs?{of}per_page=1")["meta"]["total"]


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
