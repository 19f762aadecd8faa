"""Two worker processes against one: with slow targets, and with as many jobs as the machine takes.

A worker has a bounded number of requests under way. With slow targets, one worker is the limit
long before target and database are. With quick targets the processor is the limit, and a second
worker helps if there is another core for it.
"""

from collections.abc import Iterator

from benchmarks import trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import HANGING, Crowd
from benchmarks.referee_server import HOSTS
from benchmarks.results import Result

NAME = "workers"

#: Requests that one worker has under way (``CHRONOS_MAX_TRANSFERS``), and how long each takes.
_PLACES, _ANSWER_MS = 200, 500
#: One worker can carry 400/s of them.
_SLOW_COUNT = 800


def run(bench: Bench) -> Iterator[Result]:
    """Offer more than one worker carries, and count the requests that arrive."""
    slow = Crowd(count=_SLOW_COUNT, hosts=HOSTS, path=f"{HANGING}{_ANSWER_MS}")
    for workers in (1, 2):
        with installation(
            bench.base, workers=workers, own_target=True, MAX_TRANSFERS=str(_PLACES)
        ) as chronos:
            figures = trial.arrival_figures(chronos, slow, bench.timing)
        yield Result(NAME, slow_case(workers), figures)
    for workers in (1, 2):
        with installation(bench.base, workers=workers) as chronos:
            seen = trial.run(chronos, [Crowd(count=bench.rate())], bench.timing)
        yield Result(NAME, f"{bench.rate():,} at one instant, {_named(workers)}", seen.figures)


def slow_case(workers: int) -> str:
    """Return the name of the case in which targets take a while."""
    return f"targets take {_ANSWER_MS} ms, {_named(workers)}"


def _named(workers: int) -> str:
    return "one worker" if workers == 1 else f"{workers} workers"
