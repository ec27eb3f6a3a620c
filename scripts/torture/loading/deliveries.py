"""The part `deliveries`: many of them wait for a receiver that is down, and then it comes."""
import asyncio
import time

from loading.counting_receiver import ReceiverProcess
from loading.deliveries_drain import drain
from loading.deliveries_pending import while_pending
from loading.figures import MEGABYTE
from loading.stage import ITEM, PARTS, Stage, entity, quick_requests, some_rows
from loading.verdict import refuse_with

LANES = 8
# Of one request; each child has a delivery.
FAMILY = 5_000
PARENT = entity("parent", {"value": "string"}, history=False)
CHILD = entity("child", {"parent_id": "uuid", "n": {"type": "int", "required": True}, "lane": "int"}, history=False)
CHILDREN = PARTS | {"name": "children", "source": "parent", "target": "child", "target_key": "parent_id"}


def run_deliveries(options, directory, seed):
    rows = options.rows
    with ReceiverProcess(rows, options.down == "hang") as receiver, Stage(options, directory, "deliveries") as stage:
        items = some_rows(301, seed)
        app = stage.make_app(entities=[ITEM, PARENT, CHILD], relations=[CHILDREN], rows=[("item", items)])
        for lane in range(LANES):
            webhook = {
                "entity": "child", "url": f"http://127.0.0.1:{receiver.port}/{lane}",
                # So patient that none is given up before its receiver comes.
                "condition": f"record.lane == {lane}", "retry": {"max_attempts": 100, "backoff": "linear"},
            }
            stage.admin.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
        calm, before = asyncio.run(quick_requests(stage, app, items)), stage.reading
        lines, problems = [make_families(stage, app, rows)], []
        lines += while_pending(stage, app, items, rows, calm, before, problems)
        lines += drain(stage, app, receiver, items, rows, problems)
        refuse_with(problems, lines)
        return lines


def make_families(stage, app, rows):
    """Through the API, so that the deliveries are what the server itself makes of writes."""
    begin, peak = time.monotonic(), 0
    for start in range(0, rows, FAMILY):
        children = [{"n": number, "lane": number % LANES} for number in range(start, min(rows, start + FAMILY))]
        if start % (20 * FAMILY) == 0:
            client = stage.admin
        client.connection.timeout = 120
        client.call("POST", f"/api/{app}/parent", {"value": f"{start}", "children": children}, expect=201)
        peak = max(peak, stage.reading.rss)
    seconds = time.monotonic() - begin
    rate = rows / seconds
    return f"{rows} deliveries made in {seconds:.1f} s ({rate:.0f}/s), memory at most {peak / MEGABYTE:.0f} MB"
