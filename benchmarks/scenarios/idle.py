"""D: the cost of a million jobs that are not due for those that are."""

from collections.abc import Iterator

from benchmarks import load, trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import Crowd
from benchmarks.results import Result
from benchmarks.scenarios import ladder
from chronos_common import clock

NAME = "idle"
COUNT = 1000

#: The part of the capacity without idle jobs that must hold with them.
SHARE_OF_CAPACITY = 0.9


def run(bench: Bench) -> Iterator[Result]:
    """Run the same trial without and with idle jobs, and one near capacity with them."""
    near_capacity = int(bench.rate() * SHARE_OF_CAPACITY)
    idle = bench.options.idle_jobs
    for count, idle_count in ((COUNT, 0), (COUNT, idle), (near_capacity, idle)):
        yield _trial(bench, count, idle_count)


def _trial(bench: Bench, count: int, idle_count: int) -> Result:
    with installation(bench.base, workers=ladder.workers()) as chronos:
        now = clock.now()
        load.insert(chronos, [Crowd(count=idle_count, idle=True)], first=now, last=now)
        seen = trial.run(chronos, [Crowd(count=count)], bench.timing)
    return Result(NAME, case(count, idle_count), seen.figures | {"holds": seen.holds})


def case(count: int, idle_count: int) -> str:
    """Return the name of the case."""
    return f"{count:,} at one instant, {idle_count:,} idle"
