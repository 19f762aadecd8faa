"""A heat map of runs to come: one row for each day, one cell for each hour of the day."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final

#: Shades beside the one of nothing. More cannot be told apart.
SHADES: Final = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour: how many runs of how many jobs, and how dark it is, from 0 to :data:`SHADES`."""

    at: datetime
    runs: int
    jobs: int
    shade: int
    named: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Day:
    """A day on the reader's clocks, with its cells by their hour.

    The hour that comes twice in autumn has both of its cells, and the one that does not come in
    spring has none.
    """

    date: datetime
    hours: Mapping[int, Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The days, and the busiest cell. It is None if nothing is to run."""

    days: Sequence[Day]
    busiest: Cell | None

    def cell(self, at: str) -> Cell | None:
        """Return the cell that begins at that instant, as its link names it."""
        cells = (cell for day in self.days for hour in day.hours.values() for cell in hour)
        return next((cell for cell in cells if cell.at.isoformat() == at), None)


def heat_map(buckets: Sequence[Mapping[str, Any]], zone: tzinfo) -> HeatMap:
    """Return the heat map of a forecast in buckets of an hour, as the API answers them."""
    most = max((bucket["runs"] for bucket in buckets), default=0)
    cells = [_cell(bucket, most, zone) for bucket in buckets]
    days: dict[Any, dict[int, list[Cell]]] = {}
    for cell in cells:
        days.setdefault(cell.at.date(), {}).setdefault(cell.at.hour, []).append(cell)
    busiest = max(cells, key=lambda cell: cell.runs, default=None)
    return HeatMap(
        [Day(next(iter(hours.values()))[0].at, hours) for hours in days.values()],
        busiest if busiest and busiest.runs else None,
    )


def _cell(bucket: Mapping[str, Any], most: int, zone: tzinfo) -> Cell:
    runs = bucket["runs"]
    # A logarithm: one hour with very many runs must not make all others look idle.
    shade = math.ceil(SHADES * math.log1p(runs) / math.log1p(most)) if runs else 0
    at = datetime.fromisoformat(bucket["at"]).astimezone(zone)
    return Cell(at, runs, bucket["jobs"], shade, bucket["named"])
