"""How long the disk lasts, by the sizes of the days."""

from datetime import UTC, date, datetime, timedelta

import pytest

from chronos_common.doctor import disk

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY, DAY, HOUR = NOW.date(), timedelta(days=1), timedelta(hours=1)
MONTH = 30 * DAY


def grown(sizes: dict[date, int], *, since: timedelta | None = None) -> disk.Growth:
    first = NOW - since if since else None
    return disk.growth(sizes, first=first, retention=MONTH, now=NOW)


@pytest.mark.parametrize(
    ("sizes", "since", "rate"),
    [
        ({}, None, 0),
        ({TODAY - DAY: 80}, None, 80),
        ({TODAY - DAY: 80, TODAY: 20}, 12 * HOUR, 80),
        ({TODAY - DAY: 80, TODAY: 50}, 12 * HOUR, 100),
        ({TODAY: 10}, 2 * HOUR, 120),
        # Less than an hour says nothing about a day.
        ({TODAY: 10}, HOUR / 2, 0),
    ],
)
def test_the_rate_is_that_of_yesterday_or_of_today(
    sizes: dict[date, int], since: timedelta | None, rate: float
) -> None:
    assert grown(sizes, since=since).bytes_per_day == pytest.approx(rate)


def test_a_disk_is_full_unless_the_retention_ends_the_growth_before() -> None:
    two_days = {TODAY - DAY: 100, TODAY - 2 * DAY: 100}
    assert grown(two_days).bytes_when_full == 3100
    assert grown(two_days).days_until_full(900) == 9
    assert grown(two_days).days_until_full(2900) is None
    assert grown({}).days_until_full(0) is None
    steady = {TODAY - number * DAY: 100 for number in range(1, 32)}
    assert grown(steady).days_until_full(0) is None
