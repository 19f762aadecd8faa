"""Executions: read, await, cancel and repeat them."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, Unpack

from chronos_client import documents, errors, pages
from chronos_client.errors import WaitTimedOut
from chronos_client.models import Execution, LogEntry, RunRequest
from chronos_client.pages import LEAST_DIGITS, LOOKED_AT, NAMED, IdBeginning
from chronos_client.transport import Transport

#: How often an execution is looked at while it is awaited: first, and at most after a while.
_FIRST_LOOK_SECONDS = 0.1
_USUAL_LOOK_SECONDS = 2.0
_LOOK_GROWTH = 1.5


class Executions:
    """The executions of a workspace."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, page_items: int = pages.PAGE_ITEMS, **filters: Any) -> Iterator[Execution]:
        """Yield the executions, the latest first, page by page as they are used.

        ``filters`` are those of ``GET /executions``: job_id, status, trigger, since, until,
        http_status and min_duration_ms.
        """
        return pages.items(
            self._transport, "/executions", Execution, filters, page_items=page_items
        )

    def get(self, execution_id: str) -> Execution:
        """Return an execution with its attempts. Raises :class:`ObjectMissing`."""
        reply = self._transport.send("GET", f"/executions/{execution_id}")
        return documents.read(Execution, reply.content)

    def find(self, reference: str) -> Execution:
        """Return the execution with this id, or the only one whose id begins so.

        The first twelve digits of an id are its scheduled millisecond, so eight of them find a
        minute. Raises :class:`ObjectMissing`, or :class:`SeveralMatches`.
        """
        beginning = IdBeginning.read(reference)
        if beginning is None:
            raise errors.missing(
                f"{reference!r} is no id of an execution, and no beginning of one of at least "
                f"{LEAST_DIGITS} digits."
            )
        if beginning.is_whole:
            return self.get(reference)
        window = self.list(since=beginning.first, until=beginning.last + timedelta(milliseconds=1))
        found = [each for each in islice(window, LOOKED_AT) if beginning.begins(each.id)]
        match found:
            case []:
                raise errors.missing(f"There is no execution {reference!r} in this workspace.")
            case [execution]:
                return self.get(execution.id)
            case _:
                matches = [f"{each.id}  {each.job_name}" for each in found[:NAMED]]
                raise errors.SeveralMatches(reference, matches)

    def logs(self, execution_id: str) -> tuple[LogEntry, ...]:
        """Return the lines of an execution's log so far."""
        reply = self._transport.send("GET", f"/executions/{execution_id}/logs")
        return tuple(documents.read(LogEntry, line) for line in reply.content["items"])

    def cancel(self, execution_id: str) -> Execution:
        """Cancel an execution that has not finished."""
        reply = self._transport.send("POST", f"/executions/{execution_id}/cancel")
        return documents.read(Execution, reply.content)

    def retry(self, execution_id: str, **options: Unpack[RunRequest]) -> Execution:
        """Run a finished execution again, now or as the options say. Return the new one."""
        body = documents.written(options) or None
        reply = self._transport.send("POST", f"/executions/{execution_id}/retry", body=body)
        return documents.read(Execution, reply.content)

    def wait(
        self,
        execution_id: str,
        *,
        timeout: float = 3600.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Execution:
        """Return the execution when it has finished, with its attempts.

        Raises :class:`WaitTimedOut` after ``timeout`` seconds.
        """
        ends = monotonic() + timeout
        pause = _FIRST_LOOK_SECONDS
        while True:
            execution = self.get(execution_id)
            if execution.is_finished:
                return execution
            if monotonic() + pause > ends:
                raise WaitTimedOut(
                    f"Execution {execution_id} is still {execution.status} after {timeout:g} s."
                )
            sleep(pause)
            pause = min(pause * _LOOK_GROWTH, _USUAL_LOOK_SECONDS)
