"""Clock changes: a table worked out by hand, and two oracles for everything else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
from cronsim import CronSim
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import cron_english
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.timezones.zones import zone_of
from chronos_common.errors import Invalid

# In UTC, after which the clock of the zone stands otherwise than before:
#   Berlin     2026-03-29 01:00 +1 h, 2026-10-25 01:00 -1 h
#   New York   2026-03-08 07:00 +1 h, 2026-11-01 06:00 -1 h
#   Lord Howe  2026-04-04 15:00 -30 min (02:00 to 01:30), 2026-10-03 15:30 +30 min (02:00 to 02:30)
#   Casablanca 2026-02-15 02:00 -1 h (Ramadan, 03:00 to 02:00), 2026-03-22 02:00 +1 h
#   Sao Paulo  2017-10-15 03:00 +1 h (00:00 to 01:00), 2018-02-18 02:00 -1 h (00:00 to 23:00)
#   Apia       2011-12-30 10:00 +24 h: no 30th of December
TABLE = """
Europe/Berlin | 30 2 * * *      | 2026-03-28T12:00 | 2026-03-29T01:00 2026-03-30T00:30
Europe/Berlin | 30 2 * * *      | 2026-10-24T12:00 | 2026-10-25T00:30 2026-10-26T01:30
Europe/Berlin | 0 2,3 * * *     | 2026-03-28T12:00 | 2026-03-29T01:00 2026-03-30T00:00 2026-03-30T01:00
Europe/Berlin | 30 1-3 * * *    | 2026-03-28T22:00 | 2026-03-29T00:30 2026-03-29T01:00 2026-03-29T01:30
Europe/Berlin | 30 1-3 * * *    | 2026-10-24T22:00 | 2026-10-24T23:30 2026-10-25T00:30 2026-10-25T02:30
Europe/Berlin | 0 9,17 * * *    | 2026-03-28T09:00 | 2026-03-28T16:00 2026-03-29T07:00 2026-03-29T15:00
Europe/Berlin | 0 9-11 * * *    | 2026-10-25T00:00 | 2026-10-25T08:00 2026-10-25T09:00 2026-10-25T10:00
Europe/Berlin | 15 30 2 * * *   | 2026-03-28T12:00 | 2026-03-29T01:00 2026-03-30T00:30:15
Europe/Berlin | 15 30 2 * * *   | 2026-10-24T12:00 | 2026-10-25T00:30:15 2026-10-26T01:30:15
Europe/Berlin | */30 30 2 * * * | 2026-03-28T12:00 | 2026-03-29T01:00 2026-03-30T00:30 2026-03-30T00:30:30
Europe/Berlin | 30 2 29 3 *     | 2026-01-01T00:00 | 2026-03-29T01:00 2027-03-29T00:30
Europe/Berlin | 45 2 * * *      | 2026-10-25T01:15 | 2026-10-26T01:45
Europe/Berlin | */15 * * * *    | 2026-03-29T00:30 | 2026-03-29T00:45 2026-03-29T01:00 2026-03-29T01:15
Europe/Berlin | */15 * * * *    | 2026-10-25T00:45 | 2026-10-25T01:00 2026-10-25T01:15 2026-10-25T01:30
Europe/Berlin | */15 * * * *    | 2026-10-25T01:45 | 2026-10-25T02:00 2026-10-25T02:15 2026-10-25T02:30
Europe/Berlin | 0 * * * *       | 2026-03-28T23:30 | 2026-03-29T00:00 2026-03-29T01:00 2026-03-29T02:00
Europe/Berlin | 0 * * * *       | 2026-10-24T23:30 | 2026-10-25T00:00 2026-10-25T01:00 2026-10-25T02:00
Europe/Berlin | 0 0-23 * * *    | 2026-10-24T23:30 | 2026-10-25T00:00 2026-10-25T01:00 2026-10-25T02:00
Europe/Berlin | 0/30 1-2 * * *  | 2026-10-25T00:15 | 2026-10-25T00:30 2026-10-25T01:00 2026-10-25T01:30
Europe/Berlin | 0 */2 * * *     | 2026-03-28T23:30 | 2026-03-29T02:00 2026-03-29T04:00
Europe/Berlin | 0 */2 * * *     | 2026-10-24T22:30 | 2026-10-25T00:00 2026-10-25T01:00 2026-10-25T03:00
Europe/Berlin | */30 2 * * *    | 2026-03-28T12:00 | 2026-03-30T00:00 2026-03-30T00:30
Europe/Berlin | */30 2 * * *    | 2026-10-25T00:15 | 2026-10-25T00:30 2026-10-25T01:00 2026-10-25T01:30
Europe/Berlin | */30 2 25 10 *  | 2026-01-01T00:00 | 2026-10-25T00:00 2026-10-25T00:30 2026-10-25T01:00
Europe/Berlin | */20 * * * * *  | 2026-10-25T00:59:40 | 2026-10-25T01:00 2026-10-25T01:00:20
Europe/Berlin | */20 * * * * *  | 2026-03-29T00:59:40 | 2026-03-29T01:00 2026-03-29T01:00:20
America/New_York | 30 2 * * *   | 2026-03-07T12:00 | 2026-03-08T07:00 2026-03-09T06:30
America/New_York | 30 1 * * *   | 2026-10-31T12:00 | 2026-11-01T05:30 2026-11-02T06:30
America/New_York | 45 1 * * *   | 2026-11-01T06:15 | 2026-11-02T06:45
America/New_York | @hourly      | 2026-11-01T04:30 | 2026-11-01T05:00 2026-11-01T06:00 2026-11-01T07:00
America/New_York | 0 9 * * MON  | 2026-03-07T00:00 | 2026-03-09T13:00 2026-03-16T13:00
Australia/Lord_Howe | 15 2 * * *   | 2026-10-03T12:00 | 2026-10-03T15:30 2026-10-04T15:15
Australia/Lord_Howe | 45 1 * * *   | 2026-04-04T12:00 | 2026-04-04T14:45 2026-04-05T15:15
Australia/Lord_Howe | */15 * * * * | 2026-04-04T14:30 | 2026-04-04T14:45 2026-04-04T15:00 2026-04-04T15:15
Australia/Lord_Howe | */15 * * * * | 2026-10-03T15:00 | 2026-10-03T15:15 2026-10-03T15:30 2026-10-03T15:45
Australia/Lord_Howe | 0 * * * *    | 2026-04-04T14:30 | 2026-04-04T15:30 2026-04-04T16:30
Australia/Lord_Howe | 30 * * * *   | 2026-04-04T14:00 | 2026-04-04T14:30 2026-04-04T15:00 2026-04-04T16:00
Australia/Lord_Howe | 0 * * * *    | 2026-10-03T14:00 | 2026-10-03T14:30 2026-10-03T16:00
Africa/Casablanca | 30 2 * * *   | 2026-02-14T12:00 | 2026-02-15T01:30 2026-02-16T02:30
Africa/Casablanca | 30 2 * * *   | 2026-03-21T12:00 | 2026-03-22T02:00 2026-03-23T01:30
Africa/Casablanca | */30 * * * * | 2026-02-15T01:15 | 2026-02-15T01:30 2026-02-15T02:00 2026-02-15T02:30
Africa/Casablanca | 0 12 * * *   | 2026-02-14T00:00 | 2026-02-14T11:00 2026-02-15T12:00
America/Sao_Paulo | 0 0 * * *    | 2017-10-14T12:00 | 2017-10-15T03:00 2017-10-16T02:00
America/Sao_Paulo | @weekly      | 2017-10-14T12:00 | 2017-10-15T03:00 2017-10-22T02:00
America/Sao_Paulo | 30 0 15 10 * | 2017-01-01T00:00 | 2017-10-15T03:00 2018-10-15T03:30
America/Sao_Paulo | 30 23 * * *  | 2018-02-17T12:00 | 2018-02-18T01:30 2018-02-19T02:30
America/Sao_Paulo | 0 0 * * *    | 2018-02-17T12:00 | 2018-02-18T03:00 2018-02-19T03:00
America/Sao_Paulo | 0 * * * *    | 2018-02-18T00:30 | 2018-02-18T01:00 2018-02-18T02:00 2018-02-18T03:00
America/Sao_Paulo | */10 * * * * | 2017-10-15T02:40 | 2017-10-15T02:50 2017-10-15T03:00 2017-10-15T03:10
Pacific/Apia   | 0 9 * * *       | 2011-12-29T20:00 | 2011-12-30T10:00 2011-12-30T19:00
Pacific/Apia   | 0 9 * * FRI     | 2011-12-29T20:00 | 2011-12-30T10:00 2012-01-05T19:00
Pacific/Apia   | * * * * *       | 2011-12-30T09:58 | 2011-12-30T09:59 2011-12-30T10:00 2011-12-30T10:01
Asia/Kathmandu | 0 9 * * *       | 2026-01-01T00:00 | 2026-01-01T03:15 2026-01-02T03:15
"""  # noqa: E501 - a table is read by its columns
ROWS = [[part.strip() for part in line.split("|")] for line in TABLE.strip().splitlines()]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("zone", "expression", "moment", "expected"), ROWS)
def test_the_table_of_clock_changes(
    zone: str, expression: str, moment: str, expected: str
) -> None:
    asked = instant(moment)
    for text in expected.split():
        found = cron.next_after(expression, zone, asked)
        assert found == instant(text)
        asked = found


# -- two oracles ----------------------------------------------------------------------------------

CHANGES = {
    "Europe/Berlin": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "Europe/Dublin": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "America/New_York": ["2026-03-08T07:00", "2026-11-01T06:00"],
    "America/St_Johns": ["2010-03-14T03:31", "2010-11-07T02:31"],
    "Australia/Lord_Howe": ["2026-04-04T15:00", "2026-10-03T15:30"],
    "Africa/Casablanca": ["2026-02-15T02:00", "2026-03-22T02:00"],
    "America/Sao_Paulo": ["2017-10-15T03:00", "2018-02-18T02:00"],
    "Antarctica/Troll": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "Asia/Kathmandu": ["1985-12-31T18:30"],
    "Asia/Pyongyang": ["2015-08-14T15:00", "2018-05-04T15:00"],
    "Pacific/Apia": ["2011-12-30T10:00", "2012-03-31T14:00"],
    "Pacific/Kwajalein": ["1993-08-21T12:00"],
    "UTC": ["2026-01-01T00:00"],
}
ALL_CHANGES = [(zone, instant(text)) for zone, texts in CHANGES.items() for text in texts]
#: cronsim goes astray where clocks change at midnight, not on the hour, or by half an hour.
WHOLE_HOURS = [
    (zone, changed_at)
    for zone, changed_at in ALL_CHANGES
    if zone.startswith(("Europe", "Africa", "Antarctica", "America/New", "UTC"))
]
MINUTE = timedelta(minutes=1)

MINUTE_FIELDS = st.sampled_from(
    ["*", "*/15", "*/7", "0", "30", "5,45", "10-50/20", "59", "0,15,30,45"]
)
HOUR_FIELDS = st.sampled_from(
    ["*", "*/2", "*/5", "0", "1", "2", "3", "23", "0-3", "1,2", "2,3", "9-17", "0,12", "22,23"]
)
DATE_FIELDS = st.sampled_from(["* * *"] * 4 + ["* * SUN", "*/2 * *", "L * *", "1 * SAT,SUN"])
EXPRESSIONS = st.tuples(MINUTE_FIELDS, HOUR_FIELDS, DATE_FIELDS).map(" ".join)
NEAR_A_CHANGE = st.integers(-2 * 1440, 1440)


class Rules(Protocol):
    """When a job runs, on a clock that is never changed; and whether it keeps a rhythm."""

    rhythm: bool

    def match(self, wall: datetime) -> bool: ...


class WrittenRules:
    """What cronsim reads in an expression."""

    def __init__(self, expression: str) -> None:
        self._rules = CronSim(expression, datetime(2026, 1, 1))  # noqa: DTZ001 - just to read it
        minute, hour, _ = expression.split(maxsplit=2)
        self.rhythm = "*" in minute or "*" in hour

    def match(self, wall: datetime) -> bool:
        return (
            wall.minute in self._rules.minutes
            and wall.hour in self._rules.hours
            and wall.month in self._rules.months
            and self._rules.match_day(wall.date())
        )


class SaidRules:
    """What a reader of its own reads in the description."""

    def __init__(self, expression: str) -> None:
        self._reading = cron_english.read(cron.describe(expression))
        self.rhythm = self._reading.rhythm

    def match(self, wall: datetime) -> bool:
        second = 3600 * wall.hour + 60 * wall.minute
        return bool(self._reading.times >> second & 1) and self._reading.has(wall.date())


def by_every_minute(rules: Rules, zone: str, moment: datetime, until: datetime) -> list[datetime]:
    """Return what happens when somebody watches the clock of ``zone`` every minute.

    Rhythm: whenever the clock shows a time that matches. Fixed time: when the clock shows or has
    passed, for the first time ever, a time that matches.
    """
    # A day and a half earlier, so that the clock has shown whatever comes twice.
    now = moment - timedelta(hours=36)
    furthest = now.astimezone(zone_of(zone)).replace(tzinfo=None)
    found = []
    while now < until:
        now += MINUTE
        wall = now.astimezone(zone_of(zone)).replace(tzinfo=None)
        fires = rules.match(wall) if rules.rhythm else False
        while furthest < wall:
            furthest += MINUTE
            fires = fires or (not rules.rhythm and rules.match(furthest))
        if fires and now > moment:
            found.append(now)
    return found


@pytest.mark.parametrize("rules", [WrittenRules, SaidRules])
@settings(deadline=None, max_examples=100)
@given(
    expression=EXPRESSIONS,
    change=st.sampled_from(ALL_CHANGES),
    offset=NEAR_A_CHANGE,
    seconds=st.integers(0, 59),
)
def test_instants_are_those_of_somebody_who_watches_the_clock(
    rules: Callable[[str], Rules],
    expression: str,
    change: tuple[str, datetime],
    offset: int,
    seconds: int,
) -> None:
    zone, changed_at = change
    whole = changed_at + offset * MINUTE
    until = changed_at + timedelta(days=1, hours=12)
    found = []
    following = cron.next_after(expression, zone, whole + timedelta(seconds=seconds))
    while following is not None and following <= until:
        found.append(following)
        following = cron.next_after(expression, zone, following)
    assert found == by_every_minute(rules(expression), zone, whole, until)


@settings(deadline=None, max_examples=200)
@given(
    expression=EXPRESSIONS,
    change=st.sampled_from(WHOLE_HOURS),
    offset=st.integers(-400 * 1440, 400 * 1440) | NEAR_A_CHANGE,
)
@example(expression="30 2 * * *", change=ALL_CHANGES[0], offset=-600)
@example(expression="*/15 * * * *", change=ALL_CHANGES[1], offset=-45)
def test_instants_around_clock_changes_are_those_of_cronsim(
    expression: str, change: tuple[str, datetime], offset: int
) -> None:
    zone, changed_at = change
    moment = changed_at + offset * MINUTE
    simulation = CronSim(expression, moment.astimezone(zone_of(zone)))
    # cronsim takes a time that comes twice for the first one, so it must not start in the second.
    assume(simulation.fixup_tz is None or not moment.astimezone(zone_of(zone)).fold)
    asked = moment
    for _ in range(5):
        expected = next(simulation).astimezone(UTC)
        found = cron.next_after(expression, zone, asked)
        assert found == expected
        asked = expected


@settings(deadline=None, max_examples=100)
@given(
    expression=EXPRESSIONS,
    zone=st.sampled_from(["Europe/Amsterdam", "Africa/Monrovia", "Asia/Kathmandu", "UTC"]),
    seconds=st.integers(-3_000_000_000, 4_000_000_000),
)
def test_odd_offsets_of_old_times_are_no_obstacle(
    expression: str, zone: str, seconds: int
) -> None:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
    found = cron.next_after(expression, zone, moment)
    assert found is not None
    assert found > moment
    assert cron.next_after(expression, zone, found - timedelta(seconds=1)) == found


# -- names of zones ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "UTC", "Etc/GMT+5", "America/Argentina/Ushuaia"]
)
def test_names_of_the_iana_database_are_zones(name: str) -> None:
    assert cron.check_timezone(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("New_York", "did you mean 'America/New_York'?"),
        ("", "use an IANA name like"),
        ("UTC+2", "is not a time zone"),
        ("../../etc/passwd", "use an IANA name like"),
        ("Europe/../Europe/Berlin", "is not a time zone"),
        ("/etc/localtime", "is not a time zone"),
        ("localtime", "is not a time zone"),
        ("posixrules", "is not a time zone"),
        ("Factory", "is not a time zone"),
        ("Europe", "is not a time zone"),
        ("Europe/Berlin\x00", "is not a time zone"),
        ("UTC" * 1000, "Not a time zone"),
        (5, "Must be a string"),
        (None, "Must be a string"),
    ],
)
def test_another_name_is_refused_with_the_remedy(name: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        cron.check_timezone(name)
    assert message in refused.value.fields["timezone"][0]


def test_a_zone_that_the_database_lost_is_an_error_of_the_timezone() -> None:
    with pytest.raises(Invalid, match="timezone"):
        cron.next_after("* * * * *", "Mars/Olympus", datetime(2026, 1, 1, tzinfo=UTC))
