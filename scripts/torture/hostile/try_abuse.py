"""HTTP itself, abused over raw sockets: the next request gets its answer all the same.

Wrong is what is hidden behind another request and carried out, an answer after the last one, and an end without a word.
"""
from connections import early_ends, large_bodies, pipelining
from endings import endings
from framings import framings
from heads import heads
from probes import ANYTHING, REFUSED, TAKEN, UNSURE, UNSURE_TOLD, judge_exchange, smuggled_tags, tags
from wire import raw


def try_abuse(judge, stage, tried, share):
    """Requests over raw sockets; the next ones get their answer all the same."""
    cases = [*framings(judge), *heads(judge)]
    if share < 1:
        cases = [case for case in cases if len(case[1]) < 2_000_000]
    before = tags(judge)
    for name, text, must in cases:
        if try_raw(judge, name, text, must, before):
            stage.sweep(("tag",))
            before = tags(judge)
    endings(judge)
    pipelining(judge, 60 if share < 1 else 500)
    early_ends(judge, 10 if share < 1 else 60)
    large_bodies(judge, stage)
    judge.note_rows()


def try_raw(judge, name, text, must, before):
    """Returns how many rows it has made."""
    exchange = raw(judge.server.port, text)
    judge.positions["abuse"] += 1
    label = f"{name}: {exchange.statuses} ended by {exchange.ended} after {exchange.seconds:.2f} s"
    judge_exchange(judge, name, label, exchange, text)
    if must in (REFUSED, UNSURE, UNSURE_TOLD) and any(status < 400 for status in exchange.statuses):
        judge.wrong(f"accepted what must be refused: {name}", label)
    if must == TAKEN and exchange.statuses[:1] not in ([200], [201]):
        judge.wrong(f"not taken: {name}", label)
    if must in (UNSURE, UNSURE_TOLD) and (exchange.statuses != [400] or exchange.ended != "server"):
        judge.wrong(f"not one 400 and the end: {name}", label)
    if must == UNSURE_TOLD and exchange.answers and b'"INVALID_PARAMETER"' not in exchange.answers[0].body:
        judge.wrong(f"no envelope of the server's own: {name}", f"{label} {exchange.answers[0]}")
    if b" HTTP/1.0\r\n" in text.split(b"\n", 1)[0] + b"\n" and exchange.ended != "server":
        judge.wrong(f"open after an answer to HTTP/1.0: {name}", label)
    made = tags(judge) - before
    if must not in (TAKEN, ANYTHING) and made or made > 1 or made and smuggled_tags(judge):
        judge.wrong(f"came through: {name}", f"{label}, {made} rows more")
    return made
