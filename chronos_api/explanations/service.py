"""Why an instant of a job ran or did not: one answer, from the records.

1. An instant with a row is explained by the row: its own, or one that stands for missed
   occurrences.
2. Any other is explained by the first of these reasons that holds:

   - The job was not created yet, or was deleted already.
   - The rules of its time zone moved the occurrence.
   - The instant lies out of the schedule's bounds, or is none of its instants.
   - The job was paused.
   - The job had another schedule.
   - The history of the instant was removed.
   - No scheduler has planned it yet.
   - The instant is to come, or the job was completed before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, RowMapping

from chronos_api.explanations import outcome_texts
from chronos_api.explanations.outcome_texts import Record
from chronos_api.jobs.definition import definitions
from chronos_api.transactions import Call, reading
from chronos_common.clock import MICROSECOND, MILLISECOND, SECOND
from chronos_common.domain.schedules import counting
from chronos_common.domain.schedules.humanize import moment
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.domain.statuses import JobStatus
from chronos_common.errors import JobNotFound
from chronos_common.storage import workers, zone_rules
from chronos_common.storage.executions import explanations
from chronos_common.storage.jobs.schedules import schedule_of

#: The fields whose change makes other instants.
_SCHEDULE_FIELDS = definitions.SCHEDULE_FIELDS | {"max_runs"}


class Verdict(StrEnum):
    """The answer, for programs."""

    RECORDED = "recorded"
    MISSED = "missed"
    NOT_CREATED_YET = "not_created_yet"
    DELETED = "deleted"
    OUT_OF_BOUNDS = "out_of_bounds"
    NOT_AN_INSTANT = "not_an_instant"
    PAUSED = "paused"
    SCHEDULE_CHANGED = "schedule_changed"
    PRUNED = "pruned"
    COMPLETED = "completed"
    TO_COME = "to_come"
    NOT_PLANNED_YET = "not_planned_yet"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Finding:
    """Why, and the record that says so, if there is one."""

    verdict: Verdict
    explanation: str
    execution: Record | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why the job did or did not run at an instant, and the schedule's instants around it."""

    job_id: UUID
    at: datetime
    verdict: Verdict
    explanation: str
    execution: Record | None
    previous: datetime | None
    following: datetime | None


@dataclass(frozen=True, slots=True)
class _Question:
    connection: Connection
    job: RowMapping
    schedule: Schedule
    at: datetime
    until: datetime
    now: datetime
    retention: timedelta
    alive_within: timedelta

    def log(
        self, *actions: str, since: datetime, until: datetime, limit: int = 100
    ) -> Sequence[Row[Any]]:
        """Return the job's entries in the audit log for these actions."""
        return explanations.log(
            self.connection,
            self.job["workspace_id"],
            self.job["id"],
            actions=actions,
            since=since,
            until=until,
            limit=limit,
        )


def explain(
    call: Call,
    job_id: UUID,
    *,
    at: datetime,
    retention: timedelta,
    alive_within: timedelta,
) -> Explanation:
    """Explain why the job did or did not run at ``at``.

    A whole second means any instant within it.

    Raises :class:`JobNotFound`.
    """
    length = MILLISECOND if at.microsecond else SECOND
    with reading(call) as session:
        connection = session.connection
        job = explanations.job(connection, session.workspace_id, job_id)
        if job is None:
            raise JobNotFound
        schedule = schedule_of(job["id"], job)
        question = _Question(
            connection, job, schedule, at, at + length, call.now, retention, alive_within
        )
        finding = _recorded(question) or _unrecorded(question)
    return Explanation(
        job_id=job_id,
        at=at,
        verdict=finding.verdict,
        explanation=finding.explanation,
        execution=finding.execution,
        previous=counting.last_before(schedule, at),
        following=schedule.next_after(at + length - MICROSECOND),
    )


def explain_execution(call: Call, row: RowMapping, *, alive_within: timedelta) -> str:
    """Return the outcome of the execution in ``row``, in plain words."""
    with reading(call) as session:
        alive_since = call.now - alive_within
        return _told(session.connection, Record.of(row), row["max_attempts"], alive_since)


