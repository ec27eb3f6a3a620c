"""Every document of the corpus as the whole body of every route.

Wrong is one that is no JSON object and is accepted, or refused as anything but that.
"""
import corpus
from corpus import pick
from judge import judge_caller
from routes import ANONYMOUS, USER, caller_of


def try_bodies(judge, stage, tried, share):
    """Every document as the whole body of every route."""
    documents = corpus.documents(is_quick=share < 1)
    verdicts = {document.name: corpus.verdict(document.text) for document in documents}
    for route in tried:
        count = max(4, int(len(documents) * share)) if route.takes_body else max(2, int(25 * share))
        roles = [(caller_of(route), count), (USER, max(1, count // 8)), (ANONYMOUS, max(1, count // 8))]
        for role, count in roles:
            for document in pick(documents, count, f"{route} {role}"):
                target = stage.target(route)
                is_object = verdicts[document.name] == corpus.JSON and document.text.strip().startswith(b"{")
                may_be_empty = route.path.endswith(("/approve", "/reject", "/:event"))
                is_wrong = route.takes_body and not is_object and not (may_be_empty and not document.text)
                answer = judge.ask(
                    route, "body", document.name, target, document.text, role, must="be refused" if is_wrong else None
                )
                judge_caller(judge, route, role, answer, f"body {document.name}")
                is_read = role == caller_of(route) and not route.path.endswith("/upload")
                if is_wrong and is_read and answer.status not in (0, 400, 413):
                    judge.wrong(
                        f"{answer.status} for a body that is no JSON object: {route}",
                        f"{document.name}: {answer.body[:200]!r}"
                    )
                stage.clean_up(route, answer, target)
        stage.sweep() if route.takes_body and route.is_of_records else None
