from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.retries import MAX_RETRY_AFTER
from chronos_worker.http import response_headers

NOW = datetime(2026, 10, 21, 7, 28, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30),
        ("Wednesday, 21-Oct-26 07:28:30 GMT", 30),
        ("Wed Oct 21 07:28:30 2026", 30),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0),
        ("Tue, 01 Jan 1980 00:00:00 GMT", 0),
    ],
)
def test_seconds_and_all_forms_of_dates_are_understood(value: str, seconds: int) -> None:
    assert response_headers.retry_after(value, now=NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", ["99999", "9999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "86401"]
)
def test_no_target_can_ask_for_more_than_a_day(value: str) -> None:
    assert response_headers.retry_after(value, now=NOW) == MAX_RETRY_AFTER


@pytest.mark.parametrize(
    "value",
    [None, "", " ", "soon", "-5", "1.5", "12345678901", "1e3", "١٢", "Wed, 99 Oct 2026 07:28:30"],
)
def test_garbage_asks_for_nothing(value: str | None) -> None:
    assert response_headers.retry_after(value, now=NOW) is None


@given(st.text())
def test_nothing_that_a_target_sends_raises(value: str) -> None:
    wait = response_headers.retry_after(value, now=NOW)
    assert wait is None or timedelta(0) <= wait <= MAX_RETRY_AFTER
