"""Figures as geometry: the templates draw it as SVG, so that no script is needed.

A chart is a box of :data:`WIDTH` by a height, with the origin at the top left. Each part has a
text that tells its figures.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from chronos_common.domain.statuses import Status

WIDTH = 600.0
TREND_HEIGHT = 160.0

#: The final statuses in the order in which a bar stacks them, from below.
STACK = (Status.SUCCEEDED, Status.CANCELLED, Status.SKIPPED, Status.FAILED)

#: A bar of a few failures among thousands has to be seen, too.
LEAST_HEIGHT = 2.0
#: Bars of a trend. Buckets are joined if there are more.
_MOST_BARS = 100
#: Rows of a chart's table, which a reader hears one by one.
_MOST_ROWS = 30
_SPARK_WIDTH, _SPARK_HEIGHT, _SPARK_LEAST, _SPARK_RUNS = 120, 24, 4, 20


@dataclass(frozen=True, slots=True)
class Bars:
    """All bars of one status. ``path`` draws them, because one element for each is heavy."""

    status: str
    path: str
    count: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One span of time: its place, and its figures."""

    x: float
    width: float
    at: datetime
    until: datetime
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many executions ended in it."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class TrendRow:
    """A row of the chart's table: some bars that follow each other."""

    at: datetime
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TrendChart:
    """Stacked bars over time. ``top`` is the number at the upper edge."""

    bars: Sequence[Bar]
    stacks: Sequence[Bars]
    top: int

    @property
    def rows(self) -> list[TrendRow]:
        """The same as a table that can be read: the latest first, bars joined if they are many."""
        joined = math.ceil(len(self.bars) / _MOST_ROWS)
        spans = [
            self.bars[index : index + joined] for index in range(0, len(self.bars), joined or 1)
        ]
        rows = [
            TrendRow(bars[0].at, {name: sum(each.counts[name] for each in bars) for name in STACK})
            for bars in spans
            if any(each.total for each in bars)
        ]
        return rows[::-1]


def trend(buckets: Sequence[Mapping[str, Any]], seconds: int) -> TrendChart:
    """Return the chart of a trend, whose ``buckets`` are as the API answers them."""
    joined = max(math.ceil(len(buckets) / _MOST_BARS), 1)
    spans = [buckets[first : first + joined] for first in range(0, len(buckets), joined)]
    counts = [
        {str(status): sum(int(bucket[status]) for bucket in span) for status in STACK}
        for span in spans
    ]
    top = round_up(max((sum(each.values()) for each in counts), default=0))
    width = WIDTH / max(len(spans), 1)
    bars = []
    paths: dict[str, list[str]] = {status: [] for status in STACK}
    for index, (span, each) in enumerate(zip(spans, counts, strict=True)):
        at = datetime.fromisoformat(span[0]["at"])
        until = at + timedelta(seconds=seconds * len(span))
        bar = Bar(round(index * width, 2), width, at, until, each)
        bars.append(bar)
        for status, y, height in _stacked(each, top):
            paths[status].append(
                f"M{bar.x + 0.5:g} {y:g}h{width - 1:.4g}v{height:g}H{bar.x + 0.5:g}z"
            )
    stacks = [Bars(status, "".join(each), len(each)) for status, each in paths.items() if each]
    return TrendChart(bars, stacks, top)


def _stacked(counts: Mapping[str, int], top: int) -> Iterator[tuple[Status, float, float]]:
    """Yield each status of a bar from below, with its upper edge and its height."""
    y = TREND_HEIGHT
    for status in STACK:
        if counts[status]:
            height = max(TREND_HEIGHT * counts[status] / top, LEAST_HEIGHT)
            y = max(y - height, 0.0)
            yield status, round(y, 2), round(height, 2)


def round_up(number: int) -> int:
    """Return the next number that reads well: 1, 2 or 5 times a power of ten."""
    if number <= 1:
        return 1
    power: int = 10 ** math.floor(math.log10(number))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= number)


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a ring: the circle's dash that draws it, and its share."""

    status: str
    count: int
    share: float
    length: float
    offset: float


