"""E: half of the targets take 10 s to answer: the effect on the other half."""

from collections.abc import Iterator

from benchmarks import trial
from benchmarks.bench import Bench
from benchmarks.installation import installation
from benchmarks.load import HANGING, Crowd
from benchmarks.referee_server import HOSTS
from benchmarks.results import Result

NAME = "hanging"
COUNT = 500
ALONE, BESIDE = f"{COUNT}/s alone", f"{COUNT}/s beside {COUNT}/s that hang"

_HALF = len(HOSTS) // 2


def run(bench: Bench) -> Iterator[Result]:
    """Run the quick half alone, then beside the hanging half. Only the quick half is measured."""
    quick = Crowd(count=COUNT, hosts=HOSTS[:_HALF])
    slow = Crowd(count=COUNT, hosts=HOSTS[_HALF:], path=f"{HANGING}10000")
    for case, crowds in ((ALONE, [quick]), (BESIDE, [quick, slow])):
        with installation(bench.base, own_target=True, SHUTDOWN_GRACE_SECONDS="1") as chronos:
            seen = trial.run(chronos, crowds, bench.timing)
        yield Result(NAME, case, seen.figures)
