"""Following an execution: its log so far, then each new line, until it has ended.

The event stream tells when to look again. Without one, the log is looked at every second.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from chronos_client.commands.command import Exit, visible
from chronos_client.commands.output import moment
from chronos_client.errors import ClientError, WaitTimedOut
from chronos_client.models import Execution, LogEntry

if TYPE_CHECKING:
    from chronos_client.client import Chronos

#: Least time between two looks, however many events come, and the time without a stream.
_LEAST_SECONDS = 0.3
_POLL_SECONDS = 1.0

_LEVELS = {"error": "red", "warning": "yellow", "info": "cyan"}
_CODES = {"succeeded": Exit.DONE, "failed": Exit.FAILED}


def follow(client: "Chronos", execution_id: str, *, timeout: float) -> Execution:
    """Write the log to standard output until the execution has ended. Return it.

    Raises :class:`WaitTimedOut` after ``timeout`` seconds.
    """
    ends = time.monotonic() + timeout
    written = 0
    for _ in _looks(client):
        # The execution is read first, so that its last lines are in the log.
        execution = client.executions.get(execution_id)
        lines = client.executions.logs(execution_id)
        for line in lines[written:]:
            log_line(line)
        written = max(written, len(lines))
        if execution.is_finished:
            return execution
        if time.monotonic() > ends:
            break
    raise WaitTimedOut(f"Execution {execution_id} has not ended after {timeout:g} s.")


def log_line(line: LogEntry) -> None:
    """Write a line of a log for people."""
    level = click.style(f"{line.level:<7}", fg=_LEVELS.get(line.level))
    click.echo(f"{moment(line.at)}  {level}  {visible(line.message)}")


def end_with(execution: Execution) -> None:
    """End the program with the exit code of an execution's end."""
    click.get_current_context().exit(_CODES.get(execution.status, Exit.NOT_RUN))


def _looks(client: "Chronos") -> Iterator[None]:
    """Yield whenever it is worth to look: at once, after events, and else every second."""
    yield
    try:
        looked = time.monotonic()
        for _ in client.events.listen(heartbeats=True):
            if time.monotonic() - looked < _LEAST_SECONDS:
                time.sleep(_LEAST_SECONDS)
            yield
            looked = time.monotonic()
    except ClientError:
        pass  # the key may lack the scope, or a proxy holds the stream back: poll
    while True:
        time.sleep(_POLL_SECONDS)
        yield
