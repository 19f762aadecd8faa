"""The scenarios, each a module with its ``NAME`` and ``run``. Its first line describes it."""

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

from benchmarks.bench import Bench
from benchmarks.results import Result
from benchmarks.scenarios import (
    api,
    apscheduler,
    burst,
    ceilings,
    celery_beat,
    celery_classic,
    fairness,
    hanging,
    idle,
    ladder,
    large,
    memory,
    profile,
    rest,
    retries,
    smoke,
    spread,
    tabs,
    ui,
    workers,
)

Scenario = Callable[[Bench], Iterator[Result]]

_ALL: tuple[ModuleType, ...] = (
    ceilings,
    celery_classic,
    celery_beat,
    apscheduler,
    ladder,
    spread,
    burst,
    fairness,
    idle,
    hanging,
    retries,
    api,
    rest,
    workers,
    large,
    ui,
    tabs,
    memory,
    profile,
)

#: By name, in the order in which they run: later ones use results of earlier ones.
SCENARIOS: Mapping[str, Scenario] = {module.NAME: module.run for module in _ALL}

#: The scenarios of ``--quick``.
QUICK: Mapping[str, Scenario] = {module.NAME: module.run for module in (smoke, api, large, rest)}

#: Run once, however many repeats there are.
ONCE = frozenset({large.NAME, ui.NAME, memory.NAME, profile.NAME})

#: They need a browser.
IN_BROWSER = frozenset({ui.NAME, tabs.NAME})

SUMMARIES: Mapping[str, str] = {
    module.NAME: (module.__doc__ or "").partition("\n")[0] for module in (*_ALL, smoke)
}
