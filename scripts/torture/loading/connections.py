"""The part `connections`: a thousand of them ask at once, idle, and ask again; newcomers come."""
import asyncio
import random
import time

from loading.connection_bound import run_few_files, run_own_bound
from loading.figures import MEGABYTE, Spread
from loading.stage import ITEM, Stage, some_rows
from loading.verdict import Tally, all_of, refuse_with
from loading.wire import close_all, connect_all, for_seconds, newcomer, raise_file_limit

CONNECTIONS = 1_000
ASK_LIMIT, NEWCOMER_LIMIT = 10.0, 5.0
# What a closed connection may leave behind for its allocator's sake.
RETAINED = 1.15
RETAINED_MEGABYTES = 24
IDLE_SECONDS = 4


def run_connections(options, directory, seed):
    raise_file_limit(CONNECTIONS + 600)
    rows = some_rows(2_000, seed)

    def many():
        with Stage(options, directory, "connections") as stage:
            app = stage.make_app(entities=[ITEM], rows=[("item", rows)])
            return asyncio.run(thousand(stage, app, rows, seed))

    return all_of(
        many, lambda: run_own_bound(options, directory, seed), lambda: run_few_files(options, directory, seed)
    )


async def thousand(stage, app, rows, seed):
    # What is made when it is first needed is made.
    first = await connect_all(stage.port, stage.token, 32)
    await hammer(stage, app, rows, seed, first, Tally(), 2)
    close_all(first)
    calm = await settled(stage, stage.reading.files - len(first))
    lines, problems, after = [], [], []
    for cycle in range(2):
        left, told, wrong = await come_and_go(stage, app, rows, f"{seed}-{cycle}", calm)
        after.append(left)
        lines += told
        problems += wrong
    # What the allocator keeps of the first time serves the second.
    if after[1].rss > after[0].rss * RETAINED + RETAINED_MEGABYTES * MEGABYTE:
        problems.append(f"memory after each time: {after[0].megabytes:.0f}, then {after[1].megabytes:.0f} MB")
    refuse_with(problems, lines)
    return lines


async def come_and_go(stage, app, rows, seed, calm):
    """All connect, ask, idle, ask again, and close. Returns what the system says afterwards, lines and problems."""
    tally, again = Tally(), Tally()
    wires = await connect_all(stage.port, stage.token, CONNECTIONS, ASK_LIMIT)
    await asyncio.gather(*(each.ask("GET", "/health") for each in wires))
    opened = stage.reading
    asking = asyncio.create_task(hammer(stage, app, rows, seed, wires, tally, stage.options.seconds))
    fresh = await newcomers_until(asking, stage, app, rows)
    busy = stage.reading
    await asyncio.sleep(IDLE_SECONDS)
    idle = await newcomer(stage.port, stage.token, f"/api/{app}/item/{rows[0]['id']}")
    await hammer(stage, app, rows, f"{seed}-again", wires, again, stage.options.seconds / 2)
    most = max(busy.rss, stage.reading.rss)
    stage.must_live()
    close_all(wires)
    left = await settled(stage, calm.files)
    problems = tally.problems + again.problems + wrong_newcomers(fresh, idle)
    # PostgreSQL's own connections are kept for a minute.
    spare = 40 if stage.store == "postgres" else 8
    if left.files > calm.files + spare:
        problems.append(f"{left.files} files are open after all is closed, {calm.files} were before")
    asked = len(tally.all_times) + len(again.all_times)
    if asked < 4 * CONNECTIONS:
        problems.append(f"only {asked} requests by {CONNECTIONS} connections")
    lines = [
        f"{CONNECTIONS} connections: {len(tally.all_times) / stage.options.seconds:.0f} requests/s, "
        f"{Spread(tally.all_times)}; again after an idle while {Spread(again.all_times)}; {tally.line()}; newcomers "
        f"{Spread(each.seconds for each in fresh)}, among idle ones {idle.seconds * 1000:.1f} ms",
        f"memory {calm.megabytes:.0f} MB, open {opened.megabytes:.0f} ({kilobytes(opened.rss - calm.rss)}), at most "
        f"{most / MEGABYTE:.0f} ({kilobytes(most - calm.rss)}), closed {left.megabytes:.0f}; "
        f"files {calm.files}, {busy.files}, {left.files}",
    ]
    return left, lines, problems


def kilobytes(size):
    return f"{size / CONNECTIONS / 1024:.1f} kB a connection"


async def newcomers_until(asking, stage, app, rows):
    fresh = []
    while not asking.done():
        fresh.append(await newcomer(stage.port, stage.token, f"/api/{app}/item/{rows[0]['id']}"))
        await asyncio.sleep(0.25)
    await asking
    return fresh


def wrong_newcomers(fresh, idle):
    bad = [each for each in [*fresh, idle] if each.status != 200 or each.seconds > NEWCOMER_LIMIT]
    problems = [f"a newcomer: {each}" for each in bad]
    if idle.seconds > 1:
        problems.append(f"a newcomer among idle connections: {idle}")
    return problems


async def hammer(stage, app, rows, seed, wires, tally, seconds):
    """All wires ask at once: mostly by key, some lists, some creates; and what they get must be it."""

    async def work(number, is_over):
        draw = random.Random(f"{seed}-{number}")
        while not is_over() and wires[number].is_open:
            await one_request(wires[number], app, draw.choice(rows), draw, tally)

    await for_seconds(seconds, work, len(wires))
    if not all(wire.is_open for wire in wires):
        tally.problems.append(f"{sum(not wire.is_open for wire in wires)} connections were closed by the server")


async def one_request(wire, app, row, draw, tally):
    dice = draw.random()
    if dice < 0.90:
        answer = await wire.ask("GET", f"/api/{app}/item/{row['id']}")
        tally.note("get", answer, is_right=answer.status != 200 or answer.data["value"] == row["value"])
    elif dice < 0.95:
        answer = await wire.ask("GET", f"/api/{app}/item?filter%5Bid%5D={row['id']}&count=none")
        tally.note("list", answer, is_right=answer.status != 200 or [e["id"] for e in answer.data] == [row["id"]])
    else:
        value = f"new {draw.getrandbits(60)}"
        answer = await wire.ask("POST", f"/api/{app}/item", {"value": value})
        tally.note("create", answer, is_right=answer.status != 201 or answer.data["value"] == value)


async def settled(stage, files, seconds=10):
    """The reading when the files are as few as they were, or the time is over."""
    end = time.monotonic() + seconds
    while stage.reading.files > files and time.monotonic() < end:
        await asyncio.sleep(0.2)
    await asyncio.sleep(1)
    return stage.reading
