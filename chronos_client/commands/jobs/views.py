"""Looking at jobs: lists, one job, its next instants, its history, and why it did not run."""

from datetime import datetime
from itertools import islice
from typing import Any

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientCommand, CommandFailed, Exit, say
from chronos_client.commands.executions.views import COLUMNS as EXECUTION_COLUMNS
from chronos_client.commands.output import Column, moment, show_list, show_one, show_some
from chronos_client.commands.parameters import INSTANT, JOB
from chronos_client.models import Job


def target(job: Job) -> str:
    """Return where a job goes: its URL, recipients or task."""
    payload = job.payload or {}
    match job.type:
        case "webhook":
            return f"{payload.get('method', 'POST')} {payload.get('url', 'the default webhook')}"
        case "email":
            return ", ".join(payload.get("to", ()))
        case _:
            return str(payload.get("task", "-"))


def status(job: Job) -> str:
    """Return a job's status for people: an active job in shadow sends nothing."""
    return "shadow" if job.shadow and job.status == "active" else job.status


COLUMNS = (
    Column("NAME", lambda job: job.name, is_flexible=True),
    Column("STATUS", status),
    Column("NEXT RUN", lambda job: job.next_run_at),
    Column("SCHEDULE", lambda job: job.schedule_description, width=100, is_flexible=True),
    Column("TYPE", lambda job: job.type, width=130),
    Column("TAGS", lambda job: ", ".join(job.tags), width=150, is_flexible=True),
    Column("ID", lambda job: job.id, width=120),
)
FIELDS = (
    Column("Name", lambda job: job.name),
    Column("Id", lambda job: job.id),
    Column("Description", lambda job: job.description),
    Column("Status", status),
    Column("Paused until", lambda job: job.paused_until),
    Column("Pause note", lambda job: job.pause_note),
    Column("Type", lambda job: job.type),
    Column("Target", target),
    Column("Schedule", lambda job: job.schedule_description),
    Column("Next runs", lambda job: "\n".join(map(moment, job.next_runs)) or "-"),
    Column("Attempts", lambda job: job.max_attempts),
    Column("Timeout", lambda job: f"{job.timeout_seconds:g} s"),
    Column("Overlap", lambda job: job.overlap_policy),
    Column("Misfire", lambda job: job.misfire_policy),
    Column("Tags", lambda job: ", ".join(job.tags)),
    Column("Notify", lambda job: ", ".join(job.notify or ())),
    Column("Scope", lambda job: job.scope),
    Column("Version", lambda job: job.version),
    Column("Created", lambda job: job.created_at),
    Column("Updated", lambda job: job.updated_at),
)
_ANSWER = (
    Column("At", lambda answer: answer.at),
    Column("Verdict", lambda answer: answer.verdict),
    Column("Explanation", lambda answer: answer.explanation),
    Column("Execution", lambda answer: (answer.execution or {}).get("id")),
    Column("Before it", lambda answer: answer.previous),
    Column("After it", lambda answer: answer.following),
)


def name_of(job: Job) -> str:
    """Return the text that names a job to another command."""
    return job.id


@click.command(
    "list",
    cls=ClientCommand,
    examples=[
        "chronos jobs list --status active --tag mail",
        "chronos jobs list --search report --sort next_run_at",
        "chronos jobs list --all -o name",
    ],
)
@click.option("--status", help="active, paused, completed or cancelled.")
@click.option("--type", "kind", help="webhook, email or celery_task.")
@click.option("--tag", help="Only jobs with this tag.")
@click.option("--search", metavar="TEXT", help="A part of the name or of the description.")
@click.option("--sort", help="created_at, updated_at, name or next_run_at; '-' first reverses.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--all", "shows_all", is_flag=True, help="Show all of them, however many.")
def list_jobs(*, kind: str | None, limit: int, shows_all: bool, **filters: str | None) -> None:
    """List jobs, the latest first."""
    items = None if shows_all else limit
    found = session.connect().jobs.list(type=kind, page_items=_page(items), **filters)
    show_some(found, items, COLUMNS, name=name_of, none="No job matches.")


@click.command("get", cls=ClientCommand, examples=["chronos jobs get 'Nightly report' -o yaml"])
@click.argument("job", type=JOB)
def get_job(*, job: str) -> None:
    """Show a job with its schedule, its policies and its next runs."""
    show_one(session.connect().jobs.find(job), FIELDS, name=name_of)


@click.command("next", cls=ClientCommand, examples=["chronos jobs next 'Nightly report'"])
@click.argument("job", type=JOB)
def next_runs(*, job: str) -> None:
    """Show when a job runs next, by this machine's clock and by the job's."""
    found = session.connect().jobs.find(job)
    say(f"{found.name}: {found.schedule_description}")
    if not found.next_runs:
        say(f"It does not run again: it is {found.status}.")
    rows = [_NextRun(at, found.timezone) for at in found.next_runs]
    columns = (
        Column("HERE", lambda row: row.at),
        Column(found.timezone, lambda row: row.local),
    )
    show_list(rows, columns, name=lambda row: row.document["at"])


@click.command(
    "why",
    cls=ClientCommand,
    examples=[
        "chronos jobs why 'Nightly report'",
        "chronos jobs why 'Nightly report' 2026-11-30T02:30",
    ],
)
@click.argument("job", type=JOB)
@click.argument("at", type=INSTANT, required=False)
def why(*, job: str, at: datetime | None) -> None:
    """Explain why a job did or did not run at an instant, by default at its latest one.

    An instant without an offset is one of this machine's clock.
    """
    client = session.connect()
    found = client.jobs.find(job)
    latest = client.jobs.executions(found.id, page_items=1, trigger="schedule")
    instants = [at] if at else [each.scheduled_for for each in islice(latest, 1)]
    if not instants:
        raise CommandFailed(f"{found.name!r} was never due. Name an instant.", Exit.MISSING)
    answer = client.jobs.why(found.id, instants[0])
    show_one(answer, _ANSWER, name=lambda each: each.verdict)


@click.command(
    "history",
    cls=ClientCommand,
    examples=["chronos jobs history 'Nightly report' --status failed --limit 10"],
)
@click.argument("job", type=JOB)
@click.option("--status", help="succeeded, failed, skipped, cancelled, running …")
@click.option("--since", type=INSTANT, help="An instant, or how long ago: 90m, 12h, 7d.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
def history(*, job: str, status: str | None, since: datetime | None, limit: int) -> None:
    """Show a job's executions, the latest first."""
    client = session.connect()
    found = client.jobs.executions(
        client.jobs.find(job).id, page_items=_page(limit), status=status, since=since
    )
    show_some(
        found, limit, EXECUTION_COLUMNS, name=lambda each: each.id, none="No execution matches."
    )


class _NextRun:
    """An instant at which a job runs, on two clocks."""

    def __init__(self, at: datetime, timezone: str) -> None:
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - only this command needs time zones

        self.at = at
        self.local = f"{at.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S}"
        self.document: dict[str, Any] = {"at": at.isoformat(), "local": self.local}


def _page(limit: int | None) -> int:
    """Return how many items to ask for at once: one more than are shown tells of a next one."""
    most = 100
    return most if limit is None else min(limit + 1, most)