def _told(connection: Connection, record: Record, max_attempts: int, alive_since: datetime) -> str:
    alive = workers.count_alive(connection, alive_since=alive_since)
    return outcome_texts.explain(record, max_attempts=max_attempts, workers=alive.get("worker", 0))


def _recorded(question: _Question) -> _Finding | None:
    connection, job_id = question.connection, question.job["id"]
    own = explanations.execution_at(connection, job_id, since=question.at, until=question.until)
    if own is not None:
        record = Record.of(own)
        alive_since = question.now - question.alive_within
        text = _told(connection, record, question.job["max_attempts"], alive_since)
        return _Finding(Verdict.RECORDED, text, record)
    covering = explanations.missed_with(connection, job_id, at=question.at)
    # Such a row stands for instants of the schedule of its time. Only today's schedule is known.
    if covering is None or not (_is_instant(question) or _changes(question)):
        return None
    record = Record.of(covering)
    return _Finding(Verdict.MISSED, outcome_texts.explain_missed(record), record)


def _unrecorded(question: _Question) -> _Finding:
    for find in (_existence, _moved, _instant, _pause, _change, _past, _future):
        finding = find(question)
        if finding is not None:
            return finding
    return _Finding(
        Verdict.UNKNOWN,
        f"{moment(question.at)} is an instant of the schedule, but there is no record of it. The "
        "schedule may have been moved on by hand, or its runs may have been used up before.",
    )


def _existence(question: _Question) -> _Finding | None:
    job, at = question.job, question.at
    if question.until <= job["created_at"]:
        text = f"The job did not exist yet: it was created at {moment(job['created_at'])}."
        return _Finding(Verdict.NOT_CREATED_YET, text)
    if job["deleted_at"] is not None and at >= job["deleted_at"]:
        return _Finding(Verdict.DELETED, f"The job was deleted at {moment(job['deleted_at'])}.")
    until = min(question.until, question.now)
    latest = question.log(
        "job.delete", "job.restore", since=job["created_at"], until=until, limit=1
    )
    if latest and latest[0].action == "job.delete":
        by = _by(latest[0].email)
        text = f"The job was deleted then: at {moment(latest[0].at)}{by}. It was restored later."
        return _Finding(Verdict.DELETED, text)
    return None


def _moved(question: _Question) -> _Finding | None:
    """Explain where the rules of its time zone moved an occurrence, as the audit log has it."""
    created_at = question.job["created_at"]
    for entry in question.log(zone_rules.ACTION, since=created_at, until=question.now):
        before, after = entry.details["before"], entry.details["after"]
        former = datetime.fromisoformat(before["next_run_at"])
        if question.at <= former < question.until:
            moved = after["next_run_at"]
            where = f"at {moment(datetime.fromisoformat(moved))}" if moved else "behind ends_at"
            text = (
                f"The rules of the time zone {entry.details['timezone']} changed at "
                f"{moment(entry.at)}: by release {after['timezone_database']} of its database, "
                f"the occurrence of {moment(question.at)} lies {where}."
            )
            return _Finding(Verdict.SCHEDULE_CHANGED, text)
    return None


def _is_instant(question: _Question) -> bool:
    first = question.schedule.first_at_or_after(question.at)
    return first is not None and first < question.until


def _instant(question: _Question) -> _Finding | None:
    """Explain that the schedule does not name the instant, unless it named others then."""
    if _is_instant(question) or _changes(question):
        return None
    schedule, at = question.schedule, question.at
    unbounded = replace(question, schedule=replace(schedule, starts_at=None, ends_at=None))
    if _is_instant(unbounded):
        if schedule.starts_at is not None and at < schedule.starts_at:
            text = f"The schedule begins at {moment(schedule.starts_at)} (starts_at)."
        else:
            text = f"The schedule ended at {moment(schedule.ends_at or at)} (ends_at)."
        return _Finding(Verdict.OUT_OF_BOUNDS, text)
    before, after = counting.last_before(schedule, at), schedule.next_after(at)
    around = [
        *([f"the one before is {moment(before)}"] if before else []),
        *([f"the next one is {moment(after)}"] if after else []),
    ]
    text = f"{moment(at)} is no instant of the schedule ({schedule.describe()})"
    return _Finding(Verdict.NOT_AN_INSTANT, f"{text}: {', '.join(around) or 'it has none'}.")


