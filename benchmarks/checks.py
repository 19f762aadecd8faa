"""The targets of the project, each with the figure that was reached."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.results import HELD_RATIO, Result, faults_of
from benchmarks.scenarios import (
    api,
    celery_beat,
    celery_classic,
    fairness,
    hanging,
    idle,
    ladder,
    large,
    memory,
    rest,
    spread,
    tabs,
    ui,
    workers,
)


@dataclass(frozen=True)
class Check:
    """A target, the figure that was reached, and whether that is enough.

    ``seen`` is the trial whose costs explain the figure.
    """

    what: str
    target: str
    reached: str
    met: bool
    seen: Result | None = None

    @property
    def explanation(self) -> str:
        """The explanation of a miss: the processor's time by process."""
        if self.met or self.seen is None:
            return ""
        spent = _cpu_by_part(self.seen)
        parts = ", ".join(f"{name} {seconds:.3f}" for name, seconds in spent.items())
        stolen = self.seen.figures.get("stolen_cores")
        missing = "" if stolen is None else f", while {stolen:.2f} cores were stolen"
        return (
            f"{sum(spent.values()):.2f} CPU s per 1,000 at {self.seen.case} ({parts}){missing}; "
            "see the profile and benchmarks/reports"
        )


def check(results: Sequence[Result]) -> list[Check]:
    """Return the targets that ``results``, joined over repeats, can speak about."""
    return [each for part in _PARTS for each in part(results)]


def capacity_of(results: Sequence[Result]) -> float:
    """Return the capacity, or zero if the ladder did not run."""
    (found,) = _of(results, ladder.NAME, "capacity") or (None,)
    return found.figures["capacity_per_s"] if found else 0


def done_by(results: Sequence[Result], scenario: str, case: str) -> float:
    """Return the executions of a control in a second, or zero if it did not run."""
    return max((each.figures["done_per_s"] for each in _of(results, scenario, case)), default=0)


def held_by(results: Sequence[Result], scenario: str) -> float:
    """Return the most a second that a control holds of the rates that were tried, or zero."""
    tried = [each.figures for each in _of(results, scenario)]
    held = [f["due_per_s"] for f in tried if f["done_per_s"] >= HELD_RATIO * f["due_per_s"]]
    return max(held, default=0)


def _of(results: Sequence[Result], scenario: str, case: str | None = None) -> list[Result]:
    return [r for r in results if r.scenario == scenario and case in {None, r.case}]


def _at_least(
    what: str, value: float, target: float, unit: str = "", seen: Result | None = None
) -> Check:
    met = value >= target
    return Check(what, f"at least {target:,g}{unit}", f"{value:,.1f}{unit}", met, seen)


def _at_most(
    what: str, value: float, target: float, unit: str, seen: Result | None = None
) -> Check:
    met = value <= target
    digits = 1 if target == 0 or target >= 1 else 3
    return Check(what, f"at most {target:,g}{unit}", f"{value:,.{digits}f}{unit}", met, seen)


def _faults(results: Sequence[Result]) -> Iterator[Check]:
    judged = [result for result in results if "duplicates" in result.figures]
    if judged:
        found = sum(map(faults_of, judged))
        what = "occurrences lost, doubled or unrecorded, in all scenarios"
        yield Check(what, "none", f"{found:,}", found == 0)


def _capacity(results: Sequence[Result]) -> Iterator[Check]:
    for result in _of(results, ladder.NAME, "capacity"):
        worst = result.figures.get("capacity_per_s_worst", result.figures["capacity_per_s"])
        seen = _at_capacity(results)
        yield _at_least("capacity, the worst of the repeats", worst, 7000, "/s", seen)
    for result in _of(results, ladder.NAME, ladder.case(1000)):
        p99 = result.figures["drift_p99_ms"]
        yield _at_most("1,000 at one instant: p99 drift", p99, 150, " ms", result)
    at_capacity = _at_capacity(results)
    if at_capacity:
        peak = at_capacity.figures["peak_worker_mib"]
        yield _at_most("worker's memory at capacity", peak, 200, " MiB")


