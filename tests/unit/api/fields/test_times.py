"""Times as users write them: every form of RFC 3339, and a reason for what is none."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_api.fields import times
from chronos_api.fields.times import WrongTime

CHRISTMAS = datetime(2026, 12, 25, 9, tzinfo=UTC)

NUMBER = "Is a number, not a time; if it counts {} since 1970, write '2026-12-25T09:00:00Z'."
ZONE = "Has '{}' in place of an offset; end it with Z for UTC, or with one like +01:00."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-25T09:00:00Z", CHRISTMAS),
        ("2026-12-25t09:00:00z", CHRISTMAS),
        ("2026-12-25 09:00:00Z", CHRISTMAS),
        ("2026-12-25T10:00:00+01:00", CHRISTMAS),
        ("2026-12-25T09:00:00-00:00", CHRISTMAS),
        ("2026-12-25T09:00:00+00:00", CHRISTMAS),
        ("2026-12-25T09:00:00.0Z", CHRISTMAS),
        ("2026-12-25T09:00:00.123456789012Z", CHRISTMAS + timedelta(microseconds=123_456)),
        ("2026-12-25T09:00:00.9999999Z", CHRISTMAS + timedelta(microseconds=999_999)),
        ("2026-12-24T09:01:00-23:59", CHRISTMAS),
        ("2026-12-31T23:59:60Z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("1990-12-31T15:59:60-08:00", datetime(1991, 1, 1, tzinfo=UTC)),
        ("2027-01-01T00:59:60.5+01:00", datetime(2027, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        # Not RFC 3339, but clear.
        ("2026-12-25T09:00Z", CHRISTMAS),
        ("20261225T090000Z", CHRISTMAS),
        ("2026-12-25T10:00:00+0100", CHRISTMAS),
    ],
)
def test_every_form_is_read(text: str, expected: datetime) -> None:
    assert times.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2026-13-25T09:00:00Z", "There is no month 13; months are 01 to 12."),
        ("2026-00-25T09:00:00Z", "There is no month 00; months are 01 to 12."),
        ("2026-02-29T09:00:00Z", "There is no day 29; February 2026 has the days 01 to 28."),
        ("2026-12-00T09:00:00Z", "There is no day 00; December 2026 has the days 01 to 31."),
        ("2026-12-25T24:00:00Z", "There is no hour 24; hours are 00 to 23."),
        ("2026-12-25T09:60:00Z", "There is no minute 60; minutes are 00 to 59."),
        ("2026-12-25T09:00:61Z", "There is no second 61; seconds are 00 to 59."),
        (
            "2026-12-25T09:00:60Z",
            "There is no second 60 here; a leap second ends a month of UTC, at 23:59:60Z.",
        ),
        ("2026-12-25T09:00:00+24:00", "There is no offset +24:00; they end at 23:59."),
        ("2026-12-25T09:00:00+01:60", "There is no offset +01:60; they end at 23:59."),
        ("0000-12-25T09:00:00Z", "There is no year 0."),
        ("0001-01-01T00:00:00+01:00", "Lies beyond the calendar's years, 1 to 9999."),
        (
            "2026-12-25T09:00:00",
            "Lacks its offset; end it with Z for UTC, or with one like +01:00.",
        ),
        ("2026-12-25T09:00", "Lacks its offset; end it with Z for UTC, or with one like +01:00."),
        ("2026-12-25", "Is a date without a time; write it like '2026-12-25T09:00:00Z'."),
        ("2026-13-25", "There is no month 13; months are 01 to 12."),
        (
            "2026-12-25T09:00:00 01:00",
            "Has a space where its offset begins; in a URL '+' means a space: write %2B.",
        ),
        ("1798189200", NUMBER.format("seconds")),
        ("1798189200000", NUMBER.format("milliseconds")),
        ("2026-12-25T09:00:00 Europe/Berlin", ZONE.format("Europe/Berlin")),
        ("2026-12-25 09:00:00 UTC", ZONE.format("UTC")),
        ("", "Is empty; write it like '2026-07-01T09:00:00Z'."),
        (
            " 2026-12-25T09:00:00Z",
            "Has white space around it; write it like '2026-07-01T09:00:00Z'.",
        ),
        ("tomorrow", "Is not a time of RFC 3339; write it like '2026-07-01T09:00:00Z'."),
        ("25.12.2026 09:00", "Is not a time of RFC 3339; write it like '2026-07-01T09:00:00Z'."),
        ("12/25/2026", "Is not a time of RFC 3339; write it like '2026-07-01T09:00:00Z'."),
    ],
)
def test_a_refusal_says_what_is_wrong_with_this_very_time(text: str, fault: str) -> None:
    with pytest.raises(WrongTime) as refused:
        times.parse(text)
    assert str(refused.value) == fault


def test_a_number_is_shown_as_the_time_that_it_may_mean() -> None:
    assert "write '2026-12-25T09:00:00Z'" in times.number_fault(1798189200)
    assert "milliseconds since 1970, write '2026-12-25T09" in times.number_fault(1798189200000)
    for odd in (float("nan"), float("inf"), 1e300, -1e300):
        assert times.number_fault(odd).startswith("Is a number, not a time; write it like")


@given(
    moment=st.datetimes(datetime(1970, 1, 2), datetime(2400, 1, 1)),  # noqa: DTZ001 - readings
    offset=st.integers(-1439, 1439),
    letters=st.sampled_from("Tt "),
    digits=st.text("0123456789", max_size=30),
)
def test_whatever_rfc_3339_can_write_is_that_moment(
    moment: datetime, offset: int, letters: str, digits: str
) -> None:
    zone = timezone(timedelta(minutes=offset))
    local = moment.replace(microsecond=int(digits[:6].ljust(6, "0")), tzinfo=zone)
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    text = f"{local:%Y-%m-%d}{letters}{local:%H:%M:%S}{'.' + digits if digits else ''}"
    text += f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    assert times.parse(text) == local


@given(st.text(max_size=40))
def test_whatever_is_written_is_a_moment_or_has_a_reason(text: str) -> None:
    try:
        said = f"{times.parse(text)}."
    except WrongTime as error:
        said = str(error)
    assert said.endswith(".")


def test_a_long_text_is_refused_at_once() -> None:
    for text in ("1 11:11 " * 100_000, "9" * 1_000_000, "2026-12-25T09:00:00." + "1" * 10**6):
        with pytest.raises(WrongTime):
            times.parse(text)
