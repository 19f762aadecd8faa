"""The smoke test of ``--quick``: a bit of everything at once, for faults, not for speed."""

from collections.abc import Iterator

from benchmarks import trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import Crowd
from benchmarks.results import Result
from benchmarks.scenarios import retries

NAME = "smoke"


def run(bench: Bench) -> Iterator[Result]:
    """Run jobs of all kinds side by side, on two schedulers and two workers."""
    crowds = [
        Crowd(count=60),
        Crowd(count=60, spread=1.0),
        Crowd(count=500, once=True),
        Crowd(count=1000, idle=True),
        *retries.crowds_of(50),
    ]
    with installation(bench.base, schedulers=2, workers=2) as chronos:
        seen = trial.run(chronos, crowds, bench.timing)
    yield Result(NAME, "all kinds of jobs, two schedulers, two workers", seen.figures)
