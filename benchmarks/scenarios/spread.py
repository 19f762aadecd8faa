"""B: 1,000 jobs every second, spread evenly over the second."""

from collections.abc import Iterator

from benchmarks import trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import Crowd
from benchmarks.results import Result

NAME = "spread"
COUNT = 1000


def run(bench: Bench) -> Iterator[Result]:
    """Run one trial."""
    with installation(bench.base) as chronos:
        seen = trial.run(chronos, [Crowd(count=COUNT, spread=1.0)], bench.timing)
    yield Result(NAME, f"{COUNT:,}/s spread", seen.figures)
