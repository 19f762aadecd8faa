"""One trial: load the jobs, let them run, measure from outside, and let the referee judge."""

import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from benchmarks import load, referee, usage, writes
from benchmarks.installation import Installation
from benchmarks.load import Crowd
from benchmarks.referee import Seen, Verdict
from benchmarks.results import HELD_RATIO
from benchmarks.target import Arrival
from benchmarks.usage import Usage
from benchmarks.writes import Writes
from chronos_common import clock, ids

#: Jobs go on after the window for so long, so that their end is not measured.
_TAIL = timedelta(seconds=2)
_POLL_SECONDS = 0.5


class TooLate(Exception):
    """The machine was too slow for the trial's schedule."""


@dataclass(frozen=True)
class Timing:
    """How long a trial warms up, and how long it is looked at, in seconds."""

    warmup: int
    window: int


@dataclass(frozen=True)
class Trial:
    """The figures of a trial.

    CPU seconds and writes are those of the window.

    ``done_in_window`` counts occurrences scheduled in the window that were done at its end.
    ``finished_in_window`` counts all that were finished in it, whenever they were scheduled.
    """

    since: datetime
    until: datetime
    expected_in_window: int
    done_in_window: int
    finished_in_window: int
    arrivals: Sequence[Arrival]
    verdict: Verdict
    drifts_ms: Sequence[float]
    cpu_seconds: dict[str, float]
    peaks_mib: dict[str, float]
    writes: Writes
    drain_seconds: float

    @property
    def figures(self) -> dict[str, float]:
        """The trial's figures by name, as results keep them."""
        seconds = (self.until - self.since).total_seconds()
        finished = max(self.finished_in_window, 1)
        verdict = self.verdict
        return {
            "due_per_s": self.expected_in_window / seconds,
            "done_per_s": self.done_in_window / seconds,
            "done_ratio": self.done_in_window / max(self.expected_in_window, 1),
            **_quantiles("drift", self.drifts_ms),
            **verdict.faults,
            "not_succeeded": verdict.not_succeeded,
            **usage.figures(self.cpu_seconds, count=finished, seconds=seconds),
            "wal_bytes_per_execution": self.writes.wal_bytes / finished,
            "rows_written_per_execution": self.writes.row_count / finished,
            "hot_update_ratio": self.writes.hot_ratio,
            **{f"peak_{name}_mib": mib for name, mib in self.peaks_mib.items()},
            "drain_s": self.drain_seconds,
        }

    @property
    def holds(self) -> bool:
        """Whether this many are within capacity: see docs/performance.md."""
        return (
            self.figures["done_ratio"] >= HELD_RATIO
            and self.figures["drift_p99_ms"] < 1000  # noqa: PLR2004 - the definition
            and self.verdict.is_clean
        )


def _quantiles(name: str, ordered: Sequence[float]) -> dict[str, float]:
    return {
        f"{name}_p50_ms": referee.percentile(ordered, 0.5),
        f"{name}_p99_ms": referee.percentile(ordered, 0.99),
        f"{name}_max_ms": referee.percentile(ordered, 1),
    }


def run(
    installation: Installation,
    crowds: Sequence[Crowd],
    timing: Timing,
    *,
    during: Callable[[], None] = lambda: None,
) -> Trial:
    """Run the jobs, the first due some seconds from now. ``during`` is called with the window.

    Of jobs that hang on purpose only the faults that cannot be excused count: duplicates.
    """
    measured = [crowd for crowd in crowds if not crowd.hangs]
    first = load.first_instant(installation, crowds)
    since = first + timedelta(seconds=timing.warmup)
    until = since + timedelta(seconds=timing.window)
    last = until + _TAIL
    load.insert(installation, crowds, first=first, last=last - timedelta(milliseconds=1))
    if clock.now() > first - timedelta(seconds=1):
        raise TooLate("The jobs were not loaded before they were due.")
    hanging = load.hanging_jobs(installation)
    sleep_until(since)
    usage.reset_peaks(installation.pids)
    finished_before = _finished(installation)
    cpu_before, writes_before = _measure(installation)
    during()
    sleep_until(until)
    finished = _finished(installation) - finished_before
    done = _done(installation, since=since, until=until, hanging=hanging)
    cpu_after, writes_after = _measure(installation)
    installation.check()
    drain = wait_until_drained(installation, within=_patience(timing), besides=hanging)
    peaks = _peaks(installation)
    seen = _see(installation, hanging=set(hanging))
    expected = sum(crowd.occurrences((last - first).seconds) for crowd in measured)
    return Trial(
        since=since,
        until=until,
        expected_in_window=sum(
            crowd.occurrences(timing.window) for crowd in measured if not crowd.once
        ),
        done_in_window=done,
        finished_in_window=finished,
        arrivals=seen.arrivals,
        verdict=referee.judge(seen, expected=expected),
        drifts_ms=referee.drifts_ms(seen.arrivals, since=since, until=until),
        cpu_seconds=cpu_after.since(cpu_before),
        peaks_mib=peaks,
        writes=writes_after.since(writes_before),
        drain_seconds=drain,
    )


