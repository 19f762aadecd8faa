"""Forms of other schedulers are refused with the field of Chronos that does the same."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_common.domain.cron import dialects
from chronos_common.domain.cron import expression as cron
from chronos_common.domain.schedules import schedule
from chronos_common.errors import Invalid

INTERVAL = "schedule_type 'interval' with interval_seconds"
JITTER = "set jitter_seconds"
BOUNDS = "starts_at and ends_at"
ONCE = "schedule_type 'once' with run_at"
WEEKS = "interval_seconds 1209600 (14 days) and starts_at"
SYSTEMD = "systemd's OnCalendar form; write five fields instead"


@pytest.mark.parametrize(
    ("expression", "remedy"),
    [
        # A time zone in the expression: cronie, Kubernetes, robfig/cron, fugit.
        ("CRON_TZ=Europe/Berlin 0 9 * * *", "'Europe/Berlin' in the field timezone"),
        ("TZ=America/New_York 0 0 9 * * MON", "'America/New_York' in the field timezone"),
        ("cron_tz = UTC", "in the field timezone"),
        ("CRON_TZ=Europe/Berlin @daily", "write '@daily' here"),
        ("0 9 * * * Europe/Berlin", "write '0 9 * * *' here, and the zone in the field timezone"),
        ("0 0 9 * * * America/Argentina/Ushuaia", "the zone in the field timezone"),
        ("0 9 * * * UTC", "the zone in the field timezone"),
        ("0 9 * * * cet", "'cet' is a time zone; write '0 9 * * *' here"),
        ("0 9 * * * UTC+05:30", "'UTC+05:30' is a time zone"),
        ("0 0 9 * * * -0800", "'-0800' is a time zone; write '0 0 9 * * *' here"),
        ("CRON_TZ='Asia/Tokyo' 0 9 * * *", "write '0 9 * * *' here, and 'Asia/Tokyo' in"),
        ("TZ= 0 9 * * *", "write '0 9 * * *' here, and the zone in the field timezone"),
        # Weeks: fugit.
        ("0 9 * * mon%2", f"{INTERVAL} 1209600."),
        ("0 9 * * tue%3+1", f"{INTERVAL} 1814400. It counts from starts_at."),
        # Macros of robfig/cron, Debian's and FreeBSD's cron.
        ("@every 5m", f"{INTERVAL} 300."),
        ("@every 1h30m", f"{INTERVAL} 5400."),
        ("@every 1.5h", f"{INTERVAL} 5400."),
        ("@every 100ms", f"{INTERVAL}."),
        ("@every 8760h", f"{INTERVAL} 31536000."),
        ("@every 8760h1s", f"{INTERVAL}."),
        (f"@every {'9' * 240}h", f"{INTERVAL}."),
        ("@every", INTERVAL),
        ("@reboot", "POST /api/v1/jobs/{id}/execute"),
        ("@every_minute", "'* * * * *' for every minute"),
        ("@every_second", "'* * * * * *' for every second"),
        ("@at 2026-12-25", ONCE),
        ("@quarterly", "'0 0 1 */3 *' for every quarter"),
        # A year: Quartz, AWS.
        ("0 0 12 * * ? 2030", f"write '0 0 12 * * ?', and use {BOUNDS}"),
        ("0 0 12 * * ? 2030-2035", f"write '0 0 12 * * ?', and use {BOUNDS}"),
        ("0 0 12 * * ? 2030/2", f"write '0 0 12 * * ?', and use {BOUNDS}"),
        ("0 0 12 * * ? *", "write '0 0 12 * * ?' alone"),
        ("0 12 ? * MON 2030", f"write '0 12 ? * MON', and use {BOUNDS}"),
        ("cron(0 10 * * ? *)", "like '0 10 * * ?'"),
        ("cron(0 10 ? * MON-FRI 2030)", f"For the year, use {BOUNDS}"),
        ("cron()", "write the five fields alone"),
        ("0 10 ? * MON-FRI *", "write the five fields alone, like '0 10 ? * MON-FRI'"),
        ("0/15 * * * ? *", "write the five fields alone, like '0/15 * * * ?'"),
        ("rate(5 minutes)", f"{INTERVAL} 300."),
        ("rate(1 day)", f"{INTERVAL} 86400."),
        ("at(2026-11-20T13:00:00)", f"{ONCE} and timezone"),
        # Values by chance: Jenkins, croniter, OpenBSD and cronie.
        ("H * * * *", JITTER),
        ("H(0-29)/10 * * * *", JITTER),
        ("H/15 * * * *", JITTER),
        ("H H(0-7) * * 1-5", JITTER),
        ("R * * * *", JITTER),
        ("0 R(9,17) * * *", JITTER),
        ("R/5 * * * *", JITTER),
        ("0~30 * * * *", JITTER),
        ("~ 0~5 * * *", JITTER),
        # Quartz.
        ("0 0 9 ? * L", "write SAT"),
        ("0 9 ? * L", "write SAT"),
        ("0 0 ? * MON-TUE#2", "'MON#2,TUE#2'"),
        ("0 0 1-5W * ?", "write '1W,2W'"),
        # systemd.timer, RFC 5545, ISO 8601, Celery.
        ("Mon..Fri *-*-* 09:00:00", SYSTEMD),
        ("*-*-01 00:00", SYSTEMD),
        ("Sat,Sun 20:30", SYSTEMD),
        ("*:0/15", SYSTEMD),
        ("OnCalendar=daily", SYSTEMD),
        ("FREQ=DAILY;BYHOUR=9;BYMINUTE=30", "starts_at for DTSTART, ends_at for UNTIL"),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=10", "max_runs for COUNT"),
        ("R5/2026-01-01T00:00:00Z/PT1H", "interval_seconds, starts_at and max_runs"),
        ("PT15M", INTERVAL),
        ("2026-12-25T09:00:00Z", ONCE),
        ("2026-12-25 09:00", ONCE),
        ("2026-12-25", ONCE),
        ("day_of_week='mon', hour=9", "in the order minute"),
        ("crontab(minute=0, hour=7)", "in the order minute, hour, day of month"),
        # A line of a crontab.
        ("0 9 * * * /usr/bin/backup --all", "its type and payload"),
        ("0 9 * * * root ./backup.sh", "its type and payload"),
        ("*/5 * * * * php artisan schedule:run", "its type and payload"),
        ("0 9 * * * # every morning", "leave out everything from '#' on"),
        ("#0 9 * * *", "leave out everything from '#' on"),
        ("0 9 * * *; 0 17 * * *", "make a job for each"),
        ("0 9 * * 1-5\n0 10 * * SAT", "make a job for each"),
        # A line of a workflow or of a manifest.
        ("'0 9 * * *'", "write '0 9 * * *' alone"),
        ("- cron: '30 5,17 * * *'  # twice", "write '30 5,17 * * *' alone"),
        ('schedule: "*/5 * * * *"', "write '*/5 * * * *' alone"),
        ("cron: 0 9 * * MON#2 # monthly", "write '0 9 * * MON#2' alone"),
        # Typed like prose.
        ("0 9 * * MON, WED ,FRI", "write '0 9 * * MON,WED,FRI'"),
        ("0, 30 9 * * *", "write '0,30 9 * * *'"),
        # Words.
        ("every 5 minutes", f"{INTERVAL} 300."),
        ("Every hour", f"{INTERVAL} 3600."),
        ("@every 10 minutes", f"{INTERVAL} 600."),
        ("every 5 mins", f"{INTERVAL} 300."),
        ("30 seconds", f"{INTERVAL} 30."),
        ("5m", f"{INTERVAL} 300."),
        ("every 2 weeks", WEEKS),
        ("every other Friday", WEEKS),
        ("biweekly", WEEKS),
        ("daily", "write '@daily'"),
        ("09:30", "09:30 is '30 9 * * *'"),
        ("every day at 9am", "natural language"),
        ("at noon on weekdays", "natural language"),
        ("first Monday of the month", "natural language"),
        ("9:30pm", "natural language"),
    ],
)
def test_a_form_of_another_scheduler_is_refused_with_its_remedy(
    expression: str, remedy: str
) -> None:
    with pytest.raises(Invalid) as refused:
        cron.check(expression)
    [(field, [message])] = refused.value.fields.items()
    assert field == "cron_expression"
    assert remedy in message
    # Whatever the message tells users to write is understood.
    for advised in re.findall(r"(?:write|like|is) '([^']+)'", message):
        if len(advised.split()) > 1 or advised.startswith("@"):
            cron.check(advised)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 9 * * Monday", "use 0-7 or SUN-SAT"),
        ("0 9 * January *", "use 1-12 or JAN-DEC"),
        ("0 0 9 * 13 MON/2", "The month '13'"),
        ("*-5 * * * *", r"The minute '*-5'"),
        ("0 9 * * HUH", "The day of week 'HUH'"),
        ("x", "Has 1 field,"),
        ("", "Has 0 fields,"),
        # Copied from a document.
        (
            "0 9 * * MON\N{EN DASH}FRI",
            "week 'MON\N{EN DASH}FRI' has the character '\N{EN DASH}' (en dash); write '-'.",
        ),
        ("0 9 * * 1\N{MINUS SIGN}5", "(minus sign); write '-'."),
        ("\N{FULLWIDTH DIGIT FIVE} 9 * * *", "(fullwidth digit five); write '5'."),
        ("\N{ASTERISK OPERATOR}/5 * * * *", "(asterisk operator); use ASCII characters alone."),
        (
            "\N{LEFT DOUBLE QUOTATION MARK}0 9 * * *",
            "The minute '\N{LEFT DOUBLE QUOTATION MARK}0'",
        ),
        ("0 9 * * *\N{ZERO WIDTH SPACE}", "(zero width space); use"),
        # A comma too many.
        ("0 9 * * 1,", "The day of week has a comma without a value; remove the comma."),
        ("1,,2 9 * * *", "The minute has a comma without a value; remove the comma."),
    ],
)
def test_a_slip_in_a_field_is_no_dialect(expression: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        cron.check(expression)
    assert message in refused.value.fields["cron_expression"][0]


def test_the_longest_interval_that_is_advised_is_the_longest_that_is_accepted() -> None:
    assert dialects.LONGEST_INTERVAL == schedule.MAX_INTERVAL_SECONDS


ALPHABET = "0123456789*/,-#LWHRT~?@:.=()ZabceMONsmhd PY"


@settings(deadline=None, max_examples=500)
@given(st.text(ALPHABET, min_size=100, max_size=256) | st.text(max_size=256))
def test_any_text_that_is_refused_is_refused_with_a_sentence(text: str) -> None:
    try:
        cron.check(text)
    except Invalid as error:
        [(field, [message])] = error.fields.items()
        assert field == "cron_expression"
        assert message.endswith((".", ")."))
