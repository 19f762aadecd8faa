"""Names that are no zones: what is suggested means what was written."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.domain.timezones import files, zones
from chronos_common.domain.timezones import names as zone_names

QUOTED = re.compile(r"'([^']+)'")


def suggested(name: str) -> set[str]:
    """Return the zones that the error for ``name`` tells to use; examples of a form are none."""
    text = zone_names.fault(name).replace("use an IANA name like 'Europe/Berlin' or 'UTC'", "")
    return {each for each in QUOTED.findall(text) if each in files.names()}


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        # Spelled otherwise.
        ("europe/berlin", "Europe/Berlin"),
        ("EUROPE/BERLIN", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("america/port au prince", "America/Port-au-Prince"),
        ("Europe-Berlin", "Europe/Berlin"),
        (" Europe/Berlin ", "Europe/Berlin"),
        (":Europe/Berlin", "Europe/Berlin"),
        ("posix/Europe/Berlin", "Europe/Berlin"),
        ("utc", "UTC"),
        ("us/pacific", "US/Pacific"),
        # A city.
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("São Paulo", "America/Sao_Paulo"),
        # A slip.
        ("Europe/Berln", "Europe/Berlin"),
        ("Europe/Berllin", "Europe/Berlin"),
        ("Europe/Belrin", "Europe/Berlin"),
        ("Europe/Merlin", "Europe/Berlin"),
        ("Erope/Berlin", "Europe/Berlin"),
        ("Asia/Tokio", "Asia/Tokyo"),
        # Windows.
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("eastern daylight time", "America/New_York"),
        ("Tokyo Standard Time", "Asia/Tokyo"),
    ],
)
def test_another_way_to_write_a_zone_is_understood(name: str, zone: str) -> None:
    assert f"did you mean '{zone}'?" in zone_names.fault(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Europe/Bern", "America/London", "Europe/New_York", "Africa/Berlin", "Petersburg"),
        *("Victoria", "Pacific", "Central", "West", "local", "localtime", "system", "Germany"),
        *("Nicosia Standard Time", "CET-1CEST", "EST5ED", "CEST-1", "etc/utc+2"),
        *("Europe", "Europe/", "/", "", "Asia/Omam", "GMT2", "UTC 2", "Asia/Dali"),
    ],
)
def test_a_zone_whose_name_only_looks_alike_is_not_suggested(name: str) -> None:
    assert suggested(name) == set()


OFFSETS = [
    f"{prefix}{{sign}}{hours}"
    for prefix in ("GMT", "UTC", "gmt", "Utc ", "")
    for hours in ("{hours}", "{hours:02}", "{hours:02}:00", "{hours:02}00")
]


@given(form=st.sampled_from(OFFSETS), offset=st.integers(-12, 14))
def test_an_offset_leads_to_the_zone_that_has_it(form: str, offset: int) -> None:
    name = form.format(sign="-" if offset < 0 else "+", hours=abs(offset))
    if name in files.names():
        return
    [zone] = suggested(name)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert moment.astimezone(zones.zone_of(zone)).utcoffset() == timedelta(hours=offset)
    if offset:
        assert "the sign in these names is reversed" in zone_names.fault(name)


@pytest.mark.parametrize("name", ["UTC+5:30", "+0545", "GMT+15", "UTC-13", "Etc/GMT+15"])
def test_an_offset_that_no_zone_always_has_asks_for_a_region(name: str) -> None:
    assert "name the region" in zone_names.fault(name)
    assert suggested(name) == set()


def test_z_is_utc() -> None:
    assert suggested("Z") == suggested("+00:00") == suggested("UTC-0") == {"UTC"}


def test_a_name_of_the_area_etc_keeps_its_reversed_sign() -> None:
    assert suggested("Etc/GMT+02") == {"Etc/GMT+2"}
    assert suggested("etc/gmt-2") == {"Etc/GMT-2"}
    assert "UTC-2" in zone_names.fault("Etc/GMT+02")


def test_an_abbreviation_names_all_that_it_may_mean() -> None:
    assert suggested("IST") == {"Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"}
    assert "several meanings" in zone_names.fault("CST")
    assert suggested("CEST") == {"Europe/Berlin"}


def test_every_zone_that_the_tables_name_exists_and_no_abbreviation_is_a_zone() -> None:
    for table in (zone_names._WINDOWS, zone_names._ABBREVIATIONS):
        for zone in zone_names._table(table).values():
            assert set(zone.split(", ")) <= files.names()
    taken = {name.lower() for name in files.names()}
    assert not taken.intersection(zone_names._table(zone_names._ABBREVIATIONS))


@given(st.text(max_size=70))
def test_whatever_is_written_there_is_an_answer(name: str) -> None:
    assert "time zone" in zone_names.fault(name)


@given(zone=st.sampled_from(sorted(files.names())), place=st.integers(0, 40))
def test_a_name_without_one_letter_means_that_zone_or_none(zone: str, place: int) -> None:
    """Only the same rules count as the same zone; some names differ in one letter."""
    name = zone[: place % len(zone)] + zone[place % len(zone) + 1 :]
    if name in files.names() or any(each in "+-0123456789" for each in name):
        return
    for each in suggested(name):
        if "several meanings" not in zone_names.fault(name):
            area = each.partition("/")[0]
            assert files.mark(each) == files.mark(zone) or area != zone.partition("/")[0]
