"""Bounds of passwords that are tried: at once, and in all."""
import asyncio
import collections

from loading.both_sides import AT_ONCE, BOUNDS
from loading.figures import Spread
from loading.stage import Stage
from loading.verdict import refuse_with
from loading.wire import close_all, connect_all

HASHED, WAITING = 2, 64
PLACE_LIMIT = 15.0  # the 10 s for which a sign-in waits until others of its account are judged, and some way


def run_hashes(options, directory):
    """Two passwords are hashed at once and 64 wait; more are told to come again, at once."""
    with Stage(options, directory, "hashes", {"auth": {"failures_per_address": 1_000}}) as stage:
        return asyncio.run(strangers(stage, stage.make_app()))


async def strangers(stage, app, count=300):
    """Each by another name, so that none waits for others of its account; what is hashed is that nobody has it."""
    wires = await connect_all(stage.port, None, count)
    answers = await asyncio.gather(*(
        wire.ask("POST", f"/api/{app}/auth/login", {"email": f"{number}@b.example", "password": "wrong password"})
        for number, wire in enumerate(wires)
    ))
    close_all(wires)
    hashed = [answer for answer in answers if answer.status == 401]
    refused = [answer for answer in answers if answer.status != 401]
    problems = [
        f"a sign-in too many: {answer}" for answer in refused
        if (answer.status, answer.code) != (503, "UNAVAILABLE") or answer.header("Retry-After") is None
    ]
    # Those that were asked last were read last: until then the machine is busy with taking in the others.
    if not refused or min(answer.seconds for answer in refused) > AT_ONCE:
        problems.append(f"of {count} strangers at once {len(refused)} were refused, none of them at once")
    if len(hashed) < HASHED + WAITING:
        problems.append(f"of {count} strangers at once only {len(hashed)} were judged")
    line = (
        f"{count} passwords at once: {len(hashed)} judged ({Spread(each.seconds for each in hashed)}), {len(refused)} "
        f"refused ({Spread(each.seconds for each in refused)})"
    )
    refuse_with(problems, [line])
    return [line]


async def one_account(bounds, count=150):
    """As many sign-ins are judged at once as may fail; more wait, and then are told to come again."""
    wires = await connect_all(bounds.stage.port, None, count)
    body = {"email": "admin@localhost", "password": "changeme"}
    answers = await asyncio.gather(*(wire.ask("POST", bounds.path("/auth/login"), body) for wire in wires))
    close_all(wires)
    bounds.count += count
    counts = collections.Counter(answer.status for answer in answers)
    if set(counts) - {200, 503} or counts[200] < BOUNDS["auth"]["failures_per_account"]:
        bounds.problems.append(f"{count} sign-ins of one account at once: {dict(counts)}, {answers[-1]}")
    for answer in answers:
        if answer.seconds > PLACE_LIMIT:
            bounds.problems.append(f"a sign-in of one account, late: {answer}")
        if answer.status == 503 and (answer.header("Retry-After") is None or answer.code != "UNAVAILABLE"):
            bounds.problems.append(f"a sign-in too many of one account: {answer}")


async def sign_ins(bounds):
    """Last, for it locks this address out."""
    per_account, per_address = BOUNDS["auth"]["failures_per_account"], BOUNDS["auth"]["failures_per_address"]
    login = bounds.path("/auth/login")
    wrong = lambda name: {"email": f"{name}@b.example", "password": "wrong password"}  # noqa: E731
    for _ in range(per_account):
        answer = await bounds.wire.ask("POST", login, wrong("uploader"))
        if answer.status != 401:
            bounds.problems.append(f"a wrong password: {answer}")
    right = {"email": "uploader@b.example", "password": "p" * 12}
    await bounds.over("account", 429, "RATE_LIMITED", "", "POST", login, right)
    await bounds.under("another account", "POST", login, {"email": "admin@localhost", "password": "changeme"})
    for number in range(per_address - per_account):
        answer = await bounds.wire.ask("POST", login, wrong(f"nobody{number}"))
        if answer.status != 401:
            bounds.problems.append(f"a wrong password of another account: {answer}")
    admin = {"email": "admin@localhost", "password": "changeme"}
    await bounds.over("address", 429, "RATE_LIMITED", "", "POST", login, admin)
    # Who has signed in is not kept out.
    await bounds.under("signed in", "GET", "/item?per_page=1")
