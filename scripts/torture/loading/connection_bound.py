"""More connections than the server takes, by its own bound or by that of the system."""
import argparse
import asyncio
import collections
import time

from kill9 import RoundFailure
from loading.figures import Spread
from loading.stage import ITEM, Stage, some_rows
from loading.verdict import refuse_with
from loading.wire import HUNG_UP, Answer, close_all, connect_all, newcomer, raise_file_limit

BOUND = 100
FEW_FILES = 300
MORE = 250  # connections beyond the bound
# Of those that come when there is no place: seconds until the answer, and until the end.
REFUSED_LIMIT, CLOSED_LIMIT = 5.0, 5.0
INSIDE_LIMIT = 5.0
KNOCKERS, KNOCK_SECONDS = 20, 3


def run_own_bound(options, directory, seed):
    """`server.max_connections` is small."""
    return run_full(options, directory, seed, "bound", {"server": {"max_connections": BOUND}}, BOUND)


def run_few_files(options, directory, seed):
    """The system lets the server have few files, of which half may be connections."""
    few = argparse.Namespace(**vars(options) | {"rocket": with_few_files(options.rocket, directory)})
    return run_full(few, directory, seed, "files", {}, FEW_FILES // 2)


def with_few_files(rocket, directory):
    script = directory / "rocket-with-few-files"
    script.write_text(f'#!/bin/sh\nulimit -n {FEW_FILES} && exec "{rocket}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script


def run_full(options, directory, seed, name, settings, bound):
    raise_file_limit(2 * (bound + MORE))
    rows = some_rows(100, seed)
    with Stage(options, directory, name, settings) as stage:
        app = stage.make_app(entities=[ITEM], rows=[("item", rows)])
        return asyncio.run(too_many(stage, app, rows, f"{name} of {bound}", bound))


async def too_many(stage, app, rows, name, bound):
    path = f"/api/{app}/item/{rows[0]['id']}"
    wires = await connect_all(stage.port, stage.token, bound + MORE, REFUSED_LIMIT + 5)
    first = await asyncio.gather(*(wire.ask("GET", path) for wire in wires))
    if stage.server.process.poll() is not None:
        raise RoundFailure(f"{name}: the server ENDED: {stage.server.last_words()}")
    inside = [wire for wire, answer in zip(wires, first) if answer.status == 200]
    outside = [wire for wire, answer in zip(wires, first) if answer.status != 200]
    refused = [answer for answer in first if answer.status != 200]
    problems = wrong_refusals(refused)
    # The connections by which the app was made may not have ended yet.
    if not bound - 5 <= len(inside) <= bound:
        problems.append(f"{len(inside)} connections were served")
    idle_cpu = await idle(stage)
    if idle_cpu > 0.2:
        problems.append(f"all places taken, and idle: {idle_cpu:.2f} CPUs are busy")
    await asyncio.sleep(max(0, CLOSED_LIMIT - IDLE_SECONDS))
    if left := sum(wire.is_open for wire in outside):
        problems.append(f"{left} of those that were refused are still open after {CLOSED_LIMIT} s")
    knocked, asked = await knock(stage, path, inside)
    problems += wrong_refusals(knocked) + await wrong_inside(inside, app, asked)
    if len(knocked) < KNOCKERS or len(asked) < bound:
        problems.append(f"only {len(knocked)} knocked, and {len(asked)} asked meanwhile")
    close_all(wires)
    late = await when_all_have_gone(stage, path)
    if late.status != 200:
        problems.append(f"when all had gone: a newcomer got {late}")
    counts = collections.Counter(each.status for each in first)
    line = (
        f"{name}, {len(wires)} connections at once: {dict(counts)}, refusals "
        f"{Spread(each.seconds for each in refused)}; idle {idle_cpu:.2f} CPUs; {len(knocked)} knocked in "
        f"{KNOCK_SECONDS} s and were refused ({Spread(each.seconds for each in knocked)}) while {len(asked)} requests "
        f"of those inside took {Spread(each.seconds for each in asked)}; served again {late.seconds * 1000:.1f} ms "
        f"after all had gone"
    )
    refuse_with([f"{name}: {each}" for each in problems], [line])
    return [line]


async def wrong_inside(inside, app, asked):
    """Those that were there before are served as if nobody knocked."""
    problems = [
        f"one that was there before got {answer}" for answer in asked
        if answer.status != 200 or answer.seconds > INSIDE_LIMIT
    ]
    if inside:
        write = await inside[0].ask("POST", f"/api/{app}/item", {"value": "at the bound"})
        if write.status != 201:
            problems.append(f"a write of one that was there before got {write}")
    return problems


def wrong_refusals(answers):
    problems = []
    for answer in answers:
        if (answer.status, answer.code) != (503, "UNAVAILABLE"):
            problems.append(f"one too many got {answer}")
        elif answer.header("Retry-After") is None or answer.header("Connection") != "close":
            problems.append(f"one too many is not told to come again: {answer.head}")
        elif answer.seconds > REFUSED_LIMIT:
            problems.append(f"one too many is answered late: {answer}")
    return problems


IDLE_SECONDS = 2


async def idle(stage):
    """CPUs that the server keeps busy while nobody asks."""
    await asyncio.sleep(1)
    start, since = stage.reading.cpu, time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    return (stage.reading.cpu - start) / (time.monotonic() - since)


async def knock(stage, path, inside):
    """Some come again and again and find no place, while those inside go on."""
    knocked, asked, end = [], [], time.monotonic() + KNOCK_SECONDS

    async def outsider():
        while time.monotonic() < end:
            knocked.append(await newcomer(stage.port, stage.token, path))

    async def insider(wire):
        while time.monotonic() < end:
            asked.append(await wire.ask("GET", path))

    await asyncio.gather(*(outsider() for _ in range(KNOCKERS)), *map(insider, inside))
    return knocked, asked


async def when_all_have_gone(stage, path, seconds=5):
    """The server may notice a little later that they have."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = await newcomer(stage.port, stage.token, path)
        except OSError as error:
            answer = Answer(HUNG_UP, b"", repr(error).encode(), 0)
        if answer.status == 200 or time.monotonic() > end:
            return answer._replace(seconds=time.monotonic() - end + seconds)
        await asyncio.sleep(0.05)
