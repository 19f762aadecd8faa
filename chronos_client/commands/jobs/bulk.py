"""One change of several jobs: count them, ask, then change exactly those that were counted."""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from chronos_client.commands import session
from chronos_client.commands.command import CommandFailed, Exit, ask, say
from chronos_client.commands.parameters import JOB
from chronos_client.models import BulkChange, Job

if TYPE_CHECKING:
    from chronos_client.client import Chronos
    from chronos_client.jobs import BulkAction

#: Jobs of one request, as the API allows. More are changed in the background.
_AT_ONCE = 1000
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
    options: dict[str, Any] | None = None,
    **filters: str | None,
) -> None:
    """Do one thing to the jobs that were named, or that a filter finds.

    More than one are counted first, and need ``--yes`` or a yes to the question. ``options`` are
    those of the action.
    """
    client = session.connect()
    given = {name: text for name, text in filters.items() if text}
    chosen = _choose(client, jobs, given)
    if given and len(chosen) > _AT_ONCE:
        _act_in_background(client, action, done, given, yes=yes, options=options or {})
        return
    if len(chosen) > 1 and not yes:
        confirm(_question(action, len(chosen)), [job.name for job in chosen])
    results = list(_send(client, action, [job.id for job in chosen], options or {}))
    names = {job.id: job.name for job in chosen}
    for each in results:
        if each["result"] in ("conflict", "not_found"):
            say(f"{names[each['id']]}: {each['reason'] or 'it is gone'}")
    _report(
        done,
        matched=len(chosen),
        changed=sum(each["result"] == "changed" for each in results),
        unchanged=sum(each["result"] == "unchanged" for each in results),
    )


def confirm(question: str, names: Sequence[str]) -> None:
    """Ask before several objects are changed. A program has to say ``--yes``."""
    say("\n".join([*(f"  {name}" for name in names[:_SHOWN]), "  …"][: len(names)]))
    ask(question)


def _question(action: str, number: int) -> str:
    return f"{action.capitalize()} {number:,} jobs"


def _report(done: str, *, matched: int, changed: int, unchanged: int) -> None:
    say(f"{done} {changed:,} of {matched:,}." + (f" {unchanged:,} were so." * bool(unchanged)))
    if changed + unchanged < matched:
        raise CommandFailed(f"{matched - changed - unchanged:,} jobs did not.", Exit.REFUSED)


def _choose(client: "Chronos", jobs: Sequence[str], filters: dict[str, Any]) -> list[Job]:
    """Return the jobs. Of a filter that finds too many for one request, return the first ones."""
    if bool(jobs) == bool(filters):
        raise click.UsageError("Name jobs, or choose them by --tag, --search or --status.")
    if jobs:
        return list({job.id: job for job in map(client.jobs.find, jobs)}.values())
    found = list(islice(client.jobs.list(**filters), _AT_ONCE + 1))
    if not found:
        raise CommandFailed("No job matches.", Exit.MISSING)
    return found


def _send(
    client: "Chronos", action: "BulkAction", ids: Sequence[str], options: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Send the ids in parts, and yield each job's result."""
    for first in range(0, len(ids), _AT_ONCE):
        part = ids[first : first + _AT_ONCE]
        yield from client.jobs.bulk(action, ids=part, **options)["items"]


def _act_in_background(
    client: "Chronos",
    action: "BulkAction",
    done: str,
    filters: dict[str, Any],
    *,
    yes: bool,
    options: dict[str, Any],
) -> None:
    """Let the server change all jobs that a filter finds, and wait for the end."""
    counted = client.jobs.bulk(action, chosen_by=filters, dry_run=True, **options)["matched"]
    if not yes:
        names = [job.name for job in client.jobs.page(_SHOWN + 1, **filters)]
        confirm(_question(action, counted), names)
    begun = client.bulk_changes.start(action, filters, matched=counted, **options)
    say(f"Started bulk change {begun.id}. It goes on if this command ends.")
    change = _watched(client, begun)
    for reason, number in change.reasons.items():
        say(f"{number:,}: {reason}")
    if change.state != "done":
        say(change.stopped_because or "Somebody has ended it.")
    _report(done, matched=change.matched, changed=change.changed, unchanged=change.unchanged)


def _watched(client: "Chronos", change: BulkChange) -> BulkChange:
    """Return the change when it has ended, with a bar meanwhile."""
    latest = change
    with click.progressbar(
        length=change.matched, label="Jobs", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        for latest in client.bulk_changes.watch(change.id):
            bar.update(latest.handled - bar.pos)
    return latest
