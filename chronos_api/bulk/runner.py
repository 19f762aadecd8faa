"""Carries out the bulk changes that go on in the background.

1. Look up the change that is due first, and whether its author may still change jobs.
2. Lock it, with the ids of its next jobs. Another process skips it.
3. Change these jobs as one request would, and store their results and how far the change is, in
   the same transaction. A process that dies before the commit has changed nothing.
4. The change is due again when the rate allows it.

If a batch fails, its jobs are tried one by one. A job that fails alone is counted with the reason,
and the others go on. While the database does not answer, nothing is counted, and all waits.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, cast
from uuid import UUID

import structlog
from flask import Flask
from sqlalchemy import RowMapping
from sqlalchemy.exc import InterfaceError, OperationalError

from chronos_api import context
from chronos_api.bulk import changes
from chronos_api.bulk.changes import Action, ItemOutcome, ItemResult, JobsChange
from chronos_api.security.access import Principal, Role
from chronos_api.transactions import Call, Transaction, begin
from chronos_common import clock, failpoints
from chronos_common.errors import ChronosError, Unavailable
from chronos_common.process.loops import Loop
from chronos_common.storage import bulk_changes
from chronos_common.storage.accounts import authentication, workspaces
from chronos_common.storage.bulk_changes import BulkProgress, BulkState
from chronos_common.storage.postgres.database import reading

_log = structlog.get_logger(__name__)

#: Jobs of one transaction, which holds their locks, and the most jobs of one change in a second.
BATCH, JOBS_PER_SECOND = 250, 1000

#: Reasons that are counted by themselves, and jobs that are named.
MAX_REASONS, MAX_SAMPLE = 20, 20
OTHER_REASONS = "other reasons"

#: How long a stored reason is at most.
MAX_REASON_LENGTH = 300

#: How often a change under way is looked for. A process that is not hinted at takes over the
#: changes of one that died.
IDLE_SECONDS, QUIET_SECONDS = 0.25, 60.0

#: A change that is due within the shortest rest goes on now.
AHEAD = timedelta(seconds=IDLE_SECONDS)

_EXTENSION = "chronos-bulk-runner"

#: The database is away, or answers too slowly: that says nothing about a job.
_OUTAGES = (OperationalError, InterfaceError, Unavailable)


class Runner:
    """Goes on with one bulk change at each tick, in a thread of its own from :meth:`begin` on."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._engine = context.of(app).engine
        self._lock = Lock()
        self._loop: Loop | None = None
        self._next_due: datetime | None = None
        #: Of a change whose last batch failed: how many jobs to try one by one.
        self._single: dict[UUID, int] = {}

    def begin(self) -> None:
        """Start the thread, unless it runs."""
        with self._lock:
            if self._loop is None:
                self._loop = Loop(
                    "bulk", self.tick, idle_seconds=IDLE_SECONDS, quiet_seconds=self._rest_seconds
                )
                self._loop.start()

    def hint(self) -> None:
        """Look soon, as there may be work."""
        self.begin()
        cast(Loop, self._loop).hint()

    def join(self, timeout: float) -> None:
        """Let the thread end after its tick, and wait for that, if it ever began."""
        if self._loop is not None:
            self._loop.stop()
            self._loop.join(timeout)

    def _rest_seconds(self) -> float:
        if self._next_due is None:
            return QUIET_SECONDS
        left = (self._next_due - clock.now()).total_seconds()
        return min(max(left, IDLE_SECONDS), QUIET_SECONDS)

    def tick(self) -> bool:
        """Change the next jobs of a bulk change. Return whether another may be due."""
        now = clock.now()
        with reading(self._engine) as connection:
            due = bulk_changes.next_due(connection)
        self._next_due = None if due is None else due["next_at"]
        if due is None or due["next_at"] > now + AHEAD:
            return False
        with self._app.app_context():
            return self._go_on(due, now=now)

    def _go_on(self, due: RowMapping, *, now: datetime) -> bool:
        limit = 1 if due["id"] in self._single else BATCH
        try:
            return self._advance(due, limit, now=now)
        except _OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - no job may stop the others
            if limit > 1:
                _log.warning("bulk change tries its jobs one by one", error=str(error))
                self._single[due["id"]] = BATCH
                return True
            if not isinstance(error, ChronosError):
                _log.exception("job cannot be changed", bulk_change=str(due["id"]))
            return self._advance(due, limit, now=now, refusal=_reason_of(error))

    def _advance(
        self, due: RowMapping, limit: int, *, now: datetime, refusal: str | None = None
    ) -> bool:
        """Change the next ``limit`` jobs, or count one as refused. Return whether it had them."""
        caller = Principal(
            due["created_by"], due["workspace_id"], Role.EDITOR, key_id=due["key_id"]
        )
        with begin(Call(engine=self._engine, caller=caller, now=now)) as tx:
            row = bulk_changes.claim(tx.connection, due["id"], limit=limit, now=now + AHEAD)
            if row is None:
                # Another process has it, or it was cancelled.
                return False
            if not _may_change_jobs(tx):
                bulk_changes.finish(
                    tx.connection, due["id"], BulkState.CANCELLED, now=now, because=_NO_RIGHT
                )
            else:
                _change_some(tx, due["id"], row, refusal)
            failpoints.hit("bulk.changed")
        self._count_single(due["id"])
        return True

    def _count_single(self, identifier: UUID) -> None:
        left = self._single.pop(identifier, 1) - 1
        if left:
            self._single[identifier] = left


