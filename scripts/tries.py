"""Scripts that try the same again and again, each time in a folder of its own: their arguments, their loop, their verdict."""
import argparse
import http.client
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

from kill9 import RoundFailure


def arguments(words, tries):
    """A parser with what all of them take."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = pathlib.Path(__file__).resolve().parent.parent / ".build/release/rocket"
    parser.add_argument("rocket", nargs="?", default=default, type=pathlib.Path, help="default: .build/release/rocket")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--url", default=os.environ.get("TEST_POSTGRES_URL"), help="default: $TEST_POSTGRES_URL")
    parser.add_argument("--tries", type=int, default=tries)
    parser.add_argument("--seed", type=int, help="of the first try; the next ones add one each (default: random)")
    return parser


def run(parser, name, run_try, describe, summary):
    """Ends the script: with 0 where every try was good."""
    options = parser.parse_args()
    if not os.access(options.rocket, os.X_OK):
        parser.error(f"{options.rocket} is not there: swift build -c release --product rocket")
    if options.store == "postgres" and not options.url:
        parser.error("--store postgres needs --url, or scripts/with_postgres.sh before it")
    options.rocket = options.rocket.resolve()
    first = random.randrange(1_000_000) if options.seed is None else options.seed
    good = []
    for number in range(options.tries):
        seed = first + number
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"rocket-{name}-"))
        try:
            result = run_try(options, directory, seed)
        except (
            RoundFailure, OSError, http.client.HTTPException, ValueError, KeyError, subprocess.SubprocessError,
        ) as failure:
            # The folder stays for whoever looks into it: the data and the server's log.
            text = (str(failure) or repr(failure)).replace("\n", "\n  ")
            print(f"try {number + 1} (seed {seed}): FAILED, see {directory}\n  {text}", flush=True)
        else:
            good.append(result)
            shutil.rmtree(directory)
            print(f"try {number + 1} (seed {seed}): {describe(result)}", flush=True)
    print(summary(options.store, good, options.tries) if good else f"{options.store}: no try was good")
    sys.exit(0 if good and len(good) == options.tries else 1)
