"""Control: celery beat with N entries of one second, in front of the plain worker.

Beat falls behind without reporting it: the requests in a second show which N it holds.
"""

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.controls.setting import setting
from benchmarks.processes import python
from benchmarks.results import Result
from benchmarks.scenarios import celery_classic

NAME = "celery-beat"
ENTRIES = (100, 200, 250, 300, 400)


def run(bench: Bench) -> Iterator[Result]:
    """Try some numbers of entries."""
    pool = celery_classic.best_pool(bench)
    for entries in ENTRIES:
        with setting(bench.base) as place:
            configuration = place.configuration()
            worker = celery_classic.worker_command(place, pool, keep_session=False)
            beat = python(
                "benchmarks.controls.celery_app",
                "beat",
                configuration,
                str(entries),
                str(place.folder),
            )
            with place.running("celery-worker", worker), place.running("celery-beat", beat):
                rate = place.arrivals_per_second(bench.timing)
        yield Result(NAME, f"{entries} entries", {"due_per_s": entries, "done_per_s": rate})
