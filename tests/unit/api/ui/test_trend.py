"""The trend as a table, for those who do not see the chart."""

from datetime import UTC, datetime, timedelta

from chronos_api.ui import charts

START = datetime(2026, 11, 1, tzinfo=UTC)
NOTHING = dict.fromkeys(map(str, charts.STACK), 0)


def chart(ended: dict[int, int], *, buckets: int) -> charts.TrendChart:
    """Return the trend of hours, in some of which executions succeeded."""
    hours = [
        {"at": (START + timedelta(hours=n)).isoformat(), **NOTHING, "succeeded": ended.get(n, 0)}
        for n in range(buckets)
    ]
    return charts.trend(hours, 3600)


def test_a_week_has_rows_of_some_hours_and_loses_nothing() -> None:
    found = chart({0: 1, 5: 2, 6: 4, 167: 8}, buckets=168).rows
    assert [(row.at, row.counts["succeeded"]) for row in found] == [
        (START + timedelta(hours=162), 8),
        (START + timedelta(hours=6), 4),
        (START, 3),
    ]


def test_without_executions_there_is_no_row() -> None:
    assert chart({}, buckets=60).rows == []
    assert chart({}, buckets=0).rows == []


def test_bars_of_one_outcome_are_one_path_and_rare_ones_are_seen() -> None:
    hours = [
        {"at": START.isoformat(), **NOTHING, "succeeded": 100, "failed": 1},
        {"at": (START + timedelta(hours=1)).isoformat(), **NOTHING, "succeeded": 50},
    ]
    succeeded, failed = charts.trend(hours, 3600).stacks
    assert (succeeded.status, succeeded.path.count("M")) == ("succeeded", 2)
    assert failed.path == "M0.5 78h299v2H0.5z"


def test_the_hours_of_a_week_are_drawn_two_by_two() -> None:
    week = chart({0: 1, 1: 2, 2: 4}, buckets=168)
    assert [bar.total for bar in week.bars[:3]] == [3, 4, 0]
    assert len(week.bars) == 84
    assert (week.bars[1].at, week.bars[1].until) == (
        START + timedelta(hours=2),
        START + timedelta(hours=4),
    )