def _at_capacity(results: Sequence[Result]) -> Result | None:
    """Return the ladder's largest trial within capacity. A median may lie between two trials."""
    capacity = capacity_of(results)
    trials = [each for each in _of(results, ladder.NAME) if "due_per_s" in each.figures]
    within = [each for each in trials if each.figures["due_per_s"] <= capacity]
    return max(within, key=lambda each: each.figures["due_per_s"], default=None)


def _spread(results: Sequence[Result]) -> Iterator[Check]:
    for result in _of(results, spread.NAME):
        for name, target in (("p50", 5), ("p99", 25)):
            value = result.figures[f"drift_{name}_ms"]
            yield _at_most(f"1,000/s spread: {name} drift", value, target, " ms", result)


def _ratios(results: Sequence[Result]) -> Iterator[Check]:
    capacity = capacity_of(results)
    controls = (
        # celery-classic is the plain one. A session per thread is shown beside it.
        (celery_classic.NAME, done_by(results, celery_classic.NAME, celery_classic.PLAIN), 12),
        (f"what {celery_beat.NAME} holds", held_by(results, celery_beat.NAME), 20),
    )
    for what, reached, target in controls:
        if reached and capacity:
            ratio, seen = capacity / reached, _at_capacity(results)
            yield _at_least(f"median capacity against {what}", ratio, target, " times", seen)


def _idle(results: Sequence[Result]) -> Iterator[Check]:
    found = _of(results, idle.NAME)
    if len(found) != 3:  # noqa: PLR2004 - the cases of the scenario
        return
    without, beside, near_capacity = found
    more = 100 * (_cpu(beside) / _cpu(without) - 1)
    yield _at_most("CPU that idle jobs cost at 1,000/s", more, 10, " % more", beside)
    holds = bool(near_capacity.figures["holds"])
    said = "yes" if holds else "no"
    yield Check(f"holds {near_capacity.case}", "yes", said, holds, near_capacity)
    peak = max(r.figures["peak_scheduler_mib"] for r in (beside, near_capacity))
    yield _at_most("scheduler's memory beside idle jobs", peak, 150, " MiB")


def _cpu(result: Result) -> float:
    """Return the CPU seconds of Chronos and its servers per 1,000 executions."""
    parts = ("scheduler", "worker", "PostgreSQL", "Valkey")
    return sum(result.figures[f"cpu_{part}_s_per_1000"] for part in parts)


#: Least CPU seconds per 1,000 that explain a miss.
_LEAST_SHOWN = 0.001


def _cpu_by_part(result: Result) -> dict[str, float]:
    """Return the CPU seconds per 1,000 executions or requests, the most first."""
    parts = ("worker", "PostgreSQL", "scheduler", "api", "target", "Valkey")
    spent = {part: result.figures.get(f"cpu_{part}_s_per_1000", 0.0) for part in parts}
    shown = {part: seconds for part, seconds in spent.items() if seconds >= _LEAST_SHOWN}
    return dict(sorted(shown.items(), key=lambda item: -item[1]))


def _hanging(results: Sequence[Result]) -> Iterator[Check]:
    cases = [_of(results, hanging.NAME, case) for case in (hanging.ALONE, hanging.BESIDE)]
    if all(cases):
        (alone,), (beside,) = cases
        ratio = beside.figures["drift_p99_ms"] / alone.figures["drift_p99_ms"]
        what = "p99 drift of the others while half of the targets hang"
        yield _at_most(what, ratio, 2, " times", beside)


def _fairness(results: Sequence[Result]) -> Iterator[Check]:
    for result in _of(results, fairness.NAME):
        what = "p99 drift of other workspaces beside a flood"
        yield _at_most(what, result.figures["others_p99_ms"], 2000, " ms")


def _api(results: Sequence[Result]) -> Iterator[Check]:
    for result in _of(results, api.NAME):
        if result.figures["requests_per_s"] < api.RATE:
            continue  # a smoke test
        for kind in ("create", "read", "list"):
            p99 = result.figures[f"{kind}_p99_ms"]
            yield _at_most(f"API: {kind}, p99", p99, 50, " ms", result)


