"""The outcome of an execution, in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of_class
from datetime import datetime
from typing import Any
from uuid import UUID

from chronos_common.clock import MILLISECOND
from chronos_common.domain.queues import HANDED_ON
from chronos_common.domain.schedules.humanize import moment
from chronos_common.domain.statuses import REASON_TEXTS, Reason, Status, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The part of an execution that says how it ended, or where it stands."""

    id: UUID
    trigger: Trigger
    status: Status
    queue: str
    scheduled_for: datetime
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    missed_count: int | None
    missed_until: datetime | None
    attempt: int
    http_status: int | None
    error: str | None
    reason: str | None

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> "Record":
        """Return the record in a row."""
        fields = {each.name: row[each.name] for each in fields_of_class(cls)}
        typed = {"trigger": Trigger(row["trigger"]), "status": Status(row["status"])}
        return cls(**(fields | typed))


def explain(record: Record, *, max_attempts: int, workers: int) -> str:
    """Return the outcome of an execution. ``workers`` is the number of live ones."""
    match record.status:
        case Status.SUCCEEDED:
            text = f"It ran{_start(record)} and succeeded{_answer(record)}, {_attempts(record)}."
            if record.queue in HANDED_ON:
                text += f" That means: {HANDED_ON[record.queue]}."
        case Status.FAILED if record.started_at is None:
            text = f"It failed before it started: {record.error or _reason(record)}"
        case Status.FAILED:
            ran = f"It ran{_start(record)} and failed{_answer(record)}, {_attempts(record)}"
            text = f"{ran}: {record.error}"
        case Status.CANCELLED | Status.SKIPPED:
            text = _not_run(record)
        case Status.QUEUED:
            text = _waiting(record, workers)
        case Status.RUNNING:
            text = f"It is running: attempt {record.attempt} of {max_attempts}."
        case Status.RETRYING:
            text = (
                f"It ran{_start(record)}, and attempt {record.attempt - 1} of {max_attempts} "
                f"failed: {record.error} It is tried again at {moment(record.due_at)}."
            )
    if record.trigger is not Trigger.SCHEDULE:
        text += f" It was no instant of the schedule: somebody triggered it ({record.trigger})."
    return text


def explain_missed(record: Record) -> str:
    """Return why an occurrence did not run that shares its row with others."""
    first, last = record.scheduled_for, record.missed_until or record.scheduled_for
    return (
        f"It did not run: {_reason(record)}. One record stands for {record.missed_count} "
        f"occurrences from {moment(first)} to {moment(last)}."
    )


def _not_run(record: Record) -> str:
    if record.missed_count and record.missed_count > 1:
        return explain_missed(record)
    did = "It was started, and cancelled" if record.started_at else "It did not run"
    detail = f" ({record.error})" if record.error else ""
    return f"{did}: {_reason(record)}{detail}."


def _waiting(record: Record, workers: int) -> str:
    if workers:
        alive = "a worker is alive" if workers == 1 else f"{workers} workers are alive"
        return f"It waits for a worker since {moment(record.due_at)}; {alive}."
    return (
        f"It waits for a worker since {moment(record.due_at)}, but none is alive; start one with "
        "'chronos worker'."
    )


def _reason(record: Record) -> str:
    try:
        return REASON_TEXTS[Reason(record.reason or "")]
    except ValueError:
        return record.reason or "for no reason that was recorded"


def _start(record: Record) -> str:
    if record.started_at is None:
        return ""
    late = (record.started_at - record.scheduled_for) // MILLISECOND
    return f" at {moment(record.started_at)} ({late} ms after its instant)"


def _answer(record: Record) -> str:
    return f" with HTTP status {record.http_status}" if record.http_status else ""


def _attempts(record: Record) -> str:
    return "at the first attempt" if record.attempt == 1 else f"after {record.attempt} attempts"
