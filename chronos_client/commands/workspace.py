"""``chronos schedule``, ``chronos events`` and ``chronos open``: the workspace as a whole."""

import json
import webbrowser

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientCommand, ClientGroup, say, visible
from chronos_client.commands.output import Column, is_for_people, show_list, show_one
from chronos_client.commands.parameters import JOB


@click.group(cls=ClientGroup, examples=["chronos schedule explain '0 9 * * MON-FRI'"])
def schedule() -> None:
    """Try a schedule before a job has it."""


@schedule.command(
    "explain",
    examples=[
        "chronos schedule explain '0 9 * * MON-FRI' --timezone Europe/Berlin",
        "chronos schedule explain '*/10 * * * * *' --count 3",
    ],
)
@click.argument("expression")
@click.option("--timezone", help="IANA name.  [default: UTC]")
@click.option("--count", type=click.IntRange(1, 100), default=5, show_default=True)
def explain(*, expression: str, timezone: str | None, count: int) -> None:
    """Explain a cron expression in plain words, with its next instants.

    Five fields, or six with the seconds first.
    """
    preview = session.connect().schedules.explain(expression, timezone=timezone, count=count)
    if not is_for_people():
        show_one(preview, (), name=lambda each: each.description)
        return
    click.echo(f"{preview.description}\n")
    columns = (
        Column(preview.timezone, lambda each: each.local.strftime("%a %Y-%m-%d %H:%M:%S")),
        Column("HERE", lambda each: each.at),
    )
    show_list(preview.next_runs, columns, name=lambda each: each.at.isoformat())
    for change in preview.clock_changes:
        click.echo(f"\n{change.description}")


@click.command(
    "events",
    cls=ClientCommand,
    examples=["chronos events", "chronos events -o json | jq .data"],
)
@click.option("--after", metavar="ID", help="Go on after this event.")
def events(*, after: str | None) -> None:
    """Follow the events of the workspace until Ctrl-C.

    With -o json each event is one line.
    """
    client = session.connect()
    last = after
    while True:  # the server ends a stream when an access token would
        for event in client.events.listen(last_event_id=last):
            last = event.id or last
            data = json.dumps(event.data, ensure_ascii=False)
            if is_for_people():
                click.echo(f"{click.style(event.kind, bold=True)}  {visible(data)}")
            else:
                document = {"event": event.kind, "id": event.id, "data": event.data}
                click.echo(json.dumps(document, ensure_ascii=False))


@click.command(
    "open",
    cls=ClientCommand,
    examples=["chronos open", "chronos open 'Nightly report'"],
)
@click.argument("job", type=JOB, required=False)
@click.option("--print", "prints", is_flag=True, help="Only write the address.")
def open_dashboard(*, job: str | None, prints: bool) -> None:
    """Open the dashboard in a browser, at a job if you name one."""
    client = session.connect()
    path = f"jobs/{client.jobs.find(job).id}" if job else ""
    address = f"{client.url}/ui/{path}"
    if prints or not webbrowser.open(address):
        click.echo(address)
    else:
        say(f"Opened {address}")
