"""``chronos apply``, ``diff``, ``export`` and ``schema``: jobs as code."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientCommand, CommandFailed, Exit, ask, say, visible
from chronos_client.commands.output import as_yaml, is_for_people
from chronos_client.errors import ApiProblem

if TYPE_CHECKING:
    from chronos_client.client import Chronos
    from chronos_client.scopes.files import JobsFile

#: Bound of a file.
MAX_FILE_BYTES = 4 * 1024 * 1024

_SIGNS = {
    "create": "+",
    "update": "~",
    "adopt": ">",
    "delete": "-",
    "refuse": "!",
    "keep": " ",
}
_COLOURS = {
    "create": "green",
    "update": "yellow",
    "adopt": "cyan",
    "delete": "red",
    "refuse": "red",
    "keep": None,
}
_MAX_SHOWN = 60

_FILE = click.argument("file", type=click.File("rb"))
_PRUNE = click.option("--prune", is_flag=True, help="Delete jobs of the scope not in the file.")
_FROM = click.option("--from-scope", metavar="SCOPE", help="The former name of the scope.")


@click.command(
    "apply",
    cls=ClientCommand,
    examples=[
        "chronos apply jobs.yaml",
        "chronos apply jobs.yaml --prune --yes",
        "chronos export | chronos apply - --yes",
    ],
)
@_FILE
@_PRUNE
@click.option("--prune-max", type=click.IntRange(0, 1000), help="How many may be deleted.")
@click.option(
    "--on-drift", type=click.Choice(["refuse", "overwrite", "keep"]), default="refuse",
    show_default=True, help="For jobs that were changed elsewhere since the last apply.",
)  # fmt: skip
@_FROM
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@click.option("--yes", is_flag=True, help="Apply without a question.")
def apply(*, file: Any, dry_run: bool, yes: bool, **options: Any) -> None:
    """Make the jobs of a scope as FILE has them: all of them, or none.

    FILE is YAML or JSON, and - is standard input. The plan is shown first. It is applied as it was
    shown, or not at all.
    """
    client, jobs = session.connect(), _read(file)
    plan = _plan(client, jobs, dry_run=True, **options)
    _show(plan)
    if dry_run:
        return
    if all(each["action"] == "keep" for each in plan["items"]):
        # Values that are the same anyway are remembered as applied.
        _plan(client, jobs, plan=plan["plan"], **options)
        say("Nothing to change.")
        return
    refused = any(each["action"] == "refuse" for each in plan["items"])
    if not yes and not refused:
        ask("Apply this plan")
    _plan(client, jobs, plan=plan["plan"], **options)
    say("Applied.")


@click.command(
    "diff",
    cls=ClientCommand,
    examples=["chronos diff jobs.yaml", "chronos diff jobs.yaml --prune -o json"],
)
@_FILE
@_PRUNE
@_FROM
def diff(*, file: Any, prune: bool, from_scope: str | None) -> None:
    """Show how the live jobs differ from FILE. Exit with 0 if they are the same, 1 if not.

    With --prune, jobs of the scope that FILE lacks are a difference too.
    """
    client, jobs = session.connect(), _read(file)
    plan = _plan(
        client, jobs, dry_run=True, prune=prune, from_scope=from_scope, on_drift="overwrite"
    )
    _show(plan)
    if any(each["action"] != "keep" for each in plan["items"]):
        click.get_current_context().exit(Exit.FAILED)


@click.command(
    "export",
    cls=ClientCommand,
    examples=[
        "chronos export > jobs.yaml",
        "chronos export --tag mail --scope mail",
        "chronos export -o json",
    ],
)
@click.option("--scope", default="default", show_default=True, help="The name in the file.")
@click.option("--tag", help="Only jobs with this tag.")
@click.option("--search", metavar="TEXT", help="A part of the name or of the description.")
@click.option("--type", "kind", help="webhook, email or celery_task.")
@click.option("--status", type=click.Choice(["active", "paused", "completed"]))
def export(*, scope: str, kind: str | None, **filters: Any) -> None:
    """Write jobs as a file of jobs as code, up to 1,000.

    Secrets read [redacted]. Applied to the same server, they stay as they are.
    """
    from chronos_client.scopes import exports, schemas  # noqa: PLC0415 - only for this command

    client = session.connect()
    schema = schemas.of_job(client.openapi())
    found = []
    for job in client.jobs.list(type=kind, sort="created_at", **filters):
        whole = job if job.payload is not None else client.jobs.get(job.id)
        found.append(whole.document)
        if len(found) > _MOST_JOBS:
            raise CommandFailed(
                f"More than {_MOST_JOBS:,} jobs match. Give filters, and a scope for each part.",
                Exit.USAGE,
            )
    document = exports.document(found, scope=scope, schema=schema)
    if _is_json():
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(exports.with_header(as_yaml(document)), nl=False)


_MOST_JOBS = 1000


@click.command("schema", cls=ClientCommand, examples=["chronos schema > chronos.schema.json"])
def schema() -> None:
    """Write the JSON Schema of a file of jobs as code, which editors use."""
    from chronos_client.scopes import schemas  # noqa: PLC0415 - only for this command

    click.echo(json.dumps(schemas.of_file(session.connect().openapi()), indent=2))


def _is_json() -> bool:
    from chronos_client.commands.command import OUTPUT  # noqa: PLC0415 - beside its only use

    return bool(click.get_current_context().meta.get(OUTPUT) == "json")


def _read(file: Any) -> "JobsFile":
    from chronos_client.scopes import files  # noqa: PLC0415 - only for these commands

    content = file.read(MAX_FILE_BYTES + 1)
    name = Path(str(file.name)).name if file.name != "<stdin>" else "-"
    if len(content) > MAX_FILE_BYTES:
        raise CommandFailed(f"{name} has more than {MAX_FILE_BYTES:,} bytes.", Exit.USAGE)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{name} is no UTF-8: {error.reason}.", Exit.USAGE) from error
    return files.parse(text, name=name, environment=os.environ)  # noqa: TID251 - variables of the user's own


def _plan(client: "Chronos", jobs: "JobsFile", **options: Any) -> dict[str, Any]:
    """Return the plan of the server. Wrong fields are named with their lines and columns."""
    given = {name: value for name, value in options.items() if value is not None}
    body = {"scope": jobs.scope, "jobs": jobs.jobs, **given}
    try:
        return dict(client.send("POST", "/apply", body))
    except ApiProblem as problem:
        faults = jobs.faults_of(problem.errors)
        raise (faults or problem) from problem


def _show(plan: Mapping[str, Any]) -> None:
    if not is_for_people():
        click.echo(json.dumps(plan, indent=2, ensure_ascii=False) if _is_json() else as_yaml(plan))
        return
    for item in plan["items"]:
        if item["action"] != "keep" or item["verdict"] in {"drift", "prune"}:
            _show_item(item)
    counts = ", ".join(f"{number} {name}" for name, number in plan["counts"].items() if number)
    click.echo(f"Scope {visible(plan['scope'])}: {counts or 'no job'}")


def _show_item(item: Mapping[str, Any]) -> None:
    sign, colour = _SIGNS.get(item["action"], "?"), _COLOURS.get(item["action"])
    word = item["verdict"] if item["verdict"] in {"drift", "conflict"} else item["action"]
    if item["action"] == "keep":
        word = "drift, kept" if item["verdict"] == "drift" else "not in the file"
    key = "" if item["key"] == item["name"] else f" ({visible(item['key'])})"
    click.echo(click.style(f"{sign} {visible(item['name'])}{key}: {word}", fg=colour))
    if item["changed_by"] or item["changed_at"]:
        by = f" by {visible(item['changed_by'])}" if item["changed_by"] else ""
        click.echo(f"    changed elsewhere{by} at {item['changed_at']}")
    if item["reason"]:
        click.echo(f"    {visible(item['reason'])}")
    for each in item["differences"]:
        click.echo(f"    {each['field']}: {_short(each['before'])} -> {_short(each['after'])}")


def _short(value: Any) -> str:
    text = visible(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
