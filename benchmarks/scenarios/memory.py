"""Ten minutes of work: whether a process grows."""

import time
from collections.abc import Iterator
from threading import Thread

from benchmarks import trial, usage
from benchmarks.bench import Bench
from benchmarks.installation import Installation, installation
from benchmarks.load import Crowd
from benchmarks.results import Result
from benchmarks.scenarios import ladder
from benchmarks.trial import Timing

NAME = "memory"

#: Pools, caches and the like are full by then.
_SETTLED_AFTER = 0.2
_SAMPLES = 60


def run(bench: Bench) -> Iterator[Result]:
    """Run one long trial; growth is from a fifth of the time to its end."""
    seconds, count = bench.options.memory_seconds, bench.rate()
    samples: list[dict[str, float]] = []
    with installation(bench.base, workers=ladder.workers()) as chronos:
        sampler = Thread(target=_sample, args=(chronos, seconds, samples), daemon=True)
        timing = Timing(bench.timing.warmup, seconds)
        seen = trial.run(chronos, [Crowd(count=count)], timing, during=sampler.start)
        sampler.join()
    settled, end = samples[int(len(samples) * _SETTLED_AFTER)], samples[-1]
    figures = {f"{name}_mib_settled": mib for name, mib in settled.items()}
    figures |= {f"{name}_mib_at_end": mib for name, mib in end.items()}
    yield Result(NAME, f"{count:,} at one instant for {seconds} s", seen.figures | figures)


def _sample(chronos: Installation, seconds: int, samples: list[dict[str, float]]) -> None:
    pids = {name: chronos.pids[name] for name in ("scheduler", "worker", "api")}
    for _ in range(_SAMPLES):
        samples.append({name: sum(map(usage.resident_mib, pids[name])) for name in pids})
        time.sleep(seconds / _SAMPLES)
