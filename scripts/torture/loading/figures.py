"""What is measured: times of answers, and what the system says of a process."""
import math
import os
import pathlib
from typing import NamedTuple

MEGABYTE = 1 << 20


class Spread:
    """Of times in seconds, told in milliseconds."""

    def __init__(self, seconds):
        times = sorted(seconds)
        self.count = len(times)
        self.median = self.part(times, 0.5)
        self.p99 = self.part(times, 0.99)
        self.most = times[-1] if times else 0.0

    @staticmethod
    def part(times, share):
        return times[min(len(times) - 1, math.ceil(share * len(times)) - 1)] if times else 0.0

    def __str__(self):
        return f"p50 {self.median * 1000:.1f}, p99 {self.p99 * 1000:.1f}, most {self.most * 1000:.0f} ms"


class Reading(NamedTuple):
    """What the system says of a process (proc(5))."""

    rss: int
    files: int
    threads: int
    cpu: float  # seconds

    @classmethod
    def of(cls, pid):
        folder = pathlib.Path("/proc") / str(pid)
        stat = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return cls(
            int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
            len(os.listdir(folder / "fd")), int(stat[17]), (int(stat[11]) + int(stat[12])) / ticks,
        )

    @property
    def megabytes(self):
        return self.rss / MEGABYTE
