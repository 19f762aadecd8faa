"""``chronos jobs``: look at jobs."""

from itertools import islice

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientGroup, say
from chronos_client.commands.output import Column, moment, show_list, show_one
from chronos_client.models import Job


def _target(job: Job) -> str:
    """Return where a job goes: its URL, recipients or task."""
    payload = job.payload or {}
    match job.type:
        case "webhook":
            return f"{payload.get('method', 'POST')} {payload.get('url', 'the default webhook')}"
        case "email":
            return ", ".join(payload.get("to", ()))
        case _:
            return str(payload.get("task", "-"))


COLUMNS = (
    Column("NAME", lambda job: job.name, is_flexible=True),
    Column("STATUS", lambda job: job.status),
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
    Column("Status", lambda job: job.status),
    Column("Type", lambda job: job.type),
    Column("Target", _target),
    Column("Schedule", lambda job: job.schedule_description),
    Column("Next runs", lambda job: "\n".join(map(moment, job.next_runs)) or "-"),
    Column("Attempts", lambda job: job.max_attempts),
    Column("Timeout", lambda job: f"{job.timeout_seconds:g} s"),
    Column("Overlap", lambda job: job.overlap_policy),
    Column("Misfire", lambda job: job.misfire_policy),
    Column("Tags", lambda job: ", ".join(job.tags)),
    Column("Notify", lambda job: ", ".join(job.notify or ())),
    Column("Version", lambda job: job.version),
    Column("Created", lambda job: job.created_at),
    Column("Updated", lambda job: job.updated_at),
)


@click.group(
    cls=ClientGroup,
    examples=[
        "chronos jobs list --status active --tag mail",
        "chronos jobs get 'Nightly report'",
        "chronos jobs run 'Nightly report' --wait",
    ],
)
def jobs() -> None:
    """Find, read, change and run jobs. A job is named by its id, its name or its beginning."""


@jobs.command(
    "list",
    examples=["chronos jobs list --search report", "chronos jobs list --all -o name"],
)
@click.option("--status", type=click.Choice(["active", "paused", "completed", "cancelled"]))
@click.option("--type", "kind", help="webhook, email or celery_task.")
@click.option("--tag", help="Only jobs with this tag.")
@click.option("--search", metavar="TEXT", help="A part of the name or of the description.")
@click.option("--sort", help="created_at, updated_at, name or next_run_at; '-' first reverses.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--all", "shows_all", is_flag=True, help="Show all of them, however many.")
def list_jobs(*, kind: str | None, limit: int, shows_all: bool, **filters: str | None) -> None:
    """List jobs, the latest first."""
    found = session.connect().jobs.list(
        type=kind, page_items=100 if shows_all else min(limit, 100), **filters
    )
    shown = show_list(found if shows_all else islice(found, limit), COLUMNS, name=name_of)
    if not shown:
        say("No job matches.")
    elif not shows_all and next(found, None) is not None:
        say(f"The first {shown} are shown. --all shows the others, too.")


@jobs.command("get", examples=["chronos jobs get 'Nightly report' -o yaml"])
@click.argument("job")
def get_job(*, job: str) -> None:
    """Show a job."""
    show_one(session.connect().jobs.find(job), FIELDS, name=name_of)


def name_of(job: Job) -> str:
    """Return the text that names a job to another command."""
    return job.id