def _large(results: Sequence[Result]) -> Iterator[Check]:
    answers = [r for r in _of(results, large.NAME) if "answer_ms" in r.figures]
    if answers:
        slowest = max(answers, key=lambda each: each.figures["answer_ms"])
        what = f"a large database: the slowest answer ({slowest.case})"
        yield _at_most(what, slowest.figures["answer_ms"], large.TARGET_MS, " ms", slowest)
    for listed in _of(results, large.NAME, large.COMMAND):
        seconds = listed.figures["seconds"]
        yield _at_most(large.COMMAND, seconds, large.COMMAND_TARGET_SECONDS, " s")


def _memory(results: Sequence[Result]) -> Iterator[Check]:
    for result in _of(results, memory.NAME):
        for name in ("worker", "scheduler"):
            settled = result.figures[f"{name}_mib_settled"]
            grown = 100 * (result.figures[f"{name}_mib_at_end"] / settled - 1)
            yield _at_most(f"growth of the {name} in the long run", grown, 5, " %")


def _rest(results: Sequence[Result]) -> Iterator[Check]:
    for result in _of(results, rest.NAME, rest.TOGETHER):
        figures = result.figures
        if figures["window_s"] < rest.SECONDS:
            return  # a smoke test
        yield _at_most("chronos up at rest: memory", figures["pss_mib"], 350, " MiB")
        yield _at_most("chronos up at rest: CPU", figures["cpu_percent"], 1, " % of a core")
        yield _at_most("chronos up: first useful line after", figures["seconds"], 5, " s")
        for shown in _of(results, rest.NAME, rest.HELP):
            yield _at_most("chronos --help: time", shown.figures["seconds"], 0.3, " s")
            yield _at_most("chronos --help: memory", shown.figures["peak_mib"], 60, " MiB")
        for loaded in _of(results, rest.NAME, rest.CLIENT):
            yield _at_most("import of the client: time", loaded.figures["seconds"], 0.15, " s")


def _workers(results: Sequence[Result]) -> Iterator[Check]:
    slow = [_of(results, workers.NAME, workers.slow_case(count)) for count in (1, 2)]
    if all(slow):
        one, two = (found[0].figures["done_per_s"] for found in slow)
        yield _at_least("two workers against one, targets being slow", two / one, 1.5, " times")


def _ui(results: Sequence[Result]) -> Iterator[Check]:
    """Judge the worst page of each figure."""
    for limit in ui.LIMITS:
        found = [each for each in _of(results, ui.NAME) if limit.concerns(each)]
        if found:
            worst = max(found, key=lambda each: each.figures[limit.figure])
            what = f"pages: {limit.what} (the worst: {worst.case})"
            yield _at_most(what, worst.figures[limit.figure], limit.most, limit.unit)


def _tabs(results: Sequence[Result]) -> Iterator[Check]:
    cases = [_of(results, tabs.NAME, case) for case in (tabs.WITHOUT, tabs.BESIDE)]
    if not all(cases):
        return
    (without,), (beside,) = cases
    lost = 100 * (1 - beside.figures["done_per_s"] / without.figures["done_per_s"])
    yield _at_most("executions that eight tabs cost", lost, 3, " %", beside)
    yield _at_most("a tab's main thread", beside.figures["busy_percent"], 5, " % busy")
    yield _at_most("event streams of eight tabs", beside.figures["streams"], 1, "")
    if beside.figures["watched_s"] >= tabs.LONG:
        yield _at_most("growth of a tab's memory", beside.figures["heap_growth_mb"], 2, " MB")


_PARTS: tuple[Callable[[Sequence[Result]], Iterator[Check]], ...] = (
    _faults,
    _capacity,
    _spread,
    _ratios,
    _idle,
    _hanging,
    _fairness,
    _api,
    _large,
    _memory,
    _rest,
    _workers,
    _ui,
    _tabs,
)
