"""Plan: turn schedules that are due into executions.

1. Lock the schedules that are due within the lookahead. Another scheduler skips them.
2. Compute each one's next instant. An instant that other rules of its zone have computed moves
   first, and is planned by a later tick if it is still due. The misfire policy decides
   about occurrences past their grace. Those of a job in shadow are recorded as skipped. A schedule
   that cannot be understood any more fails its own job.
3. Insert the executions and advance the schedules, in the same transaction. A scheduler that dies
   before the commit has planned nothing, and one that dies after it has planned all.
4. Publish. Rescue finds executions that are lost between commit and publish.

Catching up costs time in proportion to the outage. It is interleaved with current work, so that
neither a long outage nor a mass resume delays jobs that are due now.

While more is due than a batch takes, and planning is behind, a tick also plans the earliest of
each workspace, so that no workspace delays another.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, zip_longest
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine

from chronos_common import clock, failpoints, ids, metrics
from chronos_common.domain.jobs import Pause
from chronos_common.domain.queues import QUEUE_OF
from chronos_common.domain.schedules.misfires import Missed, decide
from chronos_common.domain.statuses import Reason, Status
from chronos_common.domain.timezones import files
from chronos_common.storage import consequences
from chronos_common.storage.executions import executions, skipped
from chronos_common.storage.executions.executions import Planned
from chronos_common.storage.executions.skipped import NotRun
from chronos_common.storage.executions.undispatched import Dispatched
from chronos_common.storage.jobs import jobs, schedules
from chronos_common.storage.jobs.schedules import Advance, Broken, Due
from chronos_common.storage.postgres.database import reading, transaction
from chronos_scheduler.dispatch import FIRST, SHARES_PER_BATCH, Dispatcher
from chronos_scheduler.zone_rules import ZoneRules

_log = structlog.get_logger(__name__)

#: Schedules that have been due for longer are planned after those that are due now.
RECENT = timedelta(seconds=60)

#: A transaction plans no further after so many seconds, or so many executions.
BUDGET_SECONDS = 0.25
BUDGET_EXECUTIONS = 10_000

#: The beginning of the search for schedules that are long overdue.
_EVER = datetime.min.replace(tzinfo=UTC)

#: Missed occurrences that ``run_all`` still runs, the latest ones.
MAX_RUN_ALL = 1000


@dataclass(slots=True)
class _Plan:
    """The result of planning a batch of due schedules."""

    planned: list[Planned] = field(default_factory=list)
    not_run: list[NotRun] = field(default_factory=list)
    advances: list[Advance] = field(default_factory=list)
    broken: list[Due | Broken] = field(default_factory=list)
    outdated: list[UUID] = field(default_factory=list)


class _Batch(NamedTuple):
    """The schedules of a batch, how many of them were planned, and whether more may be due."""

    due: Sequence[Due | Broken]
    taken: int
    is_more: bool


class Planner:
    """Plans one batch of due schedules at each tick, and hands their executions to dispatch."""

    def __init__(
        self, engine: Engine, dispatcher: Dispatcher, *, lookahead: timedelta, batch: int
    ) -> None:
        self._engine = engine
        self._dispatcher = dispatcher
        self._lookahead = lookahead
        self._batch = batch
        self._zone_rules = ZoneRules(engine, lookahead=lookahead)
        self._turn_after = FIRST
        #: The earliest instant that was unplanned at the end of the last tick.
        self.next_due: datetime | None = None

    def tick(self) -> bool:
        """Plan a batch of current schedules and some overdue ones. Return whether more are due."""
        now = clock.now()
        horizon = now + self._lookahead
        # Most ticks find nothing. This shows it in one round trip, without a transaction or a
        # lock.
        with reading(self._engine) as connection:
            self.next_due = next_due = schedules.next_due(connection)
        if next_due is None or next_due > horizon:
            return False
        more = self._plan(now=now, since=now - RECENT, horizon=horizon)
        is_overdue = next_due <= now - RECENT
        more_overdue = is_overdue and self._plan(now=now, since=_EVER, horizon=now - RECENT)
        return more or more_overdue

    def _plan(self, *, now: datetime, since: datetime, horizon: datetime) -> bool:
        """Plan the earliest schedules and, while that is behind, some of each workspace."""
        claim = partial(schedules.claim_due, since=since, horizon=horizon, batch=self._batch)
        earliest = self._plan_batch(claim, now=now)
        half_ahead = now + self._lookahead / 2
        if earliest.is_more and earliest.due[0].next_run_at <= half_ahead:
            self._plan_in_turn(now=now, since=since, horizon=horizon)
        return earliest.is_more

    def _plan_in_turn(self, *, now: datetime, since: datetime, horizon: datetime) -> None:
        """Plan a share of each workspace, from the one at which the last turn ended."""
        claim = partial(
            schedules.claim_in_turn,
            since=since,
            horizon=horizon,
            after=self._turn_after,
            share=max(self._batch // SHARES_PER_BATCH, 1),
            batch=self._batch,
        )
        batch = self._plan_batch(lambda connection: alternating(claim(connection)), now=now)
        workspaces = {each.workspace_id for each in batch.due}
        self._turn_after = FIRST
        if batch.taken < len(workspaces):
            self._turn_after = batch.due[batch.taken - 1].workspace_id
        elif len(batch.due) == self._batch:
            self._turn_after = max(workspaces)

    def _plan_batch(
        self, claim: Callable[[Connection], Sequence[Due | Broken]], *, now: datetime
    ) -> _Batch:
        """Plan the schedules that ``claim`` locks."""
        # While a queue is full, its executions wait in PostgreSQL for dispatch to take them.
        dispatched_at = dict.fromkeys(self._dispatcher.accepting, now)
        with metrics.PLAN_SECONDS.time(), transaction(self._engine) as connection:
            due = claim(connection)
            plan = _Plan()
            taken = _plan_some(due, plan, now=now, dispatched_at=dispatched_at)
            existing = _store(connection, plan, now=now)
            is_left = bool(plan.outdated) and not self._zone_rules.refresh(
                connection, plan.outdated
            )
        failpoints.hit("plan.committed")
        _count(due, plan, now=now)
        self._dispatcher.publish(
            [
                Dispatched(each.id, each.workspace_id, each.queue, each.scheduled_for)
                for each in plan.planned
                if each.dispatched_at and each.id not in existing
            ]
        )
        # Schedules that are left to others would be found again at once.
        is_more = not is_left and (taken < len(due) or len(due) == self._batch)
        return _Batch(due, taken, is_more)


def alternating(due: Iterable[Due | Broken]) -> list[Due | Broken]:
    """Return the first schedule of each workspace, then the second of each, and so on.

    So a transaction that ends early ends for all workspaces alike.
    """
    by_workspace: dict[UUID, list[Due | Broken]] = defaultdict(list)
    for each in due:
        by_workspace[each.workspace_id].append(each)
    rounds = chain.from_iterable(zip_longest(*by_workspace.values()))
    return [each for each in rounds if each]


def _plan_some(
    due: Sequence[Due | Broken],
    plan: _Plan,
    *,
    now: datetime,
    dispatched_at: Mapping[str, datetime],
) -> int:
    """Plan the first of ``due``, as far as the budget goes, and return their number.

    ``dispatched_at`` holds the queues to which executions are handed at once.
    """
    ends = time.monotonic() + BUDGET_SECONDS
    for index, each in enumerate(due):
        if isinstance(each, Broken):
            _log.error("schedule cannot be read", job_id=str(each.job_id))
            plan.broken.append(each)
            continue
        try:
            _plan_one(each, plan, now=now, dispatched_at=dispatched_at)
        except Exception:  # noqa: BLE001 - no stored value may stop the loop
            _log.exception("schedule cannot be followed", job_id=str(each.job_id))
            plan.broken.append(each)
        if len(plan.planned) >= BUDGET_EXECUTIONS or time.monotonic() >= ends:
            return index + 1
    return len(due)


def _plan_one(
    due: Due, plan: _Plan, *, now: datetime, dispatched_at: Mapping[str, datetime]
) -> None:
    if due.zone_rules is not None and due.zone_rules != files.mark(due.schedule.timezone):
        plan.outdated.append(due.job_id)
        return
    queue = QUEUE_OF[due.action_type]
    if _is_in_time(due, now):
        following = due.schedule.next_after(due.next_run_at)
        runs: Sequence[datetime] = (due.next_run_at,)
    else:
        decision = decide(
            due.schedule,
            next_run_at=due.next_run_at,
            now=now,
            policy=due.misfire_policy,
            grace=due.misfire_grace,
            resumed_at=due.resumed_at,
            limit=MAX_RUN_ALL,
            runs_left=due.runs_left,
        )
        runs, following = decision.runs, decision.next_run_at
        plan.not_run.extend(_not_run(due, missed) for missed in decision.skipped)
    runs_left = None if due.runs_left is None else due.runs_left - len(runs)
    plan.advances.append(Advance(due.job_id, None if runs_left == 0 else following, runs_left))
    if due.shadow:
        plan.not_run.extend(_shadow(due, queue, instant) for instant in runs)
        return
    plan.planned.extend(
        Planned(
            id=ids.occurrence_id(due.job_id, instant),
            workspace_id=due.workspace_id,
            job_id=due.job_id,
            queue=queue,
            scheduled_for=instant,
            dispatched_at=dispatched_at.get(queue),
        )
        for instant in runs
    )


def _is_in_time(due: Due, now: datetime) -> bool:
    """Return whether the occurrence is within its grace, and not one that a pause left behind."""
    was_paused = due.resumed_at is not None and due.next_run_at < due.resumed_at
    return not was_paused and now - due.next_run_at <= due.misfire_grace


def _shadow(due: Due, queue: str, instant: datetime) -> NotRun:
    """Return the occurrence of a job that is in shadow."""
    return NotRun(
        id=ids.occurrence_id(due.job_id, instant),
        workspace_id=due.workspace_id,
        job_id=due.job_id,
        queue=queue,
        scheduled_for=instant,
        status=Status.SKIPPED,
        reason=Reason.SHADOW,
    )


def _not_run(due: Due, missed: Missed) -> NotRun:
    return NotRun.of_missed(
        missed, workspace_id=due.workspace_id, job_id=due.job_id, action_type=due.action_type
    )


def _store(connection: Connection, plan: _Plan, *, now: datetime) -> set[UUID]:
    """Write the plan, and return the ids of executions that existed before."""
    existing = executions.add(connection, plan.planned)
    not_run = [*plan.not_run, *map(_failure, plan.broken)]
    ended = skipped.add(connection, not_run, now=now)
    schedules.advance(connection, plan.advances)
    if plan.broken:
        broken = [each.job_id for each in plan.broken]
        schedules.deactivate(connection, broken)
        jobs.pause(connection, broken, Pause(note=_UNFOLLOWABLE), now=now)
    consequences.write(connection, ended, now=now)
    return existing


_UNFOLLOWABLE = "The stored schedule cannot be followed"


def _failure(due: Due | Broken) -> NotRun:
    """Return the failure of a job whose schedule cannot be followed."""
    # An id holds no instant before 1970. Only a change by hand can have stored one.
    scheduled_for = max(due.next_run_at, datetime.fromtimestamp(0, UTC))
    return NotRun(
        id=ids.occurrence_id(due.job_id, scheduled_for),
        workspace_id=due.workspace_id,
        job_id=due.job_id,
        queue=QUEUE_OF[due.action_type],
        scheduled_for=scheduled_for,
        status=Status.FAILED,
        reason=Reason.INVALID,
        error=f"{_UNFOLLOWABLE}; the job is paused. Update its schedule.",
    )


def _count(due: Sequence[Due | Broken], plan: _Plan, *, now: datetime) -> None:
    if due:
        lateness = (now - due[0].next_run_at).total_seconds()
        metrics.PLAN_LATENESS.set(max(lateness, 0))
    metrics.PLANNED.inc(len(plan.planned))
    for each in plan.not_run:
        metrics.NOT_RUN.labels(each.reason).inc(each.missed_count or 1)
