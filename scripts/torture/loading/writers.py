"""The part `writers`: races of many writers of one app, each with exactly one winner."""
import asyncio
import itertools
import json
import random
import time
import uuid

from loading.figures import Spread
from loading.stage import ITEM, Stage, entity, stored
from loading.verdict import Tally, refuse_with
from loading.wire import close_all, connect_all, for_seconds

WRITERS = 64
COUNTER = entity("counter", {"number": {"type": "int", "default": 0}, "note": "text"})
TASK = entity("task", {"status": "string", "owner": "string"})
TASK_STATES = {
    "entity": "task", "field": "status",
    "definition": {
        "initial": "open", "transitions": [{"from": "open", "to": f"s{number}"} for number in range(WRITERS)],
    },
}
NAMED = entity("named", {"name": {"type": "string", "required": True, "unique": True}, "by": "int"})
PAGE = entity(
    "page", {"title": {"type": "string", "required": True}, "slug": {"type": "string", "unique": True}},
    slug={"field": "slug", "source": "title"},
)


def run_writers(options, directory, seed):
    with Stage(options, directory, "writers") as stage:
        app = stage.make_app(entities=[ITEM, COUNTER, TASK, NAMED, PAGE], state_machines=[TASK_STATES])
        return asyncio.run(write_all(stage, app, seed))


async def write_all(stage, app, seed):
    wires = await connect_all(stage.port, stage.token, WRITERS)
    lines, problems = [], []
    for race in (own_rows, counters, transitions, unique_values, slugs, same_keys):
        line, wrong = await race(stage, app, wires, seed)
        lines.append(line)
        problems += [f"{race.__name__}: {each}" for each in wrong]
    stage.must_live()
    close_all(wires)
    refuse_with(problems, lines)
    return lines


async def own_rows(stage, app, wires, seed):
    """Creates and updates; what was acknowledged last is what is stored."""
    tally, last, mine = Tally(), {}, [[] for _ in wires]

    async def work(number, is_over):
        draw = random.Random(f"{seed}-{number}")
        for count in itertools.count():
            if is_over():
                return
            body = {"value": f"{number}-{count}", "note": "n" * draw.randrange(500), "number": count}
            if not mine[number] or draw.random() < 0.5:
                answer = await wires[number].ask("POST", f"/api/{app}/item", body)
                tally.note("create", answer, good=(201,))
                if answer.status == 201:
                    mine[number].append(answer.data["id"])
                    last[mine[number][-1]] = body
            else:
                id = draw.choice(mine[number])
                answer = await wires[number].ask("PUT", f"/api/{app}/item/{id}", body)
                tally.note("update", answer, good=(200,))
                if answer.status == 200:
                    last[id] = body

    await for_seconds(stage.options.seconds, work, WRITERS)
    rows = {row["id"]: row for row in stored(stage.admin, app, "item")}
    problems = list(tally.problems)
    for id, body in last.items():
        if id not in rows:
            problems.append(f"{id} was acknowledged and is LOST")
        elif any(rows[id][name] != value for name, value in body.items()):
            problems.append(f"{id} has not what was acknowledged last: {rows[id]}"[:300])
    if len(rows) != len(last) or len(last) < WRITERS:
        problems.append(f"{len(rows)} rows are there, {len(last)} were acknowledged")
    rate = len(tally.all_times) / stage.options.seconds
    return f"own rows: {rate:.0f} writes/s by {WRITERS}, {Spread(tally.all_times)}; {tally.line()}, all there", problems


async def counters(stage, app, wires, seed, rows=4, each=10):
    """Reads a number and writes the next one, if nobody else has."""
    tally, ids = Tally(), []
    for _ in range(rows):
        ids.append((await wires[0].ask("POST", f"/api/{app}/counter", {})).data["id"])

    async def work(number):
        path = f"/api/{app}/counter/{ids[number % rows]}"
        left = each
        while left and not tally.problems:
            read = tally.note("read", await wires[number].ask("GET", path), good=(200,))
            if read.status != 200:
                return
            body, condition = {"number": read.data["number"] + 1}, [f"If-Match: {read.header('ETag')}"]
            answer = tally.note("write", await wires[number].ask("PUT", path, body, condition), good=(200, 412))
            left -= answer.status == 200

    begin = time.monotonic()
    await asyncio.gather(*(work(number) for number in range(WRITERS)))
    seconds = time.monotonic() - begin
    found = [(await wires[0].ask("GET", f"/api/{app}/counter/{id}")).data["number"] for id in ids]
    wanted = [each * sum(number % rows == place for number in range(WRITERS)) for place in range(rows)]
    problems = list(tally.problems)
    if found != wanted:
        problems.append(f"the counters are {found}, after {wanted} acknowledged increments")
    if not tally.count("write", 412):
        problems.append("nobody met anybody")
    return (
        f"counters by If-Match: {sum(wanted)} increments in {seconds:.1f} s, {tally.count('write', 412)} × 412, "
        f"{Spread(tally.times['write'])}; exact"
    ), problems


