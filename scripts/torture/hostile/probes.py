"""What raw requests are made of, what must come of one, and what holds for whatever came."""
import json

from app import APP
from judge import SLOWEST, alive
from routes import ADMIN
from wire import head, is_bare, says_end

REFUSED, TAKEN, ANYTHING = "refused", "taken", "anything"
# Where its end or its addressee is unsure: one 400 and the end, by whomever; or with the envelope of the server.
UNSURE, UNSURE_TOLD = "unsure", "unsure, told"


def smuggled(judge, title):
    """A create that must not come through behind another request."""
    body = json.dumps({"label": title}).encode()
    return head("POST", f"/api/{APP}/tag".encode(), judge.fill(ADMIN, [], body, [])) + body


def creating(judge, framing, body, version=b"HTTP/1.1", before=b""):
    """A create with framing of its own."""
    token = b"Authorization: Bearer " + judge.token(ADMIN).encode() + b"\r\n"
    return (
        b"POST /api/" + APP.encode() + b"/tag " + version + b"\r\n" + before + b"Host: localhost\r\n" + token
        + b"Content-Type: application/json\r\n" + framing + b"\r\n" + body
    )


def judge_exchange(judge, name, label, exchange, sent):
    """What holds for whatever was sent: each answer is one, and the last one says where it is."""
    judge.statuses.update([answer.status for answer in exchange.answers] or ["closed"])
    for place, answer in enumerate(exchange.answers):
        if answer.status >= 500:
            judge.wrong(f"5xx: {name}", label)
        if answer.status >= 400 and not is_bare(answer):
            judge.judge_envelope(answer, label, f"abuse, {name}")
            judge.judge_leaks(answer, label, f"abuse, {name}", sent)
        is_last = place == len(exchange.answers) - 1
        if says_end(answer) and not (is_last and exchange.ended in ("server", "us")):
            judge.wrong(f"goes on behind an answer that says it is the last: {name}", label)
        # A refusal may find out while it is on its way that the rest of the body is none.
        if is_last and exchange.ended == "server" and answer.status < 400 and not says_end(answer):
            judge.wrong(f"ended without a word: {name}", f"{label} {answer}")
    if not exchange.answers and exchange.ended == "nobody":
        judge.wrong(f"neither an answer nor an end: {name}", label)


def tags(judge, query=""):
    """How many rows the creates have made; whatever was sent before, this request has its answer, and in time."""
    sent = head("GET", f"/api/{APP}/tag?per_page=1{query}".encode(), judge.fill(ADMIN, [], None, []))
    answer = judge.wire.ask(sent)
    if answer.status != 200 or answer.seconds > SLOWEST:
        alive(judge, "a probe")
        judge.wrong("not well after a probe", f"{answer.status} in {answer.seconds:.2f} s")
    return answer.json()["meta"]["total"]


def smuggled_tags(judge):
    return tags(judge, "&filter[label]=smuggled")
