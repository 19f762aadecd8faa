"""F: a tenth of the targets answers 500 to the first attempt, and is tried again after 1 s."""

from collections.abc import Iterator, Sequence

from benchmarks import referee, trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import Crowd
from benchmarks.results import Result
from benchmarks.target import Arrival

NAME = "retries"
COUNT = 1000
_DELAY_SECONDS = 1.0


def run(bench: Bench) -> Iterator[Result]:
    """Run one trial. How late a retry is counts from one second after the first attempt."""
    crowds = crowds_of(COUNT)
    with installation(bench.base) as chronos:
        seen = trial.run(chronos, crowds, bench.timing)
    late = retry_drifts_ms(seen.arrivals)
    figures = {
        "retries_per_s": crowds[1].count,
        "retry_drift_p50_ms": referee.percentile(late, 0.5),
        "retry_drift_p99_ms": referee.percentile(late, 0.99),
    }
    yield Result(NAME, f"{COUNT:,}/s, a tenth fails once", seen.figures | figures)


def crowds_of(count: int) -> tuple[Crowd, Crowd]:
    """Return ``count`` jobs, a tenth of which fail at first."""
    failing = count // 10
    return (
        Crowd(count=count - failing),
        Crowd(count=failing, path="/fail-first", retry_delay_seconds=_DELAY_SECONDS),
    )


def retry_drifts_ms(arrivals: Sequence[Arrival]) -> list[float]:
    """Return how much later than their delay second attempts arrived after first ones, sorted."""
    first_at = {each.execution_id: each.at_ns for each in arrivals if each.attempt == 1}
    return sorted(
        (each.at_ns - first_at[each.execution_id]) / 1e6 - _DELAY_SECONDS * 1000
        for each in arrivals
        if each.attempt == 2 and each.execution_id in first_at  # noqa: PLR2004 - the second one
    )
