"""Steers faulty_machine.c: compiles it, starts servers on it, and says what fails from now on and what time it is."""
import contextlib
import errno
import mmap
import os
import pathlib
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from kill9 import RoundFailure, Server  # noqa: E402

# As faulty_machine.c has them.
WRITE, SYNC, READ, TRUNCATE, OPEN, RENAME, ALLOCATE, FOLDER, UNLINK = range(9)
OFF, ALWAYS, NTH, FROM, CHANCE = range(5)
DATABASE, WAL, SHM, OTHER = 1, 2, 4, 8
ALL_FILES = DATABASE | WAL | SHM | OTHER
HEAD, RULE = struct.Struct("<iiqqqq"), struct.Struct("<iiiiqq")
SIZE = HEAD.size + 9 * RULE.size
NO_BOUND = -1
SOURCE = pathlib.Path(__file__).resolve().parent / "faulty_machine.c"


def compile_library(folder):
    """Into a folder, with whatever compiler is there. Returns the library's path."""
    library = folder / "faulty_machine.so"
    compiler = next(filter(None, map(shutil.which, ["clang", "cc", "gcc"])), None)
    if not compiler:
        raise RoundFailure("there is no C compiler here: neither clang, cc nor gcc is in the PATH")
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RoundFailure(f"{SOURCE.name} does not compile: {done.stderr[:500]}")
    return library


class Machine:
    """What the processes that are started on it are told of the disk and the clock.

    The paths that faults are for begin with `prefix`.
    """

    def __init__(self, folder, prefix, name="control"):
        self.library = folder / "faulty_machine.so"
        if not self.library.exists():
            compile_library(folder)
        self.path, self.prefix = folder / name, str(prefix)
        self.path.write_bytes(bytes(SIZE))
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), SIZE)
        self.put(0, "q", 0)
        self.room = NO_BOUND

    # MARK: the memory

    def put(self, place, kind, value):
        # Aligned words, which the processor stores at once.
        struct.pack_into(f"<{kind}", self.memory, place, value)

    def get(self, place, kind):
        return struct.unpack_from(f"<{kind}", self.memory, place)[0]

    @property
    def is_used(self):
        """Whether a process has taken it over: a library that was not loaded would let a test find nothing."""
        return self.get(4, "i") == 1

    @property
    def room(self):
        return self.get(24, "q")

    @room.setter
    def room(self, value):
        self.put(24, "q", value)

    # MARK: the disk

    def rule(self, kind, mode, error=errno.EIO, files=ALL_FILES, number=0, short=False):
        place = HEAD.size + kind * RULE.size
        self.put(place, "i", OFF)
        self.put(place + 4, "i", error)
        self.put(place + 8, "i", files)
        self.put(place + 12, "i", int(short))
        self.put(place + 16, "q", number)
        self.put(place, "i", mode)

    def arm(self):
        """What was said of the disk holds from now on."""
        self.put(0, "i", 1)

    def mend(self):
        """The disk is well again."""
        self.put(0, "i", 0)
        for kind in range(9):
            self.put(HEAD.size + kind * RULE.size, "i", OFF)
        self.room = NO_BOUND

    @property
    def injected(self):
        """How many calls have failed so far."""
        rules = sum(self.get(HEAD.size + kind * RULE.size + 24, "q") for kind in range(9))
        return rules + self.get(32, "q")

    # MARK: the clock

    @property
    def clock_offset(self):
        return self.get(8, "q") / 1e9

    @clock_offset.setter
    def clock_offset(self, seconds):
        self.put(8, "q", int(seconds * 1_000_000_000))

    @property
    def clock_reads(self):
        """How often the clock was read while it was wrong."""
        return self.get(16, "q")

    # MARK: processes

    def environment(self):
        others = os.environ.get("LD_PRELOAD", "").split(":")
        libraries = [str(self.library), *(other for other in others if other and other != str(self.library))]
        return {"LD_PRELOAD": ":".join(libraries), "FAULTY_CONTROL": str(self.path), "FAULTY_FOLDER": self.prefix}

    @contextlib.contextmanager
    def lent(self):
        """Processes that are started meanwhile run on the machine."""
        before = {name: os.environ.get(name) for name in self.environment()}
        os.environ.update(self.environment())
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def serve(self, rocket, directory, database_url=None):
        """A server on the machine, when it is ready."""
        self.put(4, "i", 0)
        with self.lent():
            server = Server(rocket, directory, 0, database_url)
        if not self.is_used:
            server.kill()
            raise RoundFailure(f"{self.library} was not loaded: nothing would fail")
        return server

    def run(self, command, directory, seconds=60):
        """A command on the machine, to its end."""
        return subprocess.run(
            command, cwd=directory, env=clean_environment() | self.environment(), capture_output=True, text=True,
            check=False, timeout=seconds,
        )


def clean_environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
