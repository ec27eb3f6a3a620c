#!/usr/bin/env python3
"""An append-only journal on the disk of what clients sent and what they were told, and what it says of what is there.

    journal = Journal(path)
    number = journal.sent("create", "item", "3-17", {"marker": "3-17"})
    journal.answered(number, 201, text)        # or: journal.lost(number, error)
    problems = compare_rows(read(path).groups("item"), rows)

Its judges are shown to find what is wrong by `scripts/torture/journal.py --self-test`.

One line of JSON for each thing that happens, written before the request leaves and as soon as its status is known, so
that the journal knows more than any client remembers. It is read from the disk again for the comparison.

What became of a write, as far as its sender can know:

- ACKNOWLEDGED: 2xx. It is there, once, with its values.
- REFUSED: 4xx, 502, a connection that was refused, or a 503 that does not say that the change may have been stored (the
  HTTP API says that it then says so). It is not there.
- UNKNOWN: no answer, or a 503 that leaves it open. It may be there or not, but whole or not at all.
"""
import collections
import json
import os
import sys
import threading
import time

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"
# FailureTranslation.swift: "… was lost while the change was being stored: look whether it was".
MAY_BE_STORED = "look whether"


class Journal:
    """Lines are appended by one system call each, whatever thread writes them."""

    def __init__(self, path):
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.lock = threading.Lock()
        self.count = 0

    def sent(self, kind, entity, marker, body, key=None):
        """Before it leaves. Returns its number."""
        with self.lock:
            self.count += 1
            number = self.count
        what = {"kind": kind, "entity": entity, "marker": marker, "body": body, "key": key}
        self.write({"n": number, "event": "sent", **what})
        return number

    def answered(self, number, status, text=b"", **more):
        """Returns the fate. What comes with it (`id`, `replayed`) is what the answer said."""
        fate = fate_of(status, text)
        self.write({"n": number, "event": "answered", "status": status, "fate": fate, **more})
        return fate

    def lost(self, number, error):
        """There was no answer. Returns the fate."""
        fate = REFUSED if isinstance(error, ConnectionRefusedError) else UNKNOWN  # then nothing was sent
        self.write({"n": number, "event": "lost", "fate": fate, "why": repr(error)})
        return fate

    def seen(self, entity, marker, value):
        """A value that was read, or set before all began."""
        self.write({"event": "seen", "entity": entity, "marker": marker, "value": value})

    def write(self, line):
        text = json.dumps(line | {"at": round(time.time(), 4)}, ensure_ascii=False) + "\n"
        os.write(self.file, text.encode())

    def close(self):
        os.close(self.file)


def fate_of(status, text):
    if status < 300:
        return ACKNOWLEDGED
    if status == 503:
        return UNKNOWN if MAY_BE_STORED.encode() in text else REFUSED
    return REFUSED if status < 500 or status == 502 else UNKNOWN


class Operation:
    """One request that was sent, and what its sender was told of it."""

    def __init__(self, line):
        self.number, self.kind, self.entity, self.marker = line["n"], line["kind"], line["entity"], line["marker"]
        self.body, self.key, self.at = line["body"], line["key"], line["at"]
        self.fate, self.status, self.id, self.is_replayed, self.is_over = UNKNOWN, None, None, False, False

    def take(self, line):
        self.fate, self.status, self.is_over = line["fate"], line.get("status"), True
        self.id, self.is_replayed = line.get("id"), line.get("replayed", False)


class Record:
    """What the journal's file has, in its order."""

    def __init__(self, operations, events):
        self.operations = operations
        self.events = events  # (entity, marker, what, value) of values that change: their story

    def groups(self, entity):
        """The operations that make rows of an entity, by marker: one each, or several with the same Idempotency-Key."""
        groups = collections.defaultdict(list)
        for operation in self.operations:
            if operation.entity == entity and operation.kind != "update":
                groups[operation.marker].append(operation)
        return groups

    def stories(self, entity):
        """What happened to the values of an entity that change, by marker."""
        stories = collections.defaultdict(list)
        for of, marker, what, value in self.events:
            if of == entity:
                stories[marker].append((what, value))
        return stories

    def count(self, fate, kinds=()):
        return sum(operation.fate == fate and (not kinds or operation.kind in kinds) for operation in self.operations)

    def fates(self, entity):
        return {marker: group_fate(group) for marker, group in self.groups(entity).items()}


