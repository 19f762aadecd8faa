"""Running a job now: start it, and await its end or follow its log."""

from typing import Any, cast

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientCommand, say
from chronos_client.commands.executions.follow import end_with, follow
from chronos_client.commands.executions.views import FIELDS
from chronos_client.commands.output import is_for_people, show_one
from chronos_client.commands.parameters import INSTANT, JOB, PATCH
from chronos_client.models import Execution, RunRequest

#: How far ahead the API takes a run.
_MOST_SECONDS = 30 * 86_400


def waiting_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options that await an execution."""
    for option in (
        click.option("--timeout", type=click.FloatRange(0.1, 86_400), default=3600.0,
                     show_default=True, help="Seconds to wait at most."),
        click.option("--follow", "follows", is_flag=True, help="Show its log until it has ended."),
        click.option("--wait", "waits", is_flag=True, help="Wait until it has ended."),
    ):  # fmt: skip
        command = option(command)
    return command


def run_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add the options of a run by hand."""
    for option in (
        click.option("--delay", "delay_seconds", type=click.FloatRange(0, _MOST_SECONDS),
                     metavar="SECONDS", help="Not now, but after so many seconds."),
        click.option("--at", "run_at", type=INSTANT, help="Not before this instant: +2h."),
        click.option("--note", help="Why, for others."),
        click.option("--patch", "payload_patch", type=PATCH,
                     help="Members of the payload to replace for this run, as JSON, or @FILE."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command(
    "run",
    cls=ClientCommand,
    examples=[
        "chronos jobs run 'Nightly report'",
        "chronos jobs run 'Nightly report' --wait && echo done",
        "chronos jobs run 'Nightly report' --follow",
        "chronos jobs run 'Nightly report' --patch '{\"body\": {\"day\": 1}}' --note 'Again'",
        "chronos jobs run 'Nightly report' --at +2h",
    ],
)
@click.argument("job", type=JOB)
@run_options
@waiting_options
def run_job(*, job: str, waits: bool, follows: bool, timeout: float, **options: Any) -> None:
    """Run a job beside its schedule: now, or later.

    With --wait or --follow the exit code tells its end: 0 succeeded, 1 failed or not ended in
    time, 5 cancelled or skipped.
    """
    client = session.connect()
    found = client.jobs.find(job)
    started = client.jobs.run(found.id, **cast(RunRequest, options))
    say(f"Started {found.name!r} as {started.id}.")
    await_end(started, waits=waits, follows=follows, timeout=timeout)


def await_end(started: Execution, *, waits: bool, follows: bool, timeout: float) -> None:
    """Show an execution: as it is, or when it has ended, which the exit code then tells."""
    client = session.connect()
    if follows:
        ended = follow(client, started.id, timeout=timeout)
        if not is_for_people():
            show_one(ended, FIELDS, name=lambda each: each.id)
        end_with(ended)
    elif waits:
        ended = client.executions.wait(started.id, timeout=timeout)
        show_one(ended, FIELDS, name=lambda each: each.id)
        end_with(ended)
    else:
        show_one(started, FIELDS, name=lambda each: each.id)
