"""Every value of the corpus at every place of a body that is right otherwise, and what is accepted is put to use.

Wrong is a member that nobody knows and that is accepted, a value stored as another one, metadata that is a fault when it
runs, and a route whose right body is refused: nothing would be tried there.
"""
import json
import zlib

import corpus
from app import APP, TYPES
from corpus import pick
from judge import judge_caller
from routes import ADMIN, ANONYMOUS, USER, caller_of
from stored_values import judge_stored

SLOT = "@@slot@@"


def leaves(template, path=()):
    """The place of every value in a body, of those that hold others too, and of a member that nobody knows."""
    if path:
        yield path
    if isinstance(template, dict):
        for name, value in template.items():
            yield from leaves(value, (*path, name))
        yield (*path, "nobody_knows")
    elif isinstance(template, list):
        for place, value in enumerate(template):
            yield from leaves(value, (*path, place))


def with_value(template, path, raw):
    """The body as bytes, with a raw value at a place."""
    def put(value, rest):
        if not rest:
            return SLOT
        if isinstance(value, dict):
            return value | {rest[0]: put(value.get(rest[0]), rest[1:])}
        return [put(item, rest[1:]) if place == rest[0] else item for place, item in enumerate(value)]
    return json.dumps(put(template, path)).encode().replace(f'"{SLOT}"'.encode(), raw, 1)


def dotted(path):
    return ".".join(map(str, path))


def try_values(judge, stage, tried, share):
    """Every value at every place of a body that is right otherwise; documents there, too."""
    values = corpus.values(is_quick=share < 1)
    documents = [document for document in corpus.documents(is_quick=True) if not document.is_large]
    for route in tried:
        if not route.takes_body or route.path.endswith("/upload"):
            continue
        role, accepted = caller_of(route), 0
        is_create = route.is_of_records and route.method == "POST"
        for kind in range(len(stage.bodies(route))):
            # As it is, so that what follows is refused for its value and for nothing else.
            accepted += try_value(judge, stage, route, role, kind, (), None)
            as_it_is = judge.last
            places = list(leaves(stage.bodies(route)[kind]))
            # A small sample is of some places, too.
            places = pick(places, max(6, int(len(places) * share * 12)), f"{route} {kind} places")
            for path in places:
                few = max(
                    1, int((140 if is_create else 40 if route.is_of_records or "/test" in route.path else 14) * share)
                )
                for raw in pick(values, few, f"{route} {path} {kind}"):
                    try_value(judge, stage, route, role, kind, path, raw)
                is_third = share == 1 or zlib.crc32(f"{route} {path}".encode()) % 3 == 0
                for document in pick(documents, max(1, few // 6), f"{route} {path} {kind} d") if is_third else ():
                    try_value(judge, stage, route, role, kind, path, document.text)
                for other in (USER, ANONYMOUS) if share == 1 or zlib.crc32(f"{route} {path}".encode()) % 8 == 0 else ():
                    try_value(judge, stage, route, other, kind, path, pick(values, 1, f"{route} {path} {other}")[0])
        if not accepted and not is_refused_as_it_is(route):
            judge.wrong(
                f"nothing was accepted: {route}",
                f"a right body is refused, so that this has tested nothing: {as_it_is.status} {as_it_is.body[:300]!r}"
            )
        stage.sweep() if route.is_of_records or "/_batch" in route.path else None


def is_refused_as_it_is(route):
    """Where a right body is refused on purpose: it names a token, a password or a name that are not to be had."""
    return route.path.endswith(
        ("/refresh", "/password", "/reset", "/accept-invite", "/delegate")
    ) or str(route) == "POST /api/_platform/apps"


def try_value(judge, stage, route, role, kind, path, raw):
    """Returns whether it was accepted."""
    target = stage.target(route)
    template = stage.bodies(route)[kind]
    body = json.dumps(template).encode() if raw is None else with_value(template, path, raw)
    must = None if raw is None or corpus.verdict(body) == corpus.JSON else "be refused"
    if path[-1:] == ("nobody_knows",) and not may_have_any_member(route, path):
        must = "be refused"
    if route.path.endswith("/import") and raw is not None and zlib.crc32(body) % 2:
        # As it is, the file would not do for that: what it lacks is to be removed.
        target += b"?mode=apply&dry_run=true"
    answer = judge.ask(route, f"value of {dotted(path)}", repr(raw)[:100], target, body, role, must=must)
    judge_caller(judge, route, role, answer, f"value of {dotted(path)} {raw!r:.100}")
    if answer.status == 201 and len(path) == 1 and route.is_of_records and must is None and path[0] in TYPES:
        judge_stored(judge, path[0], raw, answer)
    if 200 <= answer.status < 300 and role == ADMIN and "/_admin/" in route.path and "dry_run" not in target.decode():
        exercise(judge, route, path, raw)
    stage.clean_up(route, answer, target.split(b"?")[0]) if b"dry_run" not in target else None
    return 200 <= answer.status < 300


def may_have_any_member(route, path):
    """Objects that take whatever members they are given."""
    free = {
        "any", "payload", "attributes", "headers", "values", "default", "record", "old", "context", "form",
        "sample_data"
    }
    is_free = route.path.endswith((":event", "/import")) or "_users" in path
    return is_free or bool(free & set(path))


def exercise(judge, route, path, raw):
    """Runs what was accepted as metadata: it may not be a fault when it is used."""
    name = f"runs what was accepted at {route}"
    if route.path.split("/")[4] in ("rules", "state-machines"):
        body = {
            "text": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "prose": "long enough", "whole": 5, "exact": 1.5,
            "any": {"a": [1]}
        }
        made = judge.tidy("POST", f"/api/{APP}/victim", body)
        if made.status == 201:
            id = made.json()["data"]["id"]
            for change in ({"phase": "done"}, {"phase": "gone", "text": None}):
                judge.tidy("PUT", f"/api/{APP}/victim/{id}", change)
            judge.tidy("DELETE", f"/api/{APP}/victim/{id}")
    elif "permissions" in route.path:
        for method, body in (("GET", None), ("POST", {"text": "x", "whole": 1})):
            answer = judge.tidy(method, f"/api/{APP}/victim", body, USER)
            if answer.status == 201:
                judge.tidy("DELETE", f"/api/{APP}/victim/{answer.json()['data']['id']}")
    else:
        return
    judge.positions[name.split(" ")[0]] += 1
