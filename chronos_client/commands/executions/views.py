"""Looking at executions: lists, one execution with its attempts, and its log."""

import json
from datetime import datetime

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientCommand
from chronos_client.commands.executions.follow import end_with, follow, log_line
from chronos_client.commands.output import (
    Column,
    duration,
    is_for_people,
    show_list,
    show_one,
    show_some,
)
from chronos_client.commands.parameters import INSTANT, JOB
from chronos_client.models import Execution

#: The beginning of an id that names an execution: its scheduled millisecond.
_SHORT_ID = 13

COLUMNS = (
    Column("SCHEDULED FOR", lambda each: each.scheduled_for),
    Column("JOB", lambda each: each.job_name, is_flexible=True),
    Column("STATUS", lambda each: each.status),
    Column("ATTEMPT", lambda each: f"{each.attempt}/{each.max_attempts}", width=90),
    Column("HTTP", lambda each: each.http_status, width=90),
    Column("TOOK", lambda each: duration(each.duration_ms), justify="right"),
    Column("LATE", lambda each: duration(each.drift_ms), width=110, justify="right"),
    Column("ERROR", lambda each: each.error or each.reason, width=160, is_flexible=True),
    Column("ID", lambda each: each.id, width=120),
    Column("ID", lambda each: each.id[:_SHORT_ID], below=120),
)


def _attempts(execution: Execution) -> str:
    return "\n".join(
        f"{each.number}: {each.status or '-'}, "
        f"{f'HTTP {each.http_status}, ' if each.http_status else ''}"
        f"{duration(each.duration_ms)}{f', {each.error}' if each.error else ''}"
        for each in execution.attempts
    )


def _payload(execution: Execution) -> str | None:
    if execution.payload is None:
        return None
    return json.dumps(execution.payload, ensure_ascii=False)


FIELDS = (
    Column("Id", lambda each: each.id),
    Column("Job", lambda each: each.job_name),
    Column("Status", lambda each: each.status),
    Column("Reason", lambda each: each.reason),
    Column("Trigger", lambda each: each.trigger),
    Column("Scheduled for", lambda each: each.scheduled_for),
    Column("Started", lambda each: each.started_at),
    Column("Finished", lambda each: each.finished_at),
    Column("Took", lambda each: duration(each.duration_ms)),
    Column("Late", lambda each: duration(each.drift_ms)),
    Column("Attempt", lambda each: f"{each.attempt} of {each.max_attempts}"),
    Column("HTTP status", lambda each: each.http_status),
    Column("Error", lambda each: each.error),
    Column("Retry of", lambda each: each.retry_of),
    Column("Replay", lambda each: each.replay_id),
    Column("Note", lambda each: each.note),
    Column("Stands for", lambda each: each.logical_for),
    Column("Job's version", lambda each: each.job_version),
    Column("Own payload", _payload),
    Column("Resolved", lambda each: each.resolution),
    Column("Attempts", _attempts),
)


@click.command(
    "list",
    cls=ClientCommand,
    examples=[
        "chronos executions list --status failed --since 24h",
        "chronos executions list --job 'Nightly report' -o csv > history.csv",
    ],
)
@click.option("--job", type=JOB, help="Only those of one job.")
@click.option("--status", help="succeeded, failed, skipped, cancelled, running …")
@click.option("--trigger", help="schedule, manual or retry.")
@click.option("--since", type=INSTANT, help="An instant, or how long ago: 90m, 12h, 7d.")
@click.option("--until", type=INSTANT, help="The same.")
@click.option("--http-status", help="503, or 5xx.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
def list_executions(
    *,
    job: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    **filters: str | None,
) -> None:
    """List executions, the latest first."""
    client = session.connect()
    job_id = client.jobs.find(job).id if job else None
    found = client.executions.list(
        job_id=job_id, since=since, until=until, page_items=min(limit + 1, 100), **filters
    )
    show_some(found, limit, COLUMNS, name=lambda each: each.id, none="No execution matches.")


@click.command("get", cls=ClientCommand, examples=["chronos executions get 01a22f88-dcc3"])
@click.argument("execution")
def get_execution(*, execution: str) -> None:
    """Show an execution with its attempts."""
    found = session.connect().executions.find(execution)
    show_one(found, FIELDS, name=lambda each: each.id)


@click.command(
    "logs", cls=ClientCommand, examples=["chronos executions logs 01a22f88-dcc3 --follow"]
)
@click.argument("execution")
@click.option("--follow", "follows", is_flag=True, help="Go on until the execution has ended.")
@click.option("--timeout", type=click.FloatRange(0.1, 86_400), default=3600.0, show_default=True)
def logs(*, execution: str, follows: bool, timeout: float) -> None:
    """Show the log of an execution.

    With --follow the exit code tells its end: 0 succeeded, 1 failed, 5 cancelled or skipped.
    """
    client = session.connect()
    found = client.executions.find(execution)
    if follows:
        end_with(follow(client, found.id, timeout=timeout))
        return
    lines = client.executions.logs(found.id)
    if is_for_people():
        for line in lines:
            log_line(line)
    else:
        show_list(lines, (), name=lambda line: line.message)
