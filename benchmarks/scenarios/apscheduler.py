"""Control: APScheduler 3 with its SQLAlchemy store on the same PostgreSQL."""

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.controls.setting import setting
from benchmarks.processes import python
from benchmarks.results import Result

NAME = "apscheduler"
JOBS = (100, 200, 300, 400)


def run(bench: Bench) -> Iterator[Result]:
    """Try some numbers of jobs."""
    for jobs in JOBS:
        with setting(bench.base) as place:
            configuration = place.configuration()
            command = python("benchmarks.controls.apscheduler_app", configuration, str(jobs))
            with place.running("apscheduler", command):
                rate = place.arrivals_per_second(bench.timing)
        yield Result(NAME, f"{jobs} jobs", {"due_per_s": jobs, "done_per_s": rate})
