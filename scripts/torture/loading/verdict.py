"""What was answered, what was wrong with it, and how a part says so."""
import collections
import itertools

from kill9 import RoundFailure

SHOWN = 12


class Tally:
    """What was answered, by kind of request, and what was wrong with it."""

    def __init__(self):
        self.statuses, self.times, self.problems = collections.Counter(), collections.defaultdict(list), []

    def note(self, kind, answer, good=(200, 201), is_right=True):
        self.statuses[kind, answer.status] += 1
        self.times[kind].append(answer.seconds)
        if answer.status not in good:
            self.problems.append(f"{kind}: {answer}")
        elif not is_right:
            self.problems.append(f"{kind}: a WRONG answer, {answer}")
        return answer

    def count(self, kind, status):
        return self.statuses[kind, status]

    @property
    def all_times(self):
        return list(itertools.chain.from_iterable(self.times.values()))

    def line(self):
        counts = collections.Counter()
        for (_, status), count in self.statuses.items():
            counts[status] += count
        return ", ".join(f"{count} × {status}" for status, count in sorted(counts.items()))


def refuse_with(problems, lines):
    """Ends a part where there are problems; the figures are of use to whoever looks for the fault."""
    if problems:
        more = [f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        shown = [each[:500] for each in problems[:SHOWN]] + more + [f"(figures) {line}" for line in lines]
        raise RoundFailure("\n".join([f"{len(problems)} problems", *shown]))


def all_of(*parts):
    """The lines of each, where none has failed; a part that fails keeps none of the others from being tried."""
    lines, problems = [], []
    for part in parts:
        try:
            lines += part()
        except RoundFailure as failure:
            problems.append(str(failure))
    if problems:
        raise RoundFailure("\n".join([*problems, *lines]))
    return lines
