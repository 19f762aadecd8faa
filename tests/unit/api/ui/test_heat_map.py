"""The heat map of runs to come."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chronos_api.ui.heat_map import BARS_HEIGHT, SHADES, heat_map, minute_bars


def buckets(start: datetime, runs: list[int]) -> list[dict[str, Any]]:
    hour = timedelta(hours=1)
    return [
        {"at": (start + index * hour).isoformat(), "runs": each, "jobs": 1}
        for index, each in enumerate(runs)
    ]


def test_the_busiest_hour_is_the_darkest_and_an_idle_one_has_no_shade() -> None:
    found = heat_map(buckets(datetime(2026, 12, 1, 22, tzinfo=UTC), [0, 1, 1000, 30]), UTC)
    shades = [cell.shade for day in found.days for hour in day.hours.values() for cell in hour]
    assert (shades[0], shades[2]) == (0, SHADES)
    assert 0 < shades[1] < shades[3] < SHADES
    assert found.busiest is not None
    assert found.busiest.runs == 1000
    assert [day.date.day for day in found.days] == [1, 2]


def test_the_hour_that_comes_twice_has_both_of_its_cells() -> None:
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    found = heat_map(buckets(start, [1] * 25), ZoneInfo("Europe/Berlin"))
    (day,) = found.days
    assert [len(day.hours[hour]) for hour in (1, 2, 3)] == [1, 2, 1]


def test_the_hour_that_does_not_come_has_no_cell() -> None:
    start = datetime(2027, 3, 27, 23, tzinfo=UTC)
    (day,) = heat_map(buckets(start, [1] * 23), ZoneInfo("Europe/Berlin")).days
    assert 2 not in day.hours


def test_nothing_to_run_has_no_busiest_hour() -> None:
    assert heat_map(buckets(datetime(2026, 12, 1, tzinfo=UTC), [0, 0]), UTC).busiest is None
    assert heat_map([], UTC).days == []


def test_the_busiest_minute_is_the_highest_and_a_few_runs_are_seen() -> None:
    minutes = buckets(datetime(2026, 12, 1, tzinfo=UTC), [0, 1, 5000])
    idle, few, most = minute_bars(minutes)
    assert (idle.height, most.height, most.y) == (0, BARS_HEIGHT, 0)
    assert 1 < few.height < BARS_HEIGHT / 10
    assert minute_bars([]) == []
