"""A: N jobs due every second, all at the same instant. Capacity is the largest N that holds.

There is a worker for each core, as for the highest load of a machine.
"""

import os
from collections.abc import Iterator

from benchmarks import trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import Crowd
from benchmarks.results import Result

NAME = "ladder"

#: Above capacity one more step shows how it degrades, and the others would show nothing.
_FAILED_STEPS = 2


def run(bench: Bench) -> Iterator[Result]:
    """Climb until it does not hold."""
    capacity, failed = 0, 0
    for count in bench.options.ladder:
        with installation(bench.base, workers=workers()) as chronos:
            seen = trial.run(chronos, [Crowd(count=count)], bench.timing)
        yield Result(NAME, case(count), seen.figures)
        if seen.holds:
            capacity, failed = count, 0
        else:
            failed += 1
        if failed == _FAILED_STEPS:
            break
    yield Result(NAME, "capacity", {"capacity_per_s": capacity})


def workers() -> int:
    """Return how many worker processes there are."""
    return os.cpu_count() or 1


def case(count: int) -> str:
    """Return the name of the case."""
    return f"{count:,} at one instant"