def register(app: Flask) -> None:
    """Give the application its runner."""
    app.extensions[_EXTENSION] = Runner(app)


def of(app: Flask) -> Runner:
    """Return the application's runner."""
    return cast(Runner, app.extensions[_EXTENSION])


_NO_RIGHT = "Its author, or the API key that began it, may not change jobs any more."


def _may_change_jobs(tx: Transaction) -> bool:
    """Return whether the author is still an editor, and the API key still valid.

    The end of a login does not end a change: people close their browsers.
    """
    who = tx.principal
    member = workspaces.find_member(tx.connection, who.workspace_id, who.user_id)
    return (
        member is not None
        and Role(member["role"]).includes(Role.EDITOR)
        and authentication.stands(tx.connection, who.user_id, family_id=None, key_id=who.key_id)
    )


def _change_some(tx: Transaction, identifier: UUID, row: RowMapping, refusal: str | None) -> None:
    """Change the claimed jobs, and store their results."""
    job_ids: Sequence[UUID] = row["job_ids"]
    if refusal is None:
        results = changes.apply_to(tx, _read(row), job_ids)
    else:
        results = [ItemResult(each, ItemOutcome.CONFLICT, refusal) for each in job_ids]
    taken = timedelta(seconds=len(job_ids) / JOBS_PER_SECOND)
    next_at = max(row["next_at"], tx.now) + taken
    bulk_changes.advance(
        tx.connection, identifier, _progress(row, results), next_at=next_at, now=tx.now
    )
    if row["handled"] + len(job_ids) >= row["matched"]:
        bulk_changes.finish(tx.connection, identifier, BulkState.DONE, now=tx.now)


def _progress(row: RowMapping, results: Sequence[ItemResult]) -> BulkProgress:
    outcomes, reasons = Counter(row["results"]), Counter(row["reasons"])
    outcomes.update(each.outcome.value for each in results)
    faults = [each for each in results if each.reason]
    for each in faults:
        is_known = each.reason in reasons or len(reasons) < MAX_REASONS
        reasons[each.reason if is_known else OTHER_REASONS] += 1
    named = [{"id": str(each.job_id), "reason": each.reason or ""} for each in faults]
    return BulkProgress(
        handled=len(results),
        results=outcomes,
        reasons=reasons,
        sample=[*row["sample"], *named][:MAX_SAMPLE],
    )


def _reason_of(error: Exception) -> str:
    if isinstance(error, ChronosError):
        return str(error)[:MAX_REASON_LENGTH]
    return "The job cannot be changed. The log of the API has the error."


def written(change: JobsChange) -> dict[str, Any]:
    """Return the options of a change as JSON."""
    return {
        "add": list(change.add_tags),
        "remove": list(change.remove_tags),
        "note": change.note,
        "until": None if change.until is None else change.until.isoformat(),
    }


def _read(row: RowMapping) -> JobsChange:
    """Return the change that :func:`written` has stored."""
    options: Mapping[str, Any] = row["options"]
    until = options["until"]
    return JobsChange(
        action=Action(row["action"]),
        add_tags=options["add"],
        remove_tags=options["remove"],
        note=options["note"],
        until=None if until is None else datetime.fromisoformat(until),
    )
