"""Control: a plain Celery worker on a queue that is full before it starts.

That is more than it could hold behind a scheduler, as no other process publishes meanwhile.
"""

from collections.abc import Iterator

from celery import Celery

from benchmarks.bench import Bench
from benchmarks.controls.celery_app import TASK
from benchmarks.controls.setting import Setting, setting
from benchmarks.processes import python
from benchmarks.results import Result
from benchmarks.trial import Timing

NAME = "celery-classic"
PLAIN, WITH_SESSION = "requests.post", "a requests.Session per thread"
POOLS = (("prefork", 2), ("prefork", 4), ("prefork", 8), ("threads", 8), ("threads", 16))

_TRYOUT = Timing(4, 6)
#: More executions than such a worker has ever reached in a second.
_MESSAGES_PER_SECOND = 1_500


#: The pool that usually wins.
_USUAL_POOL = ("prefork", 4)


def run(bench: Bench) -> Iterator[Result]:
    """Try each pool briefly, measure the best, and repeat that with HTTP sessions."""
    with setting(bench.base) as place:
        tried = {pool: rate(place, pool, _TRYOUT, keep_session=False) for pool in POOLS}
        best = max(POOLS, key=lambda pool: tried[pool])
        notes = {
            "best pool": " ".join(map(str, best)),
            "tried": ", ".join(
                f"{kind} {size}: {tried[kind, size]:.0f}/s" for kind, size in POOLS
            ),
        }
        for case, keep_session in ((PLAIN, False), (WITH_SESSION, True)):
            done_per_s = rate(place, best, bench.timing, keep_session=keep_session)
            how = notes if case == PLAIN else {"pool": notes["best pool"]}
            yield Result(NAME, case, {"done_per_s": done_per_s}, how)


def best_pool(bench: Bench) -> tuple[str, int]:
    """Return the best pool if this control ran before, else the one that usually wins."""
    for result in bench.results:
        if result.scenario == NAME and result.case == PLAIN:
            kind, _, size = result.notes["best pool"].partition(" ")
            return kind, int(size)
    return _USUAL_POOL


def rate(place: Setting, pool: tuple[str, int], timing: Timing, *, keep_session: bool) -> float:
    """Return how many executions a second a worker with this pool does of a full queue."""
    _fill(place, _MESSAGES_PER_SECOND * (timing.warmup + timing.window))
    with place.running("celery-worker", worker_command(place, pool, keep_session=keep_session)):
        done_per_s = place.arrivals_per_second(timing)
        if not place.queued():
            raise RuntimeError("The queue ran empty: the control is faster than was thought.")
    return done_per_s


def worker_command(place: Setting, pool: tuple[str, int], *, keep_session: bool) -> list[str]:
    """Return the command that runs the worker with this pool."""
    configuration = place.configuration(keep_session=keep_session)
    kind, size = pool
    return python("benchmarks.controls.celery_app", "worker", configuration, kind, str(size))


def _fill(place: Setting, messages: int) -> None:
    place.empty_queue()
    with (
        Celery(broker=place.base.servers.redis_url, set_as_current=False) as app,
        app.producer_or_acquire() as producer,
        producer.batch(),
    ):
        for number in range(messages):
            app.send_task(TASK, args=(f"job-{number}",), producer=producer)
