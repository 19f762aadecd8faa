"""C: 60,000 jobs that are due once, at the same instant: how long until the last has started."""

from collections.abc import Iterator
from datetime import timedelta

from benchmarks import load, referee, trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import Crowd
from benchmarks.referee import Seen
from benchmarks.results import Result

NAME = "burst"
_PATIENCE_SECONDS = 300.0


def run(bench: Bench) -> Iterator[Result]:
    """Run one trial. There is no window: all of it counts."""
    count = bench.options.burst
    with installation(bench.base) as chronos:
        crowds = [Crowd(count=count, once=True)]
        first = load.first_instant(chronos, crowds)
        load.insert(chronos, crowds, first=first, last=first)
        trial.sleep_until(first)
        trial.wait_until_drained(chronos, within=_PATIENCE_SECONDS)
        seen = Seen(referee.rows_of(chronos.engine), chronos.target.arrivals())
    verdict = referee.judge(seen, expected=count)
    drifts = referee.drifts_ms(seen.arrivals, since=first, until=first + timedelta(seconds=1))
    last_ms = referee.percentile(drifts, 1)
    figures = {
        "first_ms": referee.percentile(drifts, 0),
        "half_ms": referee.percentile(drifts, 0.5),
        "last_ms": last_ms,
        "started_per_s": len(drifts) / last_ms * 1000,
        **verdict.faults,
    }
    yield Result(NAME, f"{count:,} at one instant", figures)