def read(path):
    operations, events = {}, []
    with open(path, encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            if line["event"] == "sent":
                operations[line["n"]] = Operation(line)
                continue
            if line["event"] == "seen":
                events.append((line["entity"], line["marker"], "seen", line["value"]))
                continue
            operation = operations[line["n"]]
            operation.take(line)
            if operation.kind == "update":
                events.append((operation.entity, operation.marker, operation.fate, operation.body))
    # What was never answered: whoever sent it was cut off with its journal.
    for operation in operations.values():
        if operation.kind == "update" and not operation.is_over:
            events.append((operation.entity, operation.marker, UNKNOWN, operation.body))
    return Record(list(operations.values()), events)


def group_fate(group):
    """Of requests that say the same under one key: one that was carried out is enough."""
    fates = {operation.fate for operation in group}
    return next(fate for fate in (ACKNOWLEDGED, UNKNOWN, REFUSED) if fate in fates)


# MARK: comparing


def compare_rows(groups, rows):
    """Rows that are made once, each known by its marker."""
    problems, found = [], collections.defaultdict(list)
    for row in rows:
        found[row["marker"]].append(row)
    for marker, copies in found.items():
        if len(copies) > 1:
            sent = len(groups.get(marker, []))
            ids = [copy["id"] for copy in copies]
            problems.append(f"{marker} is there {len(copies)} times; it was sent {sent} times: {ids}")
        if marker not in groups:
            problems.append(f"{marker} is there and was never sent")
    for marker, group in groups.items():
        problems += compare_group(marker, group, found.get(marker, []))
    return problems


def compare_group(marker, group, copies):
    problems, fate = [], group_fate(group)
    if fate == ACKNOWLEDGED and not copies:
        problems.append(f"{marker} ({group[0].kind}) was acknowledged and is LOST")
    if fate == REFUSED and copies:
        statuses = [operation.status for operation in group]
        problems.append(f"{marker} ({group[0].kind}) was refused ({statuses}), and it is THERE")
    ids = {operation.id for operation in group if operation.fate == ACKNOWLEDGED and operation.id}
    if len(ids) > 1:
        problems.append(f"{marker} was acknowledged with {len(ids)} ids: {sorted(map(str, ids))}")
    for row in copies:
        wrong = differences(group[0].body, row)
        if wrong:
            problems.append(f"{marker} has other values than were sent: {wrong}")
        if ids and row["id"] not in ids:
            problems.append(f"{marker} is there as {row['id']}, and was acknowledged as {sorted(map(str, ids))}")
    return problems


def differences(sent, row):
    """Of the plain fields; nested rows are compared by themselves."""
    plain = {name: value for name, value in sent.items() if not isinstance(value, (list, dict))}
    return {name: row.get(name) for name, value in plain.items() if row.get(name) != value}


def compare_nested(groups, parents, children, relation, key):
    """Each parent has the children that it was sent with, all of them; no child is without its parent."""
    problems, of_parents = [], collections.defaultdict(list)
    for child in children:
        of_parents[child[key]].append(child)
    for parent in parents:
        group = groups.get(parent["marker"])
        if not group:
            continue  # told of as a row that was never sent
        sent = sorted((child["marker"], child["position"]) for child in group[0].body[relation])
        there = sorted((child["marker"], child["position"]) for child in of_parents.pop(parent["id"], []))
        if sent != there:
            problems.append(f"{parent['marker']} is HALF DONE: of its {len(sent)} {relation} there are {there}")
    for id, left in of_parents.items():
        problems.append(f"there are {len(left)} {relation} of {id}, which is not there: {left[0]['marker']} …")
    return problems


def compare_stories(stories, values):
    """Values that are changed again and again, under If-Match: what was acknowledged or read is never undone.

    A write whose answer was lost may come into force later, as long as nothing else was acknowledged: then its
    If-Match names a version that is gone.
    """
    problems = []
    for marker, story in stories.items():
        known, maybes = None, []
        for what, value in [*story, ("seen", values.get(marker))]:
            if what == "seen":
                if known is not None and value != known and value not in maybes:
                    problems.append(f"{marker}: {known} was known, {maybes} may be, and {value} is there: UNDONE")
                known = value
            elif what == ACKNOWLEDGED:
                known, maybes = value, []
            elif what == UNKNOWN:
                maybes.append(value)
    problems += [f"{marker} is there and was never made" for marker in values.keys() - stories.keys()]
    return problems


def figures(record):
    """One line that says what was tried."""
    fates = collections.Counter(operation.fate for operation in record.operations)
    replayed = sum(operation.is_replayed for operation in record.operations)
    again = sum(len(group) > 1 for group in by_key(record).values())
    return (
        f"{len(record.operations)} writes: {fates[ACKNOWLEDGED]} acknowledged, {fates[REFUSED]} refused, "
        f"{fates[UNKNOWN]} unknown; {again} keys sent again, {replayed} of the answers were the first one's"
    )


def by_key(record):
    groups = collections.defaultdict(list)
    for operation in record.operations:
        if operation.key:
            groups[operation.key].append(operation)
    return groups


def landed(record, entity, rows):
    """How many writes without a known fate came into force, and how many did not."""
    there = {row["marker"] for row in rows}
    unknown = [marker for marker, fate in record.fates(entity).items() if fate == UNKNOWN]
    return sum(marker in there for marker in unknown), sum(marker not in there for marker in unknown)


if __name__ == "__main__":
    if sys.argv[1:] != ["--self-test"]:
        sys.exit(__doc__)
    import journal_mutations

    journal_mutations.main()
