"""Runs fuzzers for a time, each input under a time limit, and counts."""

from __future__ import annotations

import resource
import signal
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

#: Seconds an input may take.
LIMIT = 20


@dataclass
class Result:
    """Inputs accepted and refused, by kind, and what failed, with the number that draws it again."""

    accepted: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    hungriest: tuple[float, str] = (0.0, "")

    def table(self) -> str:
        kinds = sorted(self.accepted.keys() | self.refused.keys())
        lines = [f"{kind:24} {self.accepted[kind]:9,} accepted {self.refused[kind]:9,} refused" for kind in kinds]
        total = sum(self.accepted.values()) + sum(self.refused.values())
        (seconds, slow), (grown, hungry) = self.slowest, self.hungriest
        lines.append(f"{total:,} inputs, {len(self.failures)} failures, slowest {seconds:.2f} s ({slow})")
        lines.append(f"the memory grew most, by {grown:.0f} MB, with {hungry}")
        return "\n".join([*lines, *self.failures])


class TooLong(BaseException):
    """Nothing on the way catches it."""


@contextmanager
def limited(seconds: int):
    def stop(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def peak() -> float:
    """Megabytes this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(fuzzers, seconds: float = 0.0, rounds: int = 0, first: int = 0) -> Result:
    """Every fuzzer in turn on inputs ``first``, ``first + 1``, …: for some seconds, or so many rounds."""
    result, begun, number = Result(), time.perf_counter(), first
    while number - first < rounds or time.perf_counter() - begun < seconds:
        for fuzzer in fuzzers:
            kind, start, memory = fuzzer.kind(number), time.perf_counter(), peak()
            try:
                with limited(LIMIT):
                    accepted = fuzzer.run(number)
                (result.accepted if accepted else result.refused)[kind] += 1
            except (AssertionError, TooLong, Warning, MemoryError) as failure:
                result.failures.append(f"{fuzzer.name} {number}: {type(failure).__name__} {failure}"[:2000])
            which = f"{fuzzer.name} {number}"
            result.slowest = max(result.slowest, (time.perf_counter() - start, which))
            result.hungriest = max(result.hungriest, (peak() - memory, which))
        number += 1
    return result
