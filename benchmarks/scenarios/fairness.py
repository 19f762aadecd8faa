"""G: 400,000 jobs of a workspace are due at one instant: how late the jobs of ten others start."""

from collections.abc import Iterator
from datetime import timedelta

from benchmarks import load, referee, trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import Crowd
from benchmarks.referee import Seen
from benchmarks.results import Result

NAME = "fairness"
WORKSPACES = 10
#: Jobs of each of the others, all due every second.
_JOBS = 10
_PATIENCE_SECONDS = 600.0


def run(bench: Bench) -> Iterator[Result]:
    """Run one trial. The others are measured from the instant of the flood on."""
    flood = Crowd(count=bench.options.flood, once=True)
    seconds = bench.timing.window
    with installation(bench.base) as chronos:
        others = [
            Crowd(count=_JOBS, workspace_id=load.add_workspace(chronos)) for _ in range(WORKSPACES)
        ]
        crowds = [flood, *others]
        first = load.first_instant(chronos, crowds)
        until = first + timedelta(seconds=seconds)
        load.insert(chronos, crowds, first=first, last=until - timedelta(milliseconds=1))
        trial.sleep_until(until)
        drain = trial.wait_until_drained(chronos, within=_PATIENCE_SECONDS)
        seen = Seen(referee.rows_of(chronos.engine), chronos.target.arrivals())
        jobs = load.jobs_of_others(chronos)
    expected = sum(crowd.occurrences(seconds) for crowd in crowds)
    of_others = [each for each in seen.arrivals if each.job_id in jobs]
    drifts = referee.drifts_ms(of_others, since=first, until=until)
    figures = {
        "others_p50_ms": referee.percentile(drifts, 0.5),
        "others_p99_ms": referee.percentile(drifts, 0.99),
        "others_max_ms": referee.percentile(drifts, 1),
        "started_per_s": flood.count / (seconds + drain),
        **referee.judge(seen, expected=expected).faults,
    }
    yield Result(NAME, f"{WORKSPACES * _JOBS}/s beside {flood.count:,} at one instant", figures)
