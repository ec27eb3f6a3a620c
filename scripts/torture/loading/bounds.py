"""The part `bounds`: just under each a request works, and one over it is refused."""
import asyncio

from loading.both_sides import BOUNDS, Bounds
from loading.bounds_of_definitions import metadata, users
from loading.bounds_of_files import files
from loading.bounds_of_requests import batches, bodies, queries
from loading.bounds_of_sign_ins import one_account, run_hashes, sign_ins
from loading.bounds_of_waiting import run_waiting
from loading.bounds_of_work import events, hooks, open_apps
from loading.stage import ITEM, PART_OF, PARTS, SLOW, Stage, entity
from loading.verdict import all_of, refuse_with
from loading.wire import Wire, raise_file_limit
from webhook_receiver import Receiver

WIDE = entity("wide", {"value": "string", "extra": "json", "exact": "decimal", "picture": "file"})
NODE = entity("node", {f"key{number}": "uuid" for number in range(51)}, history=False)
WAYS = [
    {
        "name": f"way{number}", "type": "one_to_many", "source": "node", "target": "node", "source_key": "id",
        "target_key": f"key{number}", "on_delete": "detach",
    }
    for number in range(51)
]


def run_bounds(options, directory, seed):
    raise_file_limit(3_000)
    return all_of(*(lambda run=run: run(options, directory) for run in (run_requests, run_waiting, run_hashes)))


def run_requests(options, directory):
    with Receiver(delay=30) as receiver, Stage(options, directory, "bounds", BOUNDS) as stage:
        app = stage.make_app(entities=[ITEM, WIDE, SLOW, PART_OF, NODE], relations=[PARTS, *WAYS])
        webhook = {"entity": "slow", "hook": "before_write", "url": receiver.url("/never")}
        stage.admin.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
        return asyncio.run(all_bounds(stage, app))


async def all_bounds(stage, app):
    bounds = Bounds(stage, app, await Wire.connect(stage.port, stage.token))
    for group in (bodies, queries, batches, metadata, users, events, hooks, open_apps, files, one_account, sign_ins):
        before = len(bounds.problems)
        try:
            await group(bounds)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            bounds.problems.append(f"{group.__name__}: an answer was not as expected: {error!r}")
        bounds.problems[before:] = [f"{group.__name__}: {each}" for each in bounds.problems[before:]]
        stage.must_live()
    line = f"{bounds.count} requests on both sides of the bounds, the slowest refusal {bounds.slowest * 1000:.0f} ms"
    refuse_with(bounds.problems, [line])
    return [line]
