"""``chronos compare``: what imported jobs recorded, beside what cron started."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientCommand, CommandFailed, Exit, say
from chronos_client.commands.imports import counted, text_of
from chronos_client.commands.output import Column, moment, show_list
from chronos_client.importers import cron_log, crontab
from chronos_client.models import Execution

#: Recorded runs that are read. A day of 60 jobs that run each minute has 86,400.
_MAX_RUNS = 200_000
_SHOWN = 3


def _some(minutes: Sequence[datetime]) -> str:
    more = len(minutes) - _SHOWN
    shown = ", ".join(moment(each)[:-3] for each in minutes[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


_COLUMNS = (
    Column("JOB", lambda each: ", ".join(each.jobs), is_flexible=True),
    Column("CRON", lambda each: len(each.in_cron), justify="right"),
    Column("CHRONOS", lambda each: len(each.recorded), justify="right"),
    Column("ONLY IN CRON", lambda each: _some(each.only_in_cron), is_flexible=True),
    Column("ONLY IN CHRONOS", lambda each: _some(each.only_recorded), is_flexible=True),
)


@click.command(
    "compare",
    cls=ClientCommand,
    examples=[
        "crontab -l > mine",
        "journalctl -t CRON -o short-iso --since -24h | chronos compare mine -",
        "chronos compare /etc/cron.d/shop /var/log/syslog --users",
    ],
)
@click.argument("table", metavar="CRONTAB", type=click.Path(exists=True, dir_okay=False))
@click.argument("log", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--users", is_flag=True, help="CRONTAB names a user in each line, as /etc/cron.d.")
def compare(*, table: str, log: str, users: bool) -> None:
    """Compare the minutes that imported jobs recorded with those in the log of cron.

    CRONTAB is the file that 'chronos import' read, and the jobs have the names that it gave. They
    may be in shadow. The exit code is 1 if a minute differs.
    """
    jobs_of = crontab.jobs_of(text_of(table), has_users=users)
    starts = cron_log.read(text_of(log), now=datetime.now(UTC))  # noqa: TID251 - an entry point
    names = {job for jobs in jobs_of.values() for job in jobs}
    found = session.connect().executions.list(trigger="schedule", since=starts[0].minute)
    compared, first, last = cron_log.compare(jobs_of, starts, _recorded(found, names))
    if not compared:
        raise CommandFailed(
            f"Nothing to compare from {moment(first)} to {moment(last)}: neither the log nor "
            "Chronos has a run of a job of the crontab.",
            Exit.MISSING,
        )
    show_list(compared, _COLUMNS, name=lambda each: each.command)
    differing = sum(each.in_cron != each.recorded for each in compared)
    result = f"{differing} of them in other minutes" if differing else "all in the same minutes"
    say(f"From {moment(first)} to {moment(last)}: {counted(len(compared), 'command')}, {result}.")
    click.get_current_context().exit(Exit.FAILED if differing else Exit.DONE)


def _recorded(executions: Iterable[Execution], names: set[str]) -> dict[str, frozenset[datetime]]:
    """Return the minutes for which the jobs of these names have an execution."""
    minutes: defaultdict[str, set[datetime]] = defaultdict(set)
    for number, each in enumerate(islice(executions, _MAX_RUNS + 1)):
        if number == _MAX_RUNS:
            raise CommandFailed(
                f"The log begins more than {_MAX_RUNS:,} runs ago. Give a shorter one.",
                Exit.USAGE,
            )
        if each.job_name in names:
            minutes[each.job_name].add(cron_log.minute(each.scheduled_for))
    return {job: frozenset(found) for job, found in minutes.items()}
