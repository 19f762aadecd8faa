"""One change of several jobs: count them, ask, then change exactly those that were counted."""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from chronos_client.commands import session
from chronos_client.commands.command import CommandFailed, Exit, ask, say
from chronos_client.commands.parameters import JOB
from chronos_client.errors import ApiProblem
from chronos_client.models import Job

if TYPE_CHECKING:
    from chronos_client.client import Chronos
    from chronos_client.jobs import BulkAction

#: Jobs of one request, as the API allows, and jobs of one command.
_AT_ONCE = 1000
_MOST = 10_000
#: Names that are shown before the question.
_SHOWN = 5


def bulk_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose jobs, and the one that answers the question."""
    for option in (
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
        click.option("--status", help="Jobs with this status."),
        click.option("--search", metavar="TEXT", help="Jobs with this in name or description."),
        click.option("--tag", help="Jobs with this tag."),
        click.argument("jobs", type=JOB, nargs=-1, metavar="[JOB]..."),
    ):
        command = option(command)
    return command


def act(
    action: "BulkAction",
    done: str,
    *,
    jobs: Sequence[str],
    yes: bool,
    one_by_one: "Callable[[Chronos, Job], None] | None" = None,
    **filters: str | None,
) -> None:
    """Do one thing to the jobs that were named, or that a filter finds.

    More than one are counted first, and need ``--yes`` or a yes to the question. ``one_by_one``
    does it where the bulk request of the API lacks an option.
    """
    client = session.connect()
    chosen = _choose(client, jobs, {name: text for name, text in filters.items() if text})
    if len(chosen) > 1 and not yes:
        confirm(f"{action.capitalize()} {len(chosen):,} jobs", [job.name for job in chosen])
    results = (
        [_change(client, job, one_by_one) for job in chosen]
        if one_by_one
        else list(_send(client, action, [job.id for job in chosen]))
    )
    changed = sum(each["result"] == "changed" for each in results)
    names = {job.id: job.name for job in chosen}
    for each in results:
        if each["result"] in ("conflict", "not_found"):
            say(f"{names[each['id']]}: {each['reason'] or 'it is gone'}")
    unchanged = sum(each["result"] == "unchanged" for each in results)
    say(f"{done} {changed:,} of {len(chosen):,}." + (f" {unchanged:,} were so." * bool(unchanged)))
    if changed + unchanged < len(chosen):
        raise CommandFailed(f"{len(chosen) - changed - unchanged} jobs did not.", Exit.REFUSED)


def confirm(question: str, names: Sequence[str]) -> None:
    """Ask before several objects are changed. A program has to say ``--yes``."""
    say("\n".join([*(f"  {name}" for name in names[:_SHOWN]), "  …"][: len(names)]))
    ask(question)


def _choose(client: "Chronos", jobs: Sequence[str], filters: dict[str, Any]) -> list[Job]:
    if bool(jobs) == bool(filters):
        raise click.UsageError("Name jobs, or choose them by --tag, --search or --status.")
    if jobs:
        return list({job.id: job for job in map(client.jobs.find, jobs)}.values())
    found = list(islice(client.jobs.list(**filters), _MOST + 1))
    if len(found) > _MOST:
        raise CommandFailed(f"More than {_MOST:,} jobs match. Narrow the filter.", Exit.USAGE)
    if not found:
        raise CommandFailed("No job matches.", Exit.MISSING)
    return found


def _change(
    client: "Chronos", job: Job, change: "Callable[[Chronos, Job], None]"
) -> dict[str, Any]:
    try:
        change(client, job)
    except ApiProblem as error:
        return {"id": job.id, "result": "conflict", "reason": str(error)}
    return {"id": job.id, "result": "changed", "reason": None}


def _send(client: "Chronos", action: "BulkAction", ids: list[str]) -> Iterator[dict[str, Any]]:
    """Send the ids in parts, with a bar if there are several, and yield each job's result."""
    parts = [ids[first : first + _AT_ONCE] for first in range(0, len(ids), _AT_ONCE)]
    for part in _tracked(parts):
        yield from client.jobs.bulk(action, ids=part)["items"]


def _tracked(parts: list[list[str]]) -> Iterator[list[str]]:
    if len(parts) == 1 or not sys.stderr.isatty():
        yield from parts
        return
    with click.progressbar(parts, file=sys.stderr, label="Jobs, by 1,000") as bar:
        yield from bar