def _changes(question: _Question) -> str | None:
    """Return the last change of the schedule since the instant, in words."""
    for entry in reversed(question.log("job.update", since=question.at, until=question.now)):
        before = entry.details.get("before", {})
        changed = {name: before[name] for name in sorted(_SCHEDULE_FIELDS & before.keys())}
        if changed:
            shown = ", ".join(f"{name} was {value!r}" for name, value in changed.items())
            return f"{moment(entry.at)}{_by(entry.email)}: before that, {shown}"
    return None


def _by(email: str | None) -> str:
    return f" by {email}" if email else ""


def _pause(question: _Question) -> _Finding | None:
    latest = question.log(
        "job.create",
        "job.pause",
        "job.resume",
        since=question.job["created_at"] - SECOND,
        until=min(question.until, question.now),
        limit=1,
    )
    is_paused = question.job["status"] == JobStatus.PAUSED
    until = question.job["paused_until"] if is_paused else None
    if until is not None and question.at >= until:
        return None
    if latest and latest[0].action == "job.pause":
        since = f" since {moment(latest[0].at)}{_by(latest[0].email)}"
    elif is_paused and not _resumed_later(question):
        since = ""
    else:
        return None
    if question.at >= question.now:
        end = f" until {moment(until)}" if until else ""
        text = f"The job is paused{since}{end}; as long as it is, nothing of it runs."
    else:
        still = "is" if is_paused else "was"
        text = f"The job {still} paused then{since}; what is due while it is paused does not run."
    note = latest[0].details.get("note") if latest and latest[0].action == "job.pause" else None
    return _Finding(Verdict.PAUSED, f"{text} The note says: {note}" if note else text)


def _resumed_later(question: _Question) -> bool:
    """Return whether the job, which is paused now, was paused only after the instant."""
    return bool(
        question.log("job.pause", "job.resume", since=question.until, until=question.now, limit=1)
    )


def _change(question: _Question) -> _Finding | None:
    change = _changes(question)
    if change is None:
        return None
    return _Finding(
        Verdict.SCHEDULE_CHANGED, f"The job had another schedule then. It was changed at {change}."
    )


def _past(question: _Question) -> _Finding | None:
    job, at = question.job, question.at
    if at >= question.now:
        return None
    if at < question.now - question.retention:
        days = question.retention // timedelta(days=1)
        text = f"The history of that day was removed: it is kept for {days} days."
        return _Finding(Verdict.PRUNED, text)
    if job["active"] and job["next_run_at"] is not None and job["next_run_at"] <= question.until:
        alive = workers.count_alive(
            question.connection, alive_since=question.now - question.alive_within
        )
        running = alive.get("scheduler", 0)
        cause = (
            f"{running} scheduler{'s are' if running > 1 else ' is'} alive and will plan it"
            if running
            else "no scheduler is alive; start one with 'chronos scheduler'"
        )
        text = f"It is due, but has not been planned yet: {cause}."
        return _Finding(Verdict.NOT_PLANNED_YET, text)
    return _completed(question)


def _future(question: _Question) -> _Finding | None:
    job, at = question.job, question.at
    if at < question.now:
        return None
    if job["next_run_at"] is None:
        return _completed(question)
    text, left = f"It is to come: the job will run at {moment(at)}.", job["runs_left"]
    if job["shadow"]:
        text = (
            f"It is to come: {moment(at)} will be recorded and not sent, as the job is in shadow."
        )
    if left is None:
        return _Finding(Verdict.TO_COME, text)
    used_up = counting.reaches(question.schedule, job["next_run_at"], at, left)
    if used_up:
        text = f"The {left} runs that are left (max_runs) come before it."
        return _Finding(Verdict.COMPLETED, text)
    if used_up is None:
        text = (
            f"It is to come: the job will run at {moment(at)}, unless the {left} runs that are "
            "left (max_runs) come before it; so far ahead they are not counted."
        )
    return _Finding(Verdict.TO_COME, text)


def _completed(question: _Question) -> _Finding | None:
    if question.job["status"] != JobStatus.COMPLETED and question.job["next_run_at"] is not None:
        return None
    text = "The job is completed: its schedule had no runs left."
    return _Finding(Verdict.COMPLETED, text)
