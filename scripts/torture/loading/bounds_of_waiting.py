"""The bound of callers that wait for a row."""
import asyncio
import collections

from loading.figures import Spread
from loading.stage import ITEM, Stage
from loading.pool import POOL
from loading.verdict import refuse_with
from loading.wire import Wire, close_all, connect_all
from webhook_receiver import Receiver

WAITING, WAIT_SECONDS = 1_024, 10


def run_waiting(options, directory):
    settings = {"app_pool_size": POOL, "webhooks": {"sync_timeout_s": 4}}
    with Receiver(delay=3) as receiver, Stage(options, directory, "waiting", settings) as stage:
        app = stage.make_app(entities=[ITEM])
        webhook = {
            "entity": "item", "hook": "before_write", "url": receiver.url("/slow"), "condition": "record.number == -1",
        }
        stage.admin.call("POST", f"/api/{app}/_admin/webhooks", webhook, expect=201)
        return asyncio.run(waiting_callers(stage, app))


async def waiting_callers(stage, app):
    """A write keeps a row for three seconds; far more want it than may wait."""
    holder = await Wire.connect(stage.port, stage.token)
    id = (await holder.ask("POST", f"/api/{app}/item", {"value": "one"})).data["id"]
    count = WAITING + 300
    wires = await connect_all(stage.port, stage.token, count)
    holding = asyncio.create_task(holder.ask("PUT", f"/api/{app}/item/{id}", {"number": -1}))
    await asyncio.sleep(0.5)
    answers = await asyncio.gather(*(
        wire.ask("PUT", f"/api/{app}/item/{id}", {"number": number}) for number, wire in enumerate(wires)
    ))
    held = await holding
    close_all(wires)
    counts = collections.Counter(answer.status for answer in answers)
    refused = [answer for answer in answers if answer.status == 503]
    problems = [f"{answer}" for answer in answers if answer.status not in (200, 503)]
    problems += [f"no Retry-After: {answer}" for answer in refused if answer.header("Retry-After") is None]
    at_once = [answer for answer in refused if answer.seconds < 2.5]  # before the row came free
    late = [answer for answer in answers if answer.seconds > WAIT_SECONDS + 5]
    problems += [f"an answer after {answer.seconds:.1f} s" for answer in late[:3]]
    if held.status != 200:
        problems.append(f"the one that held the row: {held}")
    if not at_once:
        problems.append(f"{count} callers at once, and none was refused at once: {dict(counts)}")
    if counts[200] < WAITING / 2:
        problems.append(f"of {count} callers only {counts[200]} were served")
    final = (await holder.ask("GET", f"/api/{app}/item/{id}")).data["number"]
    winners = {number for number, answer in enumerate(answers) if answer.status == 200}
    if final not in winners:
        problems.append(f"the row has {final}, which nobody was told of")
    line = (
        f"{count} callers of a row that is held: {dict(counts)}, {len(at_once)} of them refused at once "
        f"({Spread(answer.seconds for answer in at_once)}), the others "
        f"{Spread(answer.seconds for answer in answers if answer not in at_once)}"
    )
    refuse_with(problems, [line])
    return [line]
