"""A receiver comes, for whom many deliveries wait: each must arrive, once, with an id of its own."""
import asyncio
import itertools
import time

from loading.deliveries_pending import log_total
from loading.figures import MEGABYTE, Spread
from loading.stage import quick_requests


def drain(stage, app, receiver, items, rows, problems):
    """Until each has arrived, or for as long as `--drain` says; then what has arrived and what waits must be all."""
    limit = stage.options.drain
    # A delivery that has just failed is tried again half a minute later, and those of a million one by one.
    patience = 120 + rows / 200 if limit is None else limit
    receiver.come()
    begin, samples, latencies, peak = time.monotonic(), [], [], 0
    total, missing, differing, ids = 0, rows, 0, None
    while missing and time.monotonic() - begin < patience and stage.server.process.poll() is None:
        time.sleep(1)
        total, missing, differing, ids = receiver.ask()
        samples.append((time.monotonic() - begin, total))
        peak = max(peak, stage.reading.rss)
        if len(samples) % 10 == 2:
            stage.token = stage.server.sign_in()
            latencies.append(asyncio.run(quick_requests(stage, app, items, 60)))
    seconds = time.monotonic() - begin
    stage.must_live()
    arrived, again = rows - missing, total - rows + missing
    if differing:
        problems.append(f"{differing} deliveries came again with another id")
    if missing and limit is None:
        problems.append(f"{missing} of {rows} deliveries had not arrived {seconds:.0f} s after the receiver came")
    elif missing:
        problems += unfinished(stage, app, receiver, rows)
    else:
        problems += finished(stage, app, ids, rows)
    few = samples[:: max(1, len(samples) // 20)]
    rates = [(later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in itertools.pairwise(few)]
    worst = max(latencies, key=lambda each: each.p99, default=Spread([]))
    return [
        f"{'drained' if not missing else f'NOT drained, {missing} wait still: {arrived}'} in {seconds:.1f} s "
        f"({arrived / seconds:.0f}/s, at best {max(rates, default=0):.0f}/s), {again} told again, memory at most "
        f"{peak / MEGABYTE:.0f} MB; requests meanwhile {worst}",
        "  rates: " + " ".join(f"{rate:.0f}" for rate in rates),
    ]


def finished(stage, app, ids, rows):
    problems = [] if ids == rows else [f"{ids} ids for {rows} deliveries"]
    noted = wait_for_log(stage, app, rows)
    return problems + ([] if noted == rows else [f"the log says that {noted} of {rows} are delivered"])


def unfinished(stage, app, receiver, rows):
    """None is lost on its way, and none is said to be delivered that is not."""
    problems = []
    noted, failed = log_total(stage.admin, app, "delivered"), log_total(stage.admin, app, "failed")
    _, missing, _, _ = receiver.ask()  # later than what is noted, so that it is not less
    if noted > rows - missing:
        problems.append(f"the log says that {noted} are delivered, and {rows - missing} have arrived")
    if failed:
        problems.append(f"{failed} deliveries were given up")
    if not noted:
        problems.append("the log says that none is delivered")
    stage.server.stop()  # so that none is on its way
    _, missing, _, _ = receiver.ask()
    stage.start()
    arrived, all_of_them = rows - missing, log_total(stage.admin, app, "")
    if all_of_them != rows:
        problems.append(f"the log has {all_of_them} deliveries, of {rows}")
    noted = log_total(stage.admin, app, "delivered")
    if noted < arrived:
        problems.append(f"{arrived} have arrived before a stop, and {noted} are noted after it")
    return problems


def wait_for_log(stage, app, rows, seconds=30):
    """What was told is noted a little later."""
    end = time.monotonic() + seconds
    while (count := log_total(stage.admin, app, "delivered")) != rows and time.monotonic() < end:
        time.sleep(0.5)
    return count
