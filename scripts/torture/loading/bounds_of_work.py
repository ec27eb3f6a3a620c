"""Bounds of events, of webhooks that are waited for, and of apps that are open."""
import json

from loading.both_sides import AT_ONCE
from loading.stage import ITEM


async def events(bounds):
    await bounds.under("event", "POST", f"/_events/{'e' * 100}", {}, status=202)
    answer = await bounds.wire.ask("POST", bounds.path(f"/_events/{'e' * 2_000}"), {})
    if not 400 <= answer.status < 500 or answer.seconds > AT_ONCE:
        bounds.problems.append(f"a name of 2,000 bytes: {answer}")


async def hooks(bounds):
    """A webhook that never answers takes as long as it is given, and no longer."""
    answer = await bounds.wire.ask("POST", bounds.path("/slow"), {"value": "x"})
    bounds.count += 1
    if (answer.status, answer.code) != (502, "WEBHOOK_FAILED") or not 0.8 < answer.seconds < 2:
        bounds.problems.append(f"a webhook that never answers, of 1 s: {answer}")
    total = json.loads((await bounds.under("slow", "GET", "/slow")).body)["meta"]["total"]
    if total:
        bounds.problems.append(f"{total} rows are stored that the webhook has not agreed to")


async def open_apps(bounds):
    """More apps than may be open: each is answered when it is asked."""
    apps = [bounds.stage.make_app(f"_{number}", entities=[ITEM]) for number in range(5)]
    for app in apps * 2:
        answer = await bounds.under("open apps", "GET", f"/api/{app}/item")
        if answer.seconds > 2:
            bounds.problems.append(f"an app that had to be opened: {answer}")