def _see(installation: Installation, *, hanging: AbstractSet[str]) -> Seen:
    """Read rows and requests. Hanging ones are left out once their duplicates are counted."""
    rows, arrivals = referee.rows_of(installation.engine), installation.target.arrivals()
    late = [each for each in arrivals if each.job_id in hanging]
    return Seen(
        rows=[row for row in rows if row.job_id not in hanging] if hanging else rows,
        arrivals=[each for each in arrivals if each.job_id not in hanging] if late else arrivals,
        excused_duplicates=referee.duplicates(late),
    )


def _patience(timing: Timing) -> float:
    """Return how long a backlog may take: at half the rate, as long again."""
    return 60 + 3 * (timing.warmup + timing.window)


def sleep_until(moment: datetime) -> None:
    """Return at ``moment``, or at once if it has passed."""
    time.sleep(max((moment - clock.now()).total_seconds(), 0))


def _measure(installation: Installation) -> tuple[Usage, Writes]:
    return usage.measure(installation.pids), writes.measure(installation.engine)


def _peaks(installation: Installation) -> dict[str, float]:
    """Return peak memory. PostgreSQL's is that of all its processes now, shared pages once."""
    (postmaster,) = installation.base.server_pids["PostgreSQL"]
    peaks = usage.peaks_mib(installation.pids)
    return peaks | {"PostgreSQL": usage.proportional_mib(postmaster)}


# Finished by now, as seen from outside, not by the instant in the row.
_DONE = text("""
    SELECT count(*) FROM executions
     WHERE id >= :lowest AND id < :highest AND status = 'succeeded'
       AND job_id <> ALL(CAST(:hanging AS uuid[]))""")


def _done(
    installation: Installation, *, since: datetime, until: datetime, hanging: Sequence[str]
) -> int:
    values = {
        "lowest": ids.lowest_at(since),
        "highest": ids.lowest_at(until),
        "hanging": list(hanging),
    }
    with installation.engine.connect() as connection:
        return int(connection.execute(_DONE, values).scalar_one())


_FINISHED = text("SELECT count(*) FROM executions WHERE finished_at IS NOT NULL")


def _finished(installation: Installation) -> int:
    with installation.engine.connect() as connection:
        return int(connection.execute(_FINISHED).scalar_one())


_PENDING = text("""
    SELECT (SELECT count(*) FROM executions
             WHERE finished_at IS NULL AND job_id <> ALL(CAST(:besides AS uuid[])))
         + (SELECT count(*) FROM schedules
             WHERE active AND next_run_at < now() + interval '1 day')""")


def wait_until_drained(
    installation: Installation, *, within: float, besides: Sequence[str] = ()
) -> float:
    """Wait until nothing is due or under way ``besides`` these jobs. Return the seconds.

    It ends after ``within`` seconds: the referee counts the rest as unrecorded.
    """
    started = time.monotonic()
    while time.monotonic() < started + within:
        with installation.engine.connect() as connection:
            if not connection.execute(_PENDING, {"besides": list(besides)}).scalar_one():
                break
        installation.check()
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - started


def arrival_figures(installation: Installation, crowd: Crowd, timing: Timing) -> dict[str, float]:
    """Offer more than can be carried, and return how many first attempts arrived a second."""
    first = load.first_instant(installation, [crowd])
    since = first + timedelta(seconds=timing.warmup)
    until = since + timedelta(seconds=timing.window)
    load.insert(installation, [crowd], first=first, last=until)
    sleep_until(until)
    installation.check()
    arrivals = installation.target.arrivals()
    lowest, highest = (ids.milliseconds(moment) * 1_000_000 for moment in (since, until))
    arrived = sum(lowest <= each.at_ns < highest for each in arrivals)
    return {
        "due_per_s": crowd.count,
        "done_per_s": arrived / timing.window,
        "duplicates": referee.duplicates(arrivals),
    }
