"""Spoils what a journal is compared with in one way after the other: each must be told of, and what is right must not.

    scripts/torture/journal.py --self-test

A small run is made up: what was sent and answered, what is there, what receivers heard. The judges of postgres_stops.py
and fault_points.py must find nothing wrong with it. Then each function below spoils one thing, and they must complain
in the words that are said beside it. It is a fault where one of them says nothing, or something else.
"""
import contextlib
import copy
import json
import pathlib
import random
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import fault_points
from journal import ACKNOWLEDGED, REFUSED, UNKNOWN, Journal, compare_stories, fate_of, read
from kill9_workflows import PATH, WORKFLOW
from postgres_stops import (
    CONNECTIONS, START_MONEY, STEPS, World, judge, judge_answers, judge_efforts,
)
from kill9_webhooks import HOOKS
from webhook_receiver import Delivery

LOST = OSError("reset")
MAY_BE = b"the connection was lost while the change was being stored: look whether it was"
MUTATIONS = []  # (function, words)


def mutation(words):
    """Marks what spoils a world, and how that is to be said."""
    def mark(function):
        MUTATIONS.append((function, words))
        return function
    return mark


# MARK: what was sent, and what is there


def make_journal(path):
    journal = Journal(path)

    def send(kind, entity, marker, body, fate, id=None, key=None, **more):
        number = journal.sent(kind, entity, marker, body, key)
        if fate == ACKNOWLEDGED:
            journal.answered(number, 201, b"", id=id, **more)
        elif fate == REFUSED:
            journal.answered(number, 503, b"the database can't be reached")
        else:
            journal.lost(number, LOST)

    send("create", "item", "a", item("a"), ACKNOWLEDGED, "item-a")
    send("create", "item", "b", item("b"), REFUSED)
    send("create", "item", "c", item("c"), UNKNOWN)
    send("create", "item", "d", item("d"), UNKNOWN)
    send("keyed", "item", "k", item("k"), UNKNOWN, key="key")
    send("keyed", "item", "k", item("k"), ACKNOWLEDGED, "item-k", key="key", replayed=True)
    send("nested", "parent", "p", parent("p"), ACKNOWLEDGED, "parent-p")
    send("nested", "parent", "q", parent("q"), UNKNOWN)
    send("job", "job", "j", {"marker": "j", "number": 3}, ACKNOWLEDGED, "job-j")
    for number in range(CONNECTIONS):
        journal.seen("account", f"pair {number}", START_MONEY)
    journal.seen("counter", "counter 0", [0])
    send("update", "counter", "counter 0", [1], ACKNOWLEDGED)
    send("update", "counter", "counter 0", [2], UNKNOWN)
    send("update", "account", "pair 0", [990, 1010], ACKNOWLEDGED)
    journal.close()


def item(marker):
    return {"marker": marker, "number": 7, "note": "ä\n"}


def parent(marker):
    return {"marker": marker, "number": 7, "lines": [{"marker": f"{marker}/{at}", "position": at} for at in range(2)]}


class MadeUpWorld(World):
    def __init__(self):
        self.rows = {
            "item": [item(marker) | {"id": f"item-{marker}"} for marker in "ack"],
            "parent": [{"id": f"parent-{marker}", "marker": marker, "number": 7} for marker in "pq"],
            "line": [line | {"parent_id": f"parent-{marker}"} for marker in "pq" for line in parent(marker)["lines"]],
            "counter": [{"marker": "counter 0-0", "value": 2}],
            "account": [
                {"marker": f"pair {number}-{at}", "balance": [990, 1010][at] if number == 0 else START_MONEY[at]}
                for number in range(CONNECTIONS) for at in range(2)
            ],
            "job": [{"id": "job-j", "marker": "j", "number": 3, "status": "kept"}],
            "trace": [{"item_id": "job-j", "place": place} for place in ("before", "after")],
            "note": [{"item_id": "job-j", "marker": "j", "text": "j has 3"}],
        }
        self.told = [told(hook, marker) for hook in HOOKS for marker in "ack"]
        self.instances = {"flow-j": instance("flow-j", "job-j")}
        self.deliveries = [call("flow-j", "call-j")]

    @property
    def items(self):
        return {row["id"]: row for row in self.rows["job"]}


def told(hook, marker, id=None, note="", status=200):
    id = id or f"{hook}-{marker}"
    body = {
        "event": "after_write", "action": "create", "entity": "item", "idempotency_key": id,
        "record": {"marker": marker, "note": note},
    }
    return Delivery(hook, id, json.dumps(body).encode(), 0.0, status)


def instance(id, record):
    history = [{"step": step, "status": status} for step, status in STEPS]
    return {"id": id, "record_id": record, "status": "completed", "context": {"marker": "j"}, "history": history}