async def transitions(stage, app, wires, seed, rounds=20):
    """All take one open task at once, each to a state of its own, from which no way leads on."""
    problems, times = [], []
    for turn in range(rounds):
        made = await wires[0].ask("POST", f"/api/{app}/task", {})
        path = f"/api/{app}/task/{made.data['id']}"
        answers = await asyncio.gather(*(
            wire.ask("PUT", path, {"status": f"s{number}", "owner": f"{number}"}) for number, wire in enumerate(wires)
        ))
        times += [answer.seconds for answer in answers]
        winners = [number for number, answer in enumerate(answers) if answer.status == 200]
        problems += [f"task {turn}: {answer}" for answer in answers if answer.status not in (200, 422)]
        row = (await wires[0].ask("GET", path)).data
        if len(winners) != 1 or (row["status"], row["owner"]) != (f"s{winners[0]}", f"{winners[0]}"):
            problems.append(f"task {turn} was won by {winners}, and is {row}")
    return f"transitions: {rounds} races of {WRITERS} with one winner each, {Spread(times)}", problems


async def unique_values(stage, app, wires, seed, rounds=20):
    problems, times = [], []
    for turn in range(rounds):
        answers = await asyncio.gather(*(
            wire.ask("POST", f"/api/{app}/named", {"name": f"name {turn}", "by": number})
            for number, wire in enumerate(wires)
        ))
        times += [answer.seconds for answer in answers]
        winners = [number for number, answer in enumerate(answers) if answer.status == 201]
        problems += [f"name {turn}: {answer}" for answer in answers if answer.status not in (201, 409)]
        if len(winners) != 1:
            problems.append(f"name {turn} was won by {winners}")
    rows = stored(stage.admin, app, "named")
    if len(rows) != rounds or len({row["name"] for row in rows}) != rounds:
        problems.append(f"{len(rows)} rows for {rounds} names")
    return f"unique values: {rounds} races of {WRITERS} with one winner each, {Spread(times)}", problems


async def slugs(stage, app, wires, seed, rounds=3):
    problems, found, times = [], set(), []
    for _ in range(rounds):
        answers = await asyncio.gather(*(wire.ask("POST", f"/api/{app}/page", {"title": "The same"}) for wire in wires))
        problems += [f"{answer}" for answer in answers if answer.status != 201]
        found |= {answer.data["slug"] for answer in answers if answer.status == 201}
        times += [answer.seconds for answer in answers]
    if len(found) != rounds * WRITERS - len(problems):
        problems.append(f"{len(found)} slugs for {rounds * WRITERS} pages")
    return f"slugs: {len(found)} of one title, {Spread(times)}", problems


async def same_keys(stage, app, wires, seed, rounds=10):
    problems, replayed, times = [], 0, []
    before = await wires[0].ask("GET", f"/api/{app}/item?per_page=1")
    for turn in range(rounds):
        key = [f"Idempotency-Key: {uuid.uuid4()}"]
        answers = await asyncio.gather(*(
            wire.ask("POST", f"/api/{app}/item", {"value": f"key {turn}"}, key) for wire in wires
        ))
        times += [answer.seconds for answer in answers]
        problems += [f"key {turn}: {answer}" for answer in answers if answer.status != 201]
        replayed += sum(answer.header("Idempotency-Replayed") == "true" for answer in answers)
        if len({answer.body for answer in answers}) != 1:
            problems.append(f"key {turn}: answers that differ")
    after = await wires[0].ask("GET", f"/api/{app}/item?per_page=1")
    made = json.loads(after.body)["meta"]["total"] - json.loads(before.body)["meta"]["total"]
    if made != rounds or replayed != rounds * (WRITERS - 1):
        problems.append(f"{rounds} keys made {made} rows, and {replayed} answers were replayed")
    return f"idempotency keys: {rounds} of {WRITERS} at once made {made} rows, {Spread(times)}", problems
