"""The heaviest of it again and again: what one round needs is there for the next one."""
import pathlib
import re

import corpus
from corpus import pick
from heads import heads
from routes import ADMIN
from try_values import try_value
from wire import raw

GROWTH_MB, MOST_MB = 48, 1_024


def memory_megabytes(judge):
    status = pathlib.Path(f"/proc/{judge.server.process.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def try_memory(judge, stage, tried, share):
    """Rounds of it; wrong is memory that grows from the second one on, or is more than MOST_MB."""
    by_size = sorted(corpus.documents(is_quick=share < 1), key=lambda document: len(document.text))
    documents = by_size[-3 if share < 1 else -24:]
    some = [route for route in tried if route.takes_body and str(route) in (
        "POST /api/:app/:entity", "POST /api/:app/_batch", "POST /api/:app/_admin/import",
        "POST /api/:app/_admin/rules/test", "POST /api/:app/auth/login", "POST /api/:app/_events/:event",
    )]
    values = pick(corpus.values(share < 1), 30 if share < 1 else 150, "memory")
    create = next(route for route in some if str(route) == "POST /api/:app/:entity")
    after = []
    for _ in range(3 if share < 1 else 4):
        for route in some:
            for document in documents:
                target = stage.target(route)
                stage.clean_up(route, judge.ask(route, "memory", document.name, target, document.text), target)
        for raw_value in values:
            try_value(judge, stage, create, ADMIN, 0, ("any",), raw_value)
        for name, text, _ in [case for case in heads(judge) if len(case[1]) > 50_000][: 4 if share < 1 else 12]:
            raw(judge.server.port, text, wait=0.5)
        stage.sweep()
        after.append(memory_megabytes(judge))
    if after[-1] - after[1] > GROWTH_MB:
        judge.wrong(
            "memory grows",
            f"after each round: {' '.join(f'{size:.0f}' for size in after)} MB; "
            f"more than {GROWTH_MB} MB from the second to the last"
        )
    if max(after) > MOST_MB:
        judge.wrong("memory is much", f"{max(after):.0f} MB, more than {MOST_MB} MB")
    return "rounds " + " ".join(f"{size:.0f}" for size in after) + " MB"