def call(instance_id, key, status=200):
    body = {"workflow": WORKFLOW, "step": "tell", "idempotency_key": key, "instance_id": instance_id}
    return Delivery(PATH, key, json.dumps(body).encode(), 0.0, status)


# MARK: rows


@mutation("a (create) was acknowledged and is LOST")
def a_row_is_gone(world):
    del world.rows["item"][0]


@mutation("k (keyed) was acknowledged and is LOST")
def a_row_of_a_key_is_gone(world):
    del world.rows["item"][2]


@mutation("k is there 2 times")
def a_key_made_two_rows(world):
    world.rows["item"].append(item("k") | {"id": "item-k2"})


@mutation("c is there 2 times")
def an_unanswered_row_is_there_twice(world):
    world.rows["item"].append(item("c") | {"id": "item-c2"})


@mutation("k is there as item-x, and was acknowledged as ['item-k']")
def the_row_of_a_key_is_another_one(world):
    world.rows["item"][2]["id"] = "item-x"


@mutation("a has other values")
def a_value_is_another_one(world):
    world.rows["item"][0]["number"] = 8


@mutation("c has other values")
def an_unanswered_row_is_half_there(world):
    world.rows["item"][1]["note"] = None


@mutation("b (create) was refused")
def a_refused_row_is_there(world):
    world.rows["item"].append(item("b") | {"id": "item-b"})


@mutation("x is there and was never sent")
def a_row_is_there_that_nobody_sent(world):
    world.rows["item"].append(item("x") | {"id": "item-x"})


@mutation("j (job) was acknowledged and is LOST")
def a_job_is_gone(world):
    world.rows["job"].clear()


# MARK: nested rows


@mutation("p (nested) was acknowledged and is LOST")
def a_parent_is_gone(world):
    del world.rows["parent"][0]


@mutation("there are 2 lines of parent-p, which is not there")
def children_are_there_without_their_parent(world):
    del world.rows["parent"][0]


@mutation("p is HALF DONE")
def an_acknowledged_parent_lacks_a_child(world):
    del world.rows["line"][0]


@mutation("q is HALF DONE")
def an_unanswered_parent_lacks_a_child(world):
    del world.rows["line"][3]


@mutation("q is HALF DONE")
def a_parent_lacks_all_children(world):
    del world.rows["line"][2:]


@mutation("p is HALF DONE")
def a_child_is_there_twice(world):
    world.rows["line"].append(dict(world.rows["line"][0]))


@mutation("p is HALF DONE")
def a_child_has_another_value(world):
    world.rows["line"][0]["position"] = 5


@mutation("q is HALF DONE")
def a_child_is_with_another_parent(world):
    world.rows["line"][2]["parent_id"] = "parent-p"


@mutation("there are 1 lines of None")
def a_child_has_no_parent(world):
    world.rows["line"].append({"marker": "p/0", "position": 0, "parent_id": None})


# MARK: values that change


@mutation("counter 0: [1] was known, [[2]] may be, and [0] is there: UNDONE")
def a_change_is_undone(world):
    world.rows["counter"][0]["value"] = 0


@mutation("and [3] is there: UNDONE")
def a_value_is_there_that_nobody_sent(world):
    world.rows["counter"][0]["value"] = 3


@mutation("and None is there: UNDONE")
def a_value_is_gone(world):
    world.rows["counter"].clear()


@mutation("counter 1 is there and was never made")
def a_value_is_there_that_nobody_made(world):
    world.rows["counter"].append({"marker": "counter 1-0", "value": 0})


@mutation("pair 0: [990, 1010] was known")
def half_of_a_batch_is_undone(world):
    world.rows["account"][0]["balance"] = 1000


@mutation("in all accounts, and there are")
def money_came(world):
    world.rows["account"][0]["balance"] = 1000


# MARK: what receivers heard


@mutation("/first was NEVER TOLD")
def a_webhook_was_not_told(world):
    del world.told[0]


@mutation("a at /first came with 2 webhook-ids")
def a_delivery_has_two_ids(world):
    world.told.append(told("/first", "a", id="another"))


@mutation("has the webhook-id of")
def two_deliveries_have_one_id(world):
    world.told[1] = told("/first", "c", id="/first-a")


@mutation("came with different bodies")
def a_delivery_has_two_bodies(world):
    world.told.append(told("/first", "a", note="other"))


@mutation("/first was told of d (unknown), which is NOT STORED")
def a_webhook_was_told_of_what_is_not_there(world):
    world.told.append(told("/first", "d"))


@mutation("was told of b (refused), which is NOT STORED")
def a_webhook_was_told_of_what_was_refused(world):
    world.told.append(told("/first", "b"))


