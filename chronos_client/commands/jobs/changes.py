"""Changing jobs: create, edit, clone, pause, resume and delete."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientCommand, CommandFailed, Exit, say
from chronos_client.commands.jobs.bulk import act, bulk_options
from chronos_client.commands.jobs.views import FIELDS, name_of
from chronos_client.commands.output import as_yaml, show_one
from chronos_client.commands.parameters import FIELD, INSTANT, JOB, parse_document, read_document
from chronos_client.errors import ApiProblem
from chronos_client.models import Job

#: The server shows secrets so.
_REDACTED = "[redacted]"

_Fields = Sequence[tuple[str, Any]]


def _definition_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.option("--cron", "cron_expression", help="Five or six fields, seconds first."),
            click.option("--every", "interval_seconds", type=int, help="Every n seconds."),
            click.option("--at", "run_at", help="Once, at this instant (RFC 3339)."),
            click.option("--timezone", help="IANA name, for --cron.  [default: UTC]"),
            click.option("--url", help="Where the webhook goes."),
            click.option("--method", help="Of the webhook.  [default: POST]"),
            click.option("--description"),
            click.option("--tag", "tags", multiple=True),
            click.option(
                "--set", "fields", type=FIELD, multiple=True,
                help="Any other field, as name=value or name=JSON. No secrets: use --file.",
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@click.command(
    "create",
    cls=ClientCommand,
    examples=[
        "chronos jobs create 'Nightly report' --cron '30 2 * * *' --url https://example.com/hook",
        "chronos jobs create Heartbeat --every 30 --url https://example.com/up --method GET",
        "chronos jobs create --file job.yaml",
    ],
)
@click.argument("name", required=False)
@click.option(
    "--file", "-f", "path", type=click.Path(path_type=Path, allow_dash=True),
    help="A definition in YAML or JSON; '-' reads standard input.",
)  # fmt: skip
@_definition_options
def create_job(*, name: str | None, path: Path | None, **options: Any) -> None:
    """Create a job, from a file or from options. Options come before the file."""
    definition = read_document(path) if path else {}
    definition |= _changes(options, definition.get("payload"))
    if name:
        definition["name"] = name
    if "name" not in definition:
        raise click.UsageError("The job has no name. Give one as the argument, or in the file.")
    job = session.connect().jobs.create(definition)
    say(f"Created {job.name!r}. {job.schedule_description}.")
    show_one(job, FIELDS, name=name_of)


@click.command(
    "edit",
    cls=ClientCommand,
    examples=[
        "chronos jobs edit 'Nightly report'",
        "chronos jobs edit 'Nightly report' --cron '0 4 * * *' --set max_attempts=2",
    ],
)
@click.argument("job", type=JOB)
@_definition_options
def edit_job(*, job: str, **options: Any) -> None:
    """Change a job: the fields of the options, or its whole definition in $EDITOR.

    A change that somebody else made meanwhile is not overwritten.
    """
    client = session.connect()
    found = client.jobs.find(job)
    given = _changes(options, found.payload)
    if given:
        changed = client.jobs.update(found.id, given, version=found.version)
    else:
        edited = _edit(found, lambda changes: client.jobs.update(
            found.id, changes, version=found.version
        ))  # fmt: skip
        if edited is None:
            say("Nothing was changed.")
            return
        changed = edited
    say(f"Changed {changed.name!r}, now version {changed.version}.")
    show_one(changed, FIELDS, name=name_of)


@click.command(
    "clone",
    cls=ClientCommand,
    examples=["chronos jobs clone 'Nightly report' 'Weekly report' --cron '0 3 * * 1'"],
)
@click.argument("job", type=JOB)
@click.argument("name")
@_definition_options
def clone_job(*, job: str, name: str, **options: Any) -> None:
    """Create a job like another one, paused until you resume it.

    Secrets are not known to the client, so a job that has some cannot be cloned.
    """
    client = session.connect()
    original = client.jobs.find(job)
    definition = original.definition
    hidden = _redacted(definition)
    if hidden:
        raise CommandFailed(
            f"{original.name!r} has secrets that are not shown: {', '.join(hidden)}. "
            "Create the job from a file that has them: chronos jobs create --file.",
            Exit.REFUSED,
        )
    definition |= _changes(options, original.payload) | {"name": name, "status": "paused"}
    made = client.jobs.create(definition)
    say(f"Created {made.name!r}. It is paused: chronos jobs resume {made.id}")
    show_one(made, FIELDS, name=name_of)


@click.command(
    "pause",
    cls=ClientCommand,
    examples=[
        "chronos jobs pause 'Nightly report'",
        "chronos jobs pause 'Nightly report' --until +2h --note 'The shop moves'",
        "chronos jobs pause --tag mail --yes",
    ],
)
@bulk_options
@click.option("--until", type=INSTANT, help="When they resume by themselves: an instant, or +2h.")
@click.option("--note", help="Why, for others.")
def pause_jobs(*, until: datetime | None, note: str | None, **choice: Any) -> None:
    """Stop following the schedules of jobs."""
    given = {"until": until and until.isoformat(), "note": note}
    options = {name: value for name, value in given.items() if value}
    act("pause", "Paused", options=options, **choice)


@click.command(
    "resume",
    cls=ClientCommand,
    examples=["chronos jobs resume 'Nightly report'", "chronos jobs resume --tag mail --yes"],
)
@bulk_options
def resume_jobs(**choice: Any) -> None:
    """Follow the schedules of jobs again."""
    act("resume", "Resumed", **choice)


@click.command(
    "tag",
    cls=ClientCommand,
    examples=[
        "chronos jobs tag 'Nightly report' --add night --remove day",
        "chronos jobs tag --search report --add report --yes",
    ],
)
@bulk_options
@click.option("--add", multiple=True, metavar="TAG", help="A tag that the jobs get.")
@click.option("--remove", multiple=True, metavar="TAG", help="A tag that the jobs lose.")
def tag_jobs(*, add: Sequence[str], remove: Sequence[str], **choice: Any) -> None:
    """Add tags to jobs, and remove tags."""
    if not add and not remove:
        raise click.UsageError("Give a tag to --add, or to --remove.")
    act("tag", "Tagged", options={"add": list(add), "remove": list(remove)}, **choice)


@click.command(
    "delete",
    cls=ClientCommand,
    examples=["chronos jobs delete 'Nightly report'", "chronos jobs delete --tag old --yes"],
)
@bulk_options
def delete_jobs(**choice: Any) -> None:
    """Delete jobs. Their history stays until its retention ends."""
    act("delete", "Deleted", **choice)


def _changes(options: Mapping[str, Any], payload: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the fields that options define. ``payload`` is the one that they change."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    fields: dict[str, Any] = dict(given.pop("fields", ()))
    kinds = {"cron_expression": "cron", "interval_seconds": "interval", "run_at": "once"}
    named = [name for name in kinds if name in given]
    if len(named) > 1:
        raise click.UsageError("Give one of --cron, --every and --at.")
    if named:
        fields["schedule_type"] = kinds[named[0]]
    sent = {name: given.pop(name) for name in ("url", "method") if name in given}
    if sent:
        fields["payload"] = {**(payload or {}), **sent}
        fields["type"] = "webhook"
    if "tags" in given:
        given["tags"] = list(given["tags"])
    return {**given, **fields}


def _redacted(value: Any, place: str = "") -> list[str]:
    """Return the places of secrets that the server did not show."""
    if isinstance(value, dict):
        found = [_redacted(each, f"{place}.{name}".lstrip(".")) for name, each in value.items()]
        return [each for places in found for each in places]
    if isinstance(value, list):
        found = [_redacted(each, f"{place}[{index}]") for index, each in enumerate(value)]
        return [each for places in found for each in places]
    return [place] if isinstance(value, str) and _REDACTED in value else []


def _edit(job: Job, update: Callable[[Mapping[str, Any]], Job]) -> Job | None:
    """Open the definition in an editor until the server takes it, or until the user gives up."""
    before = job.definition
    text = f"# {job.name}. Values that are {_REDACTED} stay as they are.\n{as_yaml(before)}"
    while True:
        edited = click.edit(text, extension=".yaml")
        if edited is None:
            return None
        text = edited
        try:
            after = parse_document(edited, "The definition")
            changes = {name: value for name, value in after.items() if value != before.get(name)}
            changes |= {name: None for name in before if name not in after}
            return update(changes) if changes else None
        except (ApiProblem, click.UsageError) as error:
            reason = error.format_message() if isinstance(error, click.UsageError) else str(error)
            say(reason)
            if not click.confirm("Edit again?", default=True, err=True):
                raise
