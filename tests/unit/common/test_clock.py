"""Instants as Chronos writes them everywhere."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common import clock


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")), "2026-06-30T22:00:00.000Z"),
    ],
)
def test_an_instant_is_written_in_utc_and_milliseconds(moment: datetime, written: str) -> None:
    assert clock.rfc3339(moment) == written


@given(
    st.datetimes(
        min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        max_value=datetime(9998, 12, 31, 23, 59, 59, 999_999),  # noqa: DTZ001
        timezones=st.timezones(),
    )
)
def test_every_instant_is_written_as_it_is(moment: datetime) -> None:
    exact = moment.astimezone(UTC)
    written = datetime.fromisoformat(clock.rfc3339(moment))
    assert written == exact.replace(microsecond=exact.microsecond // 1000 * 1000)


def test_the_last_second_of_the_calendar_is_not_rounded_up() -> None:
    assert clock.rfc3339(datetime.max.replace(tzinfo=UTC)) == "9999-12-31T23:59:59.999Z"