@mutation("given up before it was answered 2xx")
def a_delivery_was_given_up(world):
    world.told[0] = told("/first", "a", status=500)


@mutation("got a body that is no event")
def a_delivery_is_cut(world):
    world.told.append(Delivery(HOOKS[0], "x", b'{"event": "aft', 0.0, 200))


# MARK: workflows


@mutation("j (acknowledged) has 0 instances")
def a_workflow_was_not_started(world):
    world.instances.clear()


@mutation("j (acknowledged) has 2 instances")
def a_workflow_was_started_twice(world):
    world.instances["flow-2"] = instance("flow-2", "job-j")


@mutation("which is NOT STORED")
def a_workflow_was_started_of_nothing(world):
    world.instances["flow-2"] = instance("flow-2", "job-x")


@mutation("is running with the history")
def a_workflow_is_not_over(world):
    world.instances["flow-j"]["status"] = "running"


@mutation("is completed with the history")
def a_step_was_done_twice(world):
    world.instances["flow-j"]["history"].insert(0, world.instances["flow-j"]["history"][0])


@mutation("is completed with the history")
def a_step_was_left_out(world):
    del world.instances["flow-j"]["history"][1]


@mutation("has the notes ['j has 3', 'j has 3']")
def a_transaction_step_had_its_effect_twice(world):
    world.rows["note"] *= 2


@mutation("has the notes []")
def a_transaction_step_had_no_effect(world):
    world.rows["note"].clear()


@mutation("traces [2, 1]")
def an_effect_before_a_call_is_there_twice(world):
    world.rows["trace"].append(dict(world.rows["trace"][0]))


@mutation("traces [1, 0]")
def an_effect_behind_a_call_is_missing(world):
    del world.rows["trace"][1]


@mutation("j is begun")
def the_last_step_is_half_done(world):
    world.rows["job"][0]["status"] = "begun"


@mutation("of job-x, which is no job")
def an_effect_is_of_no_job(world):
    world.rows["note"].append({"item_id": "job-x", "marker": "x", "text": "x has 1"})


@mutation("NEVER CALLED")
def a_call_was_not_made(world):
    world.deliveries.clear()


@mutation("came with 2 keys")
def a_call_has_two_keys(world):
    world.deliveries.append(call("flow-j", "call-2"))


@mutation("was never answered 2xx")
def a_call_was_given_up(world):
    world.deliveries[0] = call("flow-j", "call-j", status=500)


@mutation("there was a call of the instance flow-x, which is NOT STORED")
def a_call_is_of_no_workflow(world):
    world.deliveries.append(call("flow-x", "call-x"))


# MARK: the test


def try_mutations(record):
    """Returns what was wrong with the judges."""
    wrong = [f"what is right is complained of: {problem}" for problem in judge(record, MadeUpWorld())]
    twice = MadeUpWorld()
    twice.told *= 2
    twice.deliveries *= 2
    wrong += [f"a delivery that came twice is complained of: {problem}" for problem in judge(record, twice)]
    less = MadeUpWorld()
    less.rows["counter"][0]["value"] = 1
    wrong += [f"a change without an answer may not have happened: {problem}" for problem in judge(record, less)]
    for spoil, words in MUTATIONS:
        world = MadeUpWorld()
        spoil(world)
        problems = judge(record, world)
        if not any(words in problem for problem in problems):
            wrong.append(f"{spoil.__name__}: expected “{words}”, and was told {problems}")
    return wrong


def expect(name, problems, words):
    """`words` is None where nothing is to be said."""
    is_right = not problems if words is None else any(words in problem for problem in problems)
    return [] if is_right else [f"{name}: expected “{words}”, and was told {problems}"]


def try_fates():
    fates = {
        (200, b""): ACKNOWLEDGED, (201, b""): ACKNOWLEDGED, (400, b""): REFUSED, (412, b""): REFUSED,
        (502, b""): REFUSED, (503, b"the database can't be reached"): REFUSED, (503, MAY_BE): UNKNOWN,
        (500, b""): UNKNOWN,
    }
    return [
        f"{status} {text} is {fate_of(status, text)}" for (status, text), fate in fates.items()
        if fate_of(status, text) != fate
    ]


