"""Figures as they are kept: one result for each case of a scenario and repeat, and medians."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from benchmarks.referee import FAULTS

#: A rate holds if at least this part of the occurrences due in the window is done in it.
HELD_RATIO = 0.99


@dataclass(frozen=True)
class Result:
    """The figures of one case of a scenario, in one repeat. Units are in their names."""

    scenario: str
    case: str
    figures: Mapping[str, float]
    notes: Mapping[str, str] = field(default_factory=dict)


def medians(results: Iterable[Result]) -> list[Result]:
    """Join the repeats of each case: the median of each figure, in the order of the cases.

    Of faults the worst repeat counts.
    """
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.scenario, result.case), []).append(result)
    return [_join(group) for group in groups.values()]


def faults_of(result: Result) -> int:
    """Return how many faults the referee found."""
    return int(sum(result.figures.get(name, 0) for name in FAULTS))


def _join(group: list[Result]) -> Result:
    names = list(dict.fromkeys(name for result in group for name in result.figures))
    figures = {}
    for name in names:
        values = [result.figures[name] for result in group if name in result.figures]
        figures[name] = max(values) if name in FAULTS else median(values)
        if len(values) > 1 and name == "capacity_per_s":
            figures["capacity_per_s_worst"] = min(values)
    notes = {name: text for result in group for name, text in result.notes.items()}
    return Result(group[0].scenario, group[0].case, figures, notes)
