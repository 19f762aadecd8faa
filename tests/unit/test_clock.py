"""Instants as Chronos writes them everywhere."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

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