def try_journals(folder):
    """What only the journal says: answers that contradict each other, and a sender that was cut off."""
    path = folder / "other.jsonl"
    journal = Journal(path)
    for id in ("1", "2"):
        journal.answered(journal.sent("keyed", "item", "k", item("k"), "key"), 201, b"", id=id)
    journal.sent("create", "item", "cut", item("cut"))
    journal.seen("counter", "x", [0])
    journal.sent("update", "counter", "x", [1])
    journal.lost(journal.sent("create", "item", "unsent", item("unsent")), ConnectionRefusedError())
    record, world = read(path), MadeUpWorld()
    for rows in world.rows.values():
        rows.clear()
    world.rows["item"] = [item("k") | {"id": "1"}]
    problems = judge(record, world)
    wrong = expect("two answers of a key", problems, "k was acknowledged with 2 ids")
    fates = record.fates("item")
    if fates != {"k": ACKNOWLEDGED, "cut": UNKNOWN, "unsent": REFUSED}:
        wrong.append(f"the fates are {fates}")
    story = record.stories("counter")
    for value, words in (([0], None), ([1], None), ([2], "UNDONE")):
        wrong += expect(f"a change that was cut off, and {value}", compare_stories(story, {"x": value}), words)
    # What was seen is known from then on.
    back = {"x": [("seen", [0]), (UNKNOWN, [1]), ("seen", [1])]}
    wrong += expect("a value that was seen and goes back", compare_stories(back, {"x": [0]}), "UNDONE")
    return wrong


def try_efforts(record):
    return [
        *expect("all was tried", judge_efforts(record, ["create", "nested"], True), None),
        *expect("no batch", judge_efforts(record, ["batch"], True), "no batch was acknowledged"),
        *expect("slow", judge_answers([(0, 200, 9.0, "read")], [], 8), "took longer than"),
        *expect("503 in between", judge_answers([(5, 503, 0.1, "read")], [(6, 9)], 8), None),
        *expect("503 when all is well", judge_answers([(7, 503, 0.1, "read")], [(6, 9)], 8), "were 503"),
    ]


def try_fault_points(record, folder):
    """The judges that fault_points.py has of its own."""
    wrong, world = [], MadeUpWorld()
    wrong += expect("503", fault_points.judge_statuses([(0, 503, 0.1, "read")]), "answers were 503")
    expected = {"after-step-effect": "NOT DONE AGAIN", "after-commit": None, "answer-lost": None}
    for name, words in expected.items():
        wrong += expect(name, traces_of(name, record, world), words)
    del world.rows["item"][1], world.rows["parent"][1]  # what was not answered
    fresh = copy.deepcopy(record)
    fresh.operations = [operation for operation in fresh.operations if not operation.key]
    for name, words in {"after-commit": "without an answer", "answer-lost": "0 of their writes are there"}.items():
        wrong += expect(f"{name} without a trace", traces_of(name, fresh, world), words)
    return wrong + try_files(folder) + try_keys(record)


def traces_of(name, record, world):
    phase = fault_points.Phase(name, 1)
    phase.begin, phase.end, phase.deaths, phase.lost = 0, float("inf"), 20, 20
    return fault_points.judge_traces([phase], {name: fault_points.Traces(phase, record, world)})


def try_files(folder):
    for name in ("one.db", "two.db"):
        with contextlib.closing(sqlite3.connect(folder / name)) as database:
            database.execute("CREATE TABLE a (b TEXT UNIQUE)")
            database.executemany("INSERT INTO a VALUES (?)", ((f"{number:0100}",) for number in range(1_000)))
            database.commit()
    wrong = expect("whole files", fault_points.judge_files(folder), None)
    with open(folder / "two.db", "r+b") as file:
        file.seek(5 * 4096)
        file.write(random.Random(1).randbytes(4096))
    return wrong + expect("a damaged file", fault_points.judge_files(folder), "two.db")


class Answering:
    """A client whose server says the same to all."""

    def __init__(self, status, id, is_replayed):
        self.status, self.id, self.headers = status, id, {}
        self.replayed = {"Idempotency-Replayed": "true"} if is_replayed else {}

    def send(self, *_):
        answer = Answering(self.status, self.id, False)
        answer.headers = self.replayed
        return answer

    def read(self):
        return json.dumps({"data": {"id": self.id}}).encode()


def try_keys(record):
    wrong = []
    for said, words in [
        ((201, "item-k", True), None), ((201, "item-k", False), "k sent again"),
        ((201, "item-x", True), "k sent again"), ((422, "item-k", False), "k sent again"),
    ]:
        _, problems = fault_points.judge_keys(Answering(*said), "app", record, random.Random(1))
        wrong += expect(f"a key sent again, {said}", problems, words)
    return wrong


def main():
    with tempfile.TemporaryDirectory(prefix="rocket-journal-") as name:
        folder = pathlib.Path(name)
        make_journal(folder / "journal.jsonl")
        record = read(folder / "journal.jsonl")
        wrong = try_mutations(record) + try_fates() + try_journals(folder) + try_efforts(record)
        wrong += try_fault_points(record, folder)
    if wrong or not MUTATIONS:
        sys.exit("\n".join([f"{len(wrong)} faults of the judges", *wrong]))
    print(f"{len(MUTATIONS)} mutations were found out, and nothing else was complained of")
