"""``chronos import``: make a file of jobs as code from the file of another scheduler."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import PurePath
from typing import Any

import click

from chronos_client.commands.command import CommandFailed, ExampleCommand, Exit, say
from chronos_client.importers import documents
from chronos_client.importers.kinds import IN_PROCESS, KINDS, Kind
from chronos_client.importers.outcome import ImportFinding, Outcome

#: The option on the command line of each option of a reader.
_FLAGS = {
    "timezone": "--timezone",
    "targets": "--target",
    "repository": "--repository",
    "workflow": "--workflow",
    "ref": "--ref",
}
_DEFAULT_REF = "main"
_LONGEST_SHOWN = 100
_PLACES_SHOWN = 8


@click.command(
    "import",
    cls=ExampleCommand,
    examples=[
        "crontab -l | chronos import crontab --timezone Europe/Berlin --shadow > jobs.yaml",
        "kubectl get cronjobs -A -o yaml | chronos import kubernetes > jobs.yaml",
        "chronos import github-actions .github/workflows/nightly.yml --repository shop/api",
    ],
    epilog=f"Sources that live in a program: {', '.join(IN_PROCESS)}. See docs/import.md.",
)
@click.argument("kind", type=click.Choice([*KINDS, *IN_PROCESS]), metavar="KIND")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), default="-")
@click.option("--scope", help="The scope of the file.  [default: KIND]")
@click.option("--timezone", metavar="ZONE", help="The zone of times that name none.")
@click.option(
    "--target", "targets", multiple=True, metavar="NAME=URL",
    help="eventbridge: the URL in the place of a target, by its ARN or the schedule's name.",
)  # fmt: skip
@click.option("--repository", metavar="OWNER/NAME", help="github-actions: the repository.")
@click.option("--workflow", metavar="FILE", help="github-actions: the workflow's file name.")
@click.option("--ref", metavar="BRANCH", help=f"github-actions.  [default: {_DEFAULT_REF}]")
@click.option(
    "--shadow",
    is_flag=True,
    help="The jobs only record their runs: to compare before they go live.",
)
@click.option(
    "--output", "-o", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True,
    help="Form of the file on standard output. json also makes the report lines of JSON.",
)  # fmt: skip
@click.pass_context
def import_jobs(
    ctx: click.Context,
    /,
    *,
    kind: str,
    file: str,
    scope: str | None,
    shadow: bool,
    output: str,
    **given: Any,
) -> None:
    """Read the jobs of another scheduler, and write them as a file for 'chronos apply'.

    The file goes to standard output, and a report to standard error. Nothing is sent anywhere. The
    exit code is 0 if the file says everything, and 1 if the report names something left out.
    """
    if kind in IN_PROCESS:
        raise CommandFailed(
            f"{kind} keeps its jobs in a program. Call {IN_PROCESS[kind]} there; "
            "docs/import.md has an example.",
            Exit.USAGE,
        )
    options = _options(kind, KINDS[kind], given, file)
    outcome = KINDS[kind].read(text_of(file), options)
    outcome.leave_out_past(datetime.now(UTC))  # noqa: TID251 - the client is an entry point
    write = documents.as_json if output == "json" else documents.as_yaml
    name = (scope or kind)[: documents.MAX_SCOPE_LENGTH]
    click.echo(write(outcome, name, shadow=shadow), nl=False)
    _report(outcome, as_json=output == "json")
    if shadow and output != "json":
        say("They are shadow jobs. To go live, take 'shadow' out of 'defaults' and apply again.")
    ctx.exit(Exit.DONE if outcome.is_exact else Exit.FAILED)


def _options(kind: str, wanted: Kind, given: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return the options of the reader. An option that it does not take is a wrong use."""
    for name, flag in _FLAGS.items():
        if given[name] and name not in wanted.takes:
            raise CommandFailed(f"{flag} means nothing for {kind}; leave it out.", Exit.USAGE)
    options = dict(given)
    options["targets"] = dict(map(_target, given["targets"]))
    options["ref"] = given["ref"] or _DEFAULT_REF
    if not given["workflow"] and file != "-":
        options["workflow"] = PurePath(file).name
    return options


def _target(text: str) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if not equals or not url:
        raise CommandFailed(f"--target {text!r} is not NAME=URL.", Exit.USAGE)
    return name, url


def text_of(file: str) -> str:
    """Return the text of a file, or of standard input for ``-``, up to the bound of a source."""
    with click.open_file(file, "rb") as source:
        content: bytes = source.read(documents.MAX_BYTES + 1)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandFailed(
            f"The source is not UTF-8 (byte {error.start}). Convert it, for example with iconv.",
            Exit.FAILED,
        ) from error


def _report(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        for finding in outcome.findings:
            click.echo(json.dumps(finding.document(), ensure_ascii=False), err=True)
        return
    for line in report_lines(outcome):
        say(line)


def report_lines(outcome: Outcome) -> Iterator[str]:
    """Yield the report for people. Details that several jobs share stand there once."""
    entries = [each for each in outcome.findings if each.job is None and each.is_left_out]
    details = [each for each in outcome.findings if each.job and each.is_left_out]
    notes = [each for each in outcome.findings if not each.is_left_out]
    for title, found in (("Left out", entries), ("Not kept", details), ("Note", notes)):
        for (what, why), same in _groups(found):
            yield f"{title}: {_short(what)} ({_places(same)}): {why}"
    yield (
        f"{counted(len(outcome.jobs), 'job')}. {counted(len(entries), 'entry', 'entries')} left "
        f"out, {counted(len(details), 'detail')} not kept."
    )


def _groups(
    found: Iterable[ImportFinding],
) -> Iterator[tuple[tuple[str, str], list[ImportFinding]]]:
    together = sorted(found, key=lambda each: (each.what, each.why))
    by_text = groupby(together, key=lambda each: (each.what, each.why))
    groups = [(text, list(same)) for text, same in by_text]
    # In the order of the source.
    return iter(sorted(groups, key=lambda group: group[1][0].place.line or 0))


def _places(findings: Sequence[ImportFinding]) -> str:
    names = [
        each.place.entry
        if each.place.line is None or each.place.entry.startswith("line ")
        else f"{each.place.entry}, line {each.place.line}"
        for each in findings
    ]
    more = len(names) - _PLACES_SHOWN
    return "; ".join(names[:_PLACES_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SHOWN else f"{line[: _LONGEST_SHOWN - 1]}…"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