#: The circumference of the ring's circle, of radius 15.9155.
RING = 100.0


def ring(counts: Mapping[str, int]) -> list[Slice]:
    """Return the parts of a ring, by final status. None of them if nothing has ended."""
    total = sum(counts.get(status, 0) for status in STACK)
    slices, begin = [], 0.0
    for status in STACK:
        count = counts.get(status, 0)
        if count:
            share = count / total
            length = RING * share
            slices.append(Slice(status, count, share, round(length, 3), round(-begin, 3)))
            begin += length
    return slices


def sparkline(rows: Sequence[RowMapping]) -> list[Bars]:
    """Return the bars of a job's latest executions. ``rows`` has the latest first.

    The height of a bar tells how long its execution took.
    """
    shown = list(reversed(rows[:_SPARK_RUNS]))
    longest = max((row["duration_ms"] or 0 for row in shown), default=0)
    step = _SPARK_WIDTH // _SPARK_RUNS
    # The latest one stands at the right edge, however many there are.
    first = _SPARK_WIDTH - step * len(shown)
    bars: dict[str, list[str]] = {}
    for index, row in enumerate(shown):
        height = _spark_height(row["duration_ms"] or 0, longest)
        bar = f"M{first + index * step} {_SPARK_HEIGHT}v-{height}h{step - 1}v{height}z"
        bars.setdefault(row["status"], []).append(bar)
    return [Bars(status, "".join(each), len(each)) for status, each in bars.items()]


def _spark_height(duration_ms: int, longest: int) -> int:
    # A logarithm: one slow execution must not flatten the others.
    share = math.log1p(duration_ms) / math.log1p(longest) if longest else 0.0
    return round(_SPARK_LEAST + (_SPARK_HEIGHT - _SPARK_LEAST) * share)


@dataclass(frozen=True, slots=True)
class DriftBar:
    """A step of a histogram: its place, and how many executions started so late."""

    x: float
    y: float
    width: float
    height: float
    from_ms: int
    below_ms: int
    executions: int


DRIFT_HEIGHT = 80.0


def histogram(buckets: Sequence[Mapping[str, int]]) -> list[DriftBar]:
    """Return the bars of the steps, as the API answers them. All have the same width."""
    most = max((bucket["executions"] for bucket in buckets), default=0)
    width = WIDTH / max(len(buckets), 1)
    bars = []
    for index, bucket in enumerate(buckets):
        height = max(DRIFT_HEIGHT * bucket["executions"] / most, LEAST_HEIGHT)
        y = DRIFT_HEIGHT - height
        bars.append(
            DriftBar(
                round(index * width, 2), round(y, 2), round(width, 2), round(height, 2), **bucket
            )
        )
    return bars


@dataclass(frozen=True, slots=True)
class PhaseBar:
    """A part of an attempt: where it begins and ends, in parts of the whole."""

    name: str
    milliseconds: float
    x: float
    width: float


_PHASES = (
    ("dns", "look-up"),
    ("connect", "connection"),
    ("tls", "TLS"),
    ("first_byte", "waiting"),
    ("total", "answer"),
)


def phases(timing: Mapping[str, float] | None) -> list[PhaseBar]:
    """Return the phases of an attempt, of whose ``timing_ms`` each figure counts from the start.

    The recorded figures are of libcurl: each says when its phase ended. A phase that did not
    happen, as on a connection that was open already, is left out.
    """
    total = (timing or {}).get("total") or 0
    if not timing or total <= 0:
        return []
    found, begin = [], 0.0
    for key, name in _PHASES:
        end = timing.get(key) or 0
        if end > begin:
            found.append(
                PhaseBar(
                    name,
                    round(end - begin, 1),
                    round(WIDTH * begin / total, 1),
                    round(max(WIDTH * (end - begin) / total, 1), 1),
                )
            )
            begin = end
    return found
