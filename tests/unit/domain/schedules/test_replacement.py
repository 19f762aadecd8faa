"""What a new schedule drops and adds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chronos_common.domain.schedules.replacement import MAX_COMPARED, compare
from chronos_common.domain.schedules.schedule import Schedule, ScheduleKind

NOW = datetime(2026, 12, 1, tzinfo=UTC)
DAILY = Schedule(ScheduleKind.CRON, "30 2 * * *")


def test_dropped_and_added_instants_are_told() -> None:
    found = compare(DAILY, replace(DAILY, expression="30 2,14 * * MON-FRI"), since=NOW)
    assert found.dropped[0] == datetime(2026, 12, 5, 2, 30, tzinfo=UTC)
    assert {each.weekday() for each in found.dropped} == {5, 6}
    assert {each.hour for each in found.added} == {14}
    days = (found.until - NOW).days + 1 if found.until else 0
    assert len(found.dropped) + found.kept == days


def test_the_same_instants_change_nothing() -> None:
    same = compare(DAILY, replace(DAILY, timezone="Atlantic/Reykjavik"), since=NOW)
    assert (same.dropped, same.added, same.kept) == ([], [], MAX_COMPARED)


def test_schedules_that_end_are_compared_to_their_ends() -> None:
    once = Schedule(ScheduleKind.ONCE, anchor=NOW + timedelta(days=1))
    found = compare(once, replace(once, anchor=NOW + timedelta(days=2)), since=NOW)
    assert (len(found.dropped), len(found.added), found.until) == (1, 1, None)


def test_the_comparison_is_bounded() -> None:
    each_second = Schedule(ScheduleKind.INTERVAL, interval_seconds=1, anchor=NOW)
    found = compare(DAILY, each_second, since=NOW)
    assert (found.dropped, len(found.added)) == ([], MAX_COMPARED)
    assert found.until == NOW + timedelta(seconds=MAX_COMPARED)
