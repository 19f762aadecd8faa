"""A heat map of runs to come, hour by hour, and the bars of one hour, minute by minute."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final

from chronos_api.ui.charts import LEAST_HEIGHT, WIDTH
from chronos_common.clock import HOUR, MINUTE

#: Shades beside the one of nothing. More cannot be told apart.
SHADES: Final = 4

BARS_HEIGHT = 80.0


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour: how many runs of how many jobs, and how dark it is, from 0 to :data:`SHADES`."""

    at: datetime
    runs: int
    jobs: int
    shade: int

    @property
    def until(self) -> datetime:
        """Where the next hour begins."""
        return self.at + HOUR


@dataclass(frozen=True, slots=True)
class Day:
    """A day on the reader's clocks, with its cells by their hour.

    The hour that comes twice in autumn has both of its cells, and the one that does not come in
    spring has none.
    """

    date: datetime
    hours: Mapping[int, Sequence[Cell]]

    @property
    def until(self) -> datetime:
        """Where the last hour of the day ends."""
        return max(cell.until for cells in self.hours.values() for cell in cells)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The days, and the busiest cell. It is None if nothing is to run."""

    days: Sequence[Day]
    busiest: Cell | None


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
    return Cell(at, runs, bucket["jobs"], shade)


@dataclass(frozen=True, slots=True)
class MinuteBar:
    """A minute: its place, its height, and how many runs are due in it."""

    at: datetime
    until: datetime
    runs: int
    x: float
    y: float
    width: float
    height: float


def minute_bars(minutes: Sequence[Mapping[str, Any]]) -> list[MinuteBar]:
    """Return a bar for each minute of an agenda, as the API answers them."""
    most = max((minute["runs"] for minute in minutes), default=0)
    width = round(WIDTH / max(len(minutes), 1), 2)
    bars = []
    for index, minute in enumerate(minutes):
        at, runs = datetime.fromisoformat(minute["at"]), minute["runs"]
        height = round(max(BARS_HEIGHT * runs / most, LEAST_HEIGHT), 2) if runs else 0.0
        x, y = round(index * width, 2), BARS_HEIGHT - height
        bars.append(MinuteBar(at, at + MINUTE, runs, x, y, width, height))
    return bars
