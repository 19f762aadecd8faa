"""The log of cron beside the recorded minutes of imported jobs."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine

from chronos_client.importers import cron_log, crontab
from chronos_client.importers.outcome import SourceUnreadable

NOW = datetime(2027, 1, 1, 0, 30, tzinfo=UTC)
START = datetime(2026, 12, 31, 9, tzinfo=UTC)
COMMAND = "curl -m 5 'https://example.com/a?b=(1)'"


def minutes(*numbers: int) -> frozenset[datetime]:
    return frozenset(START + timedelta(minutes=each) for each in numbers)


def logged(*numbers: int) -> list[cron_log.CronStart]:
    return [cron_log.CronStart(each, COMMAND) for each in sorted(minutes(*numbers))]


@pytest.mark.parametrize(
    "line",
    [
        f"2026-12-31T09:00:03+00:00 host CRON[12]: (root) CMD ({COMMAND})",
        f"2026-12-31T10:00:01.123456+01:00 host CRON[12]: (www-data) CMD ({COMMAND})",
        f"2026-12-31T09:00:01+0000 host CROND[7]: (root) CMD ({COMMAND})",
        f"Dec 31 10:00:01 host CRON[12]: (root) CMD ({COMMAND})",
        f"Dec 31 10:00:01 host CRON[12]: (root) CMD (   {COMMAND} )",
    ],
)
def test_a_start_is_read_from_each_form_of_log(line: str) -> None:
    noise = (
        "Dec 31 09:00:02 host systemd[1]: Started x.\n2026-12-31T09:00:01Z a CRON[1]: (x) END\n"
    )
    with time_machine.travel(NOW.astimezone(ZoneInfo("Europe/Berlin"))):  # the machine's zone
        assert cron_log.read(noise + line, now=NOW) == [cron_log.CronStart(START, COMMAND)]


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "no line like"), ("Foo 31 09:00:01 h CRON[1]: (r) CMD (x)", "time that is none")],
)
def test_a_text_that_is_no_log_is_refused(text: str, why: str) -> None:
    with pytest.raises(SourceUnreadable, match=why):
        cron_log.read(text, now=NOW)


def test_a_command_has_the_jobs_of_all_its_lines() -> None:
    table = f"*/5 * * * * www-data\t{COMMAND}\n7 * * * * root {COMMAND}\n@daily root /bin/true\n"
    table += "-5 * * * * root curl https://example.com/silent\n"
    assert crontab.jobs_of(table, has_users=True) == {
        COMMAND: ["GET example.com/a", "GET example.com/a (2)"]
    }


def test_minutes_that_only_one_of_them_has_are_named() -> None:
    jobs = {COMMAND: ["a", "a (2)"], "curl example.com/never": ["b"]}
    recorded = {"a": minutes(1, 3, 4, 9), "a (2)": minutes(2)}
    (found,), first, last = cron_log.compare(jobs, logged(0, 1, 2, 5, 8), recorded)
    # Of the first minute of both, and the last one of the log, the log may have a part alone.
    assert {first, last} == minutes(2, 7)
    assert found.only_in_cron == sorted(minutes(5))
    assert found.only_recorded == sorted(minutes(3, 4))
    assert (len(found.in_cron), len(found.recorded)) == (2, 3)
