"""``chronos executions``: the group of all commands about executions, and changes of them."""

from collections.abc import Sequence
from typing import Any, cast

import click

from chronos_client.commands import session
from chronos_client.commands.command import ClientCommand, ClientGroup, CommandFailed, Exit, say
from chronos_client.commands.executions.views import get_execution, list_executions, logs
from chronos_client.commands.jobs.bulk import confirm
from chronos_client.commands.jobs.runs import await_end, run_options, waiting_options
from chronos_client.errors import ApiProblem
from chronos_client.models import RunRequest


@click.group(
    cls=ClientGroup,
    examples=[
        "chronos executions list --status failed --since 24h",
        "chronos executions logs 01a22f88-dcc3 --follow",
        "chronos executions retry 01a22f88-dcc3 --wait",
    ],
)
def executions() -> None:
    """Read, cancel and repeat executions.

    An EXECUTION is an id, or the beginning of one, of at least eight digits.
    """


@click.command("cancel", cls=ClientCommand, examples=["chronos executions cancel 01a22f88-dcc3"])
@click.argument("references", nargs=-1, required=True, metavar="EXECUTION...")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def cancel(*, references: Sequence[str], yes: bool) -> None:
    """Cancel executions that have not ended."""
    client = session.connect()
    found = [client.executions.find(each) for each in references]
    if len(found) > 1 and not yes:
        confirm(
            f"Cancel {len(found)} executions", [f"{each.id}  {each.job_name}" for each in found]
        )
    refused = 0
    for each in found:
        try:
            say(f"{each.id} of {each.job_name!r} is {client.executions.cancel(each.id).status}.")
        except ApiProblem as error:
            refused += 1
            say(f"{each.id} of {each.job_name!r}: {error}")
    if refused:
        raise CommandFailed(f"{refused} of {len(found)} were not cancelled.", Exit.REFUSED)


@click.command(
    "retry", cls=ClientCommand, examples=["chronos executions retry 01a22f88-dcc3 --wait"]
)
@click.argument("execution")
@run_options
@waiting_options
def retry(*, execution: str, waits: bool, follows: bool, timeout: float, **options: Any) -> None:
    """Run an execution that has ended again: now, or later.

    With --wait or --follow the exit code tells its end, as for 'chronos jobs run'.
    """
    client = session.connect()
    found = client.executions.find(execution)
    started = client.executions.retry(found.id, **cast(RunRequest, options))
    say(f"Started {started.job_name!r} again as {started.id}.")
    await_end(started, waits=waits, follows=follows, timeout=timeout)


for _command in (list_executions, get_execution, logs, cancel, retry):
    executions.add_command(_command)
