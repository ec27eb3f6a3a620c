"""The part `neighbours`: what one client of a quiet app notices of others that are not."""
import asyncio
import collections
import multiprocessing
import random
import time

from loading.figures import Spread
from loading.stage import ITEM, SLOW, Stage, some_rows
from loading.verdict import Tally, refuse_with
from loading.wire import Wire, connect_all, for_seconds
from webhook_receiver import Receiver

SATURATING = 64
NEIGHBOUR_LIMIT, NEIGHBOUR_P99 = 2.0, 0.5


def run_neighbours(options, directory, seed):
    with Receiver(delay=3.0) as receiver, Stage(options, directory, "neighbours") as stage:
        rows = some_rows(20_000, seed)
        busy = stage.make_app("_busy", entities=[ITEM], rows=[("item", rows)])
        waiting = stage.make_app("_waiting", entities=[SLOW])
        quiet = stage.make_app("_quiet", entities=[ITEM], rows=[("item", rows[:1_000])])
        webhook = {"entity": "slow", "hook": "before_write", "url": receiver.url("/slow")}
        stage.admin.call("POST", f"/api/{waiting}/_admin/webhooks", webhook, expect=201)
        seconds = stage.options.seconds
        alone = asyncio.run(one_client(stage, quiet, rows[:1_000], seconds / 2, seed))
        # In a process of its own, so that what is measured here is not the driver's own crowd.
        context = multiprocessing.get_context("spawn")
        counts = context.Queue()
        load = context.Process(target=saturate, args=(stage.port, stage.token, busy, waiting, seconds + 3, counts))
        load.start()
        time.sleep(2)
        beside = asyncio.run(one_client(stage, quiet, rows[:1_000], seconds, seed + 1))
        is_over = not load.is_alive()
        statuses, rate = counts.get(timeout=120)
        load.join(timeout=60)
        stage.must_live()
    problems = alone.problems + beside.problems
    told = Spread(beside.all_times)
    if is_over or rate < 20:
        problems.append(f"the load was none: {rate:.0f} requests/s, {statuses}")
    if told.count < 100:
        problems.append(f"the client got only {told.count} answers")
    if told.most > NEIGHBOUR_LIMIT:
        problems.append(f"the client waited for {told.most:.2f} s")
    if told.p99 > NEIGHBOUR_P99:
        problems.append(f"the client's p99 was {told.p99 * 1000:.0f} ms")
    unexpected = {each: count for each, count in statuses.items() if each not in (200, 201, 503)}
    if unexpected:
        problems.append(f"the saturated apps answered {unexpected}")
    lines = [f"alone {Spread(alone.all_times)}; beside the load {told} ({rate:.0f} requests/s there: {statuses})"]
    lines += [
        f"  {kind}: {Spread(alone.times[kind])}; beside the load {Spread(times)}"
        for kind, times in sorted(beside.times.items())
    ]
    refuse_with(problems, lines)
    return lines


async def one_client(stage, app, rows, seconds, seed):
    tally, draw, end = Tally(), random.Random(seed), time.monotonic() + seconds
    wire = await Wire.connect(stage.port, stage.token)
    while time.monotonic() < end:
        row = draw.choice(rows)
        answer = await wire.ask("GET", f"/api/{app}/item/{row['id']}")
        tally.note("get", answer, is_right=answer.status != 200 or answer.data["value"] == row["value"])
        answer = await wire.ask("GET", f"/api/{app}/item?filter%5Bnumber.gte%5D={row['number']}&per_page=25")
        tally.note("list", answer)
        tally.note("create", await wire.ask("POST", f"/api/{app}/item", {"value": "new"}))
        tally.note("update", await wire.ask("PUT", f"/api/{app}/item/{row['id']}", {"note": f"{draw.random()}"}))
        await asyncio.sleep(0.002)
    wire.close()
    return tally


def saturate(port, token, busy, waiting, seconds, counts):
    """In a process of its own: lists without an index and writes on one app, writes that wait on the other."""
    tally = Tally()

    async def run():
        wires = await connect_all(port, token, SATURATING + 4)
        draw = random.Random(1)

        async def work(number, is_over):
            while not is_over():
                if number >= SATURATING:
                    answer = await wires[number].ask("POST", f"/api/{waiting}/slow", {"value": "x"})
                elif number % 4 == 0:
                    answer = await wires[number].ask("POST", f"/api/{busy}/item", {"value": "x", "note": "y" * 500})
                else:
                    word = "".join(draw.choices("abcdefgh", k=4))
                    path = f"/api/{busy}/item?filter%5Bnote.contains%5D={word}&sort=-note&per_page=100"
                    answer = await wires[number].ask("GET", path)
                tally.note("load", answer)
                if answer.status == 503:
                    await asyncio.sleep(0.05)

        await for_seconds(seconds, work, len(wires))

    asyncio.run(run())
    statuses = collections.Counter()
    for (_, status), count in tally.statuses.items():
        statuses[status] += count
    counts.put((dict(statuses), sum(statuses.values()) / seconds))
