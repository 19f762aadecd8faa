"""The context of a scenario: the servers, the durations, and the results so far."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.installation import Base
from benchmarks.large_database import Size
from benchmarks.results import Result
from benchmarks.trial import Timing

#: Jobs that are due every second in scenario A, a trial for each.
LADDER = (500, 1000, 2000, 4000, 6000, 7000, 8000, 10_000)

#: The rate if the ladder did not run, or no rate held.
_USUAL_RATE = 4000


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    timing: Timing
    repeats: int
    large: Size
    ui: Size
    ladder: Sequence[int] = LADDER
    rate: int | None = None
    memory_seconds: int = 600
    idle_jobs: int = 1_000_000
    rest_seconds: int = 60
    burst: int = 60_000
    flood: int = 400_000
    api_jobs: int = 100_000
    api_rate: int = 100
    nginx_wanted: bool = True


@dataclass(frozen=True)
class Bench:
    """One run of the benchmarks. ``results`` grow while it goes on."""

    base: Base
    options: Options
    results: Sequence[Result]

    @property
    def timing(self) -> Timing:
        """How long trials take."""
        return self.options.timing

    def rate(self) -> int:
        """Return the rate at which costs are measured: the one asked for, or the first that held.

        It stays the same over the repeats, so that their figures can be joined.
        """
        if self.options.rate:
            return self.options.rate
        held = [r.figures["capacity_per_s"] for r in self.results if r.case == "capacity"]
        return int(held[0]) if held and held[0] else min(_USUAL_RATE, *self.options.ladder)
