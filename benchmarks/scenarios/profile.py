"""The time of worker, scheduler and PostgreSQL by function, at a steady rate."""

from collections.abc import Iterator

from benchmarks import trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import Crowd
from benchmarks.profile import Profiler
from benchmarks.results import Result
from benchmarks.scenarios import ladder

NAME = "profile"


def run(bench: Bench) -> Iterator[Result]:
    """Run one trial under the profiler, whose own cost is in its figures."""
    count = bench.rate()
    with installation(bench.base, workers=ladder.workers()) as chronos:
        profiler = Profiler(chronos, bench.timing.window - 1)
        seen = trial.run(chronos, [Crowd(count=count)], bench.timing, during=profiler.start)
        profile = profiler.result()
    notes = {"profile": profile.as_markdown()}
    yield Result(NAME, f"{count:,} at one instant", seen.figures, notes)
