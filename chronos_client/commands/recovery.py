"""``chronos failures`` and ``chronos replays``: find failures, and run them again at a rate."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientGroup, CommandFailed, Exit, say
from chronos_client.commands.executions.views import COLUMNS as EXECUTION_COLUMNS
from chronos_client.commands.jobs.bulk import confirm
from chronos_client.commands.output import Column, show_list, show_one, show_some
from chronos_client.commands.parameters import INSTANT, JOB
from chronos_client.models import Replay

if TYPE_CHECKING:
    from chronos_client.client import Chronos


def _outcomes(replay: Replay) -> str:
    return ", ".join(f"{number:,} {status}" for status, number in replay.outcomes.items())


_GROUPS = (
    Column("FAILURES", lambda group: f"{group.executions:,}", justify="right"),
    Column("JOBS", lambda group: group.jobs, justify="right"),
    Column("LATEST", lambda group: group.last_at),
    Column("GROUP", lambda group: group.name or group.key, is_flexible=True),
    Column("LATEST ERROR", lambda group: group.latest_error, width=120, is_flexible=True),
)
_REPLAYS = (
    Column("ID", lambda replay: replay.id),
    Column("STATE", lambda replay: replay.state),
    Column("MADE", lambda replay: f"{replay.created:,} of {replay.matched:,}", justify="right"),
    Column("BEGUN", lambda replay: replay.created_at),
    Column("NOTE", lambda replay: replay.note, width=110, is_flexible=True),
)
_REPLAY = (
    Column("Id", lambda replay: replay.id),
    Column("State", lambda replay: replay.state),
    Column("Stopped because", lambda replay: replay.stopped_because),
    Column("Made", lambda replay: f"{replay.created:,} of {replay.matched:,}"),
    Column("Refused", lambda replay: replay.refused),
    Column("Rate", lambda replay: f"{replay.rate_per_second:g} a second"),
    Column("Ended so far", _outcomes),
    Column("Begun", lambda replay: replay.created_at),
    Column("Finished", lambda replay: replay.finished_at),
    Column("Note", lambda replay: replay.note),
)


def _filter_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--until", type=INSTANT, help="The same."),
        click.option("--since", type=INSTANT, help="An instant, or how long ago: 90m, 12h, 7d."),
        click.option("--http-status", help="503, or 5xx."),
        click.option("--tag", help="Of jobs with this tag."),
        click.option("--job", type=JOB, help="Of one job."),
    ):
        command = option(command)
    return command


def _filters(client: "Chronos", *, job: str | None, **others: Any) -> dict[str, Any]:
    return {**others, "job_id": client.jobs.find(job).id if job else None}


@click.group(
    cls=ClientGroup,
    examples=[
        "chronos failures groups --by host",
        "chronos failures list --since 12h",
        "chronos failures retry --http-status 503 --rate 5 --wait",
    ],
)
def failures() -> None:
    """Find open failures, run them again at a rate, or discard them.

    A failure is open until it is run again or discarded, or until its job succeeds.
    """


@failures.command("list", examples=["chronos failures list --since 12h"])
@_filter_options
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
def list_failures(*, limit: int, **filters: Any) -> None:
    """List open failures, the latest first."""
    client = session.connect()
    found = client.failures.list(page_items=min(limit + 1, 100), **_filters(client, **filters))
    show_some(
        found,
        limit,
        EXECUTION_COLUMNS,
        name=lambda each: each.id,
        none="There is no open failure.",
    )


@failures.command("groups", examples=["chronos failures groups --by host"])
@_filter_options
@click.option("--by", type=click.Choice(["error", "job", "host", "http_status"]), default="error")
def group_failures(*, by: str, **filters: Any) -> None:
    """Count open failures by error, job, host or HTTP status. At most 10,000 are looked at."""
    client = session.connect()
    found = client.failures.groups(by, **_filters(client, **filters))
    if not show_list(found, _GROUPS, name=lambda each: each.key or ""):
        say("There is no open failure.")


@failures.command("retry", examples=["chronos failures retry --http-status 503 --rate 5 --wait"])
@_filter_options
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 1000),
    default=10.0,
    show_default=True,
    help="Executions that begin in a second.",
)
@click.option("--note", help="Why, for others.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--wait", "waits", is_flag=True, help="Wait until its executions have ended.")
def retry_failures(
    *, rate: float, note: str | None, yes: bool, waits: bool, **filters: Any
) -> None:  # fmt: skip
    """Run open failures again. Exactly those that were counted run, once each.

    With --wait the exit code tells the end: 1 if any of them failed again.
    """
    client = session.connect()
    chosen = _filters(client, **filters)
    as_of = _count(client, "retry", chosen, yes=yes)
    replay = client.failures.retry(as_of=as_of, rate_per_second=rate, note=note, **chosen)
    say(f"Started replay {replay.id}. It runs in the scheduler: chronos replays get {replay.id}")
    _show(client, replay, waits=waits)


@failures.command("discard", examples=["chronos failures discard --job 'Old report'"])
@_filter_options
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def discard_failures(*, yes: bool, **filters: Any) -> None:
    """Resolve open failures without running them again."""
    client = session.connect()
    chosen = _filters(client, **filters)
    as_of = _count(client, "discard", chosen, yes=yes)
    say(f"Discarded {client.failures.discard(as_of=as_of, **chosen):,}.")


@click.group(
    cls=ClientGroup,
    examples=[
        "chronos replays list",
        "chronos replays pause 01a22f88-dcc3-7225-9733-aad16e141c3e",
    ],
)
def replays() -> None:
    """Look at replays, pause them, resume them and end them."""


@replays.command("list", examples=["chronos replays list"])
def list_replays() -> None:
    """List the replays, the latest first."""
    if not show_list(session.connect().replays.list(), _REPLAYS, name=lambda each: each.id):
        say("There is no replay.")


@replays.command("get", examples=["chronos replays get ID --wait"])
@click.argument("replay")
@click.option("--wait", "waits", is_flag=True, help="Wait until its executions have ended.")
def get_replay(*, replay: str, waits: bool) -> None:
    """Show a replay, and how its executions have ended so far.

    With --wait the exit code tells the end: 0 none failed, 1 some failed again, or the replay was
    paused, 5 cancelled.
    """
    client = session.connect()
    found = client.replays.get(replay)
    _show(client, found, waits=waits)


def _change(action: str, help_text: str) -> None:
    @replays.command(action, help=help_text, examples=[f"chronos replays {action} ID"])
    @click.argument("replay")
    def change(*, replay: str) -> None:
        changed = session.connect().replays.change(action, replay)
        say(f"Replay {changed.id} is {changed.state}.")


_change("pause", "Let a replay make no more executions until it is resumed.")
_change("resume", "Let a paused replay go on.")
_change("cancel", "End a replay. Executions that it has made go on.")


def _count(client: "Chronos", action: str, filters: dict[str, Any], *, yes: bool) -> datetime:
    """Count the failures, and ask if there are several. Return the instant of the count."""
    counted = client.failures.count(action, **filters)
    if not counted.matched:
        raise CommandFailed("No open failure matches.", Exit.MISSING)
    if counted.matched > 1 and not yes:
        names = [
            f"{each.scheduled_for:%Y-%m-%d %H:%M:%S}  {each.job_name}" for each in counted.sample
        ]
        least = "" if counted.is_exact else "at least "
        confirm(f"{action.capitalize()} {least}{counted.matched:,} executions", names)
    return counted.as_of


def _show(client: "Chronos", replay: Replay, *, waits: bool) -> None:
    """Show a replay, or wait for its executions, whose end the exit code then tells."""
    shown = _watched(client, replay) if waits else replay
    show_one(shown, _REPLAY, name=lambda each: each.id)
    if waits:
        click.get_current_context().exit(_code_of(shown))


def _code_of(replay: Replay) -> Exit:
    if replay.state == "cancelled":
        return Exit.NOT_RUN
    return Exit.DONE if replay.state == "done" and "failed" not in replay.outcomes else Exit.FAILED


def _watched(client: "Chronos", replay: Replay) -> Replay:
    """Return the replay when its executions have ended, with a bar meanwhile."""
    latest = replay
    is_shown = sys.stderr.isatty()
    with click.progressbar(
        length=replay.matched, label="Made", file=sys.stderr, hidden=not is_shown
    ) as bar:
        for latest in client.replays.watch(replay.id):
            bar.update(latest.created + latest.refused - bar.pos)
    return latest
