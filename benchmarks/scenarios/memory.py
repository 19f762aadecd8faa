"""Ten minutes of work: whether a process grows."""

import time
from collections.abc import Iterator, Sequence
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
    """Run one long trial. Growth is from a fifth of the time to its end."""
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
    case = f"{count:,} at one instant for {seconds} s"
    notes = {"MiB, ten times over the whole time": _course(samples)}
    yield Result(NAME, case, seen.figures | figures, notes)


def _course(samples: Sequence[dict[str, float]]) -> str:
    """Return how each process went, which tells growth from a step."""
    shown = samples[:: _SAMPLES // 10]
    return "\n".join(
        f"- {name}: {', '.join(f'{each[name]:.0f}' for each in shown)}" for name in samples[0]
    )


def _sample(chronos: Installation, seconds: int, samples: list[dict[str, float]]) -> None:
    """Read the resident memory of the largest process of each kind."""
    pids = {name: chronos.pids[name] for name in ("scheduler", "worker", "api")}
    for _ in range(_SAMPLES):
        samples.append({name: max(map(usage.resident_mib, pids[name])) for name in pids})
        time.sleep(seconds / _SAMPLES)
