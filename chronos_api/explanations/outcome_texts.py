"""What became of an execution, in plain words."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from chronos_common.domain.promises import HANDED_ON
from chronos_common.domain.schedules.phrases import moment
from chronos_common.domain.statuses import Reason, Status, Trigger

_MILLISECOND = timedelta(milliseconds=1)

_REASONS = {
    Reason.PAUSED: "the job was paused",
    Reason.OVERLAP: "an earlier execution of the job had not finished (overlap_policy)",
    Reason.MISFIRE: "it was missed while no scheduler planned it, and misfire_policy runs others",
    Reason.CANCELLED: "somebody cancelled it",
    Reason.DELETED: "the job was deleted",
    Reason.RESCHEDULED: "the job got another schedule",
    Reason.EXPIRED: "it was too late to start it",
    Reason.INVALID: "what the job has stored cannot be followed",
    Reason.WORKER_LOST: "its worker was lost too often",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """The part of an execution that says what became of it."""

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
    def of(cls, row: Row[Any]) -> "Fate":
        """Return the fate that a row holds."""
        fields = row._asdict()
        typed = {"trigger": Trigger(row.trigger), "status": Status(row.status)}
        return cls(**(fields | typed))


def explain(fate: Fate, *, max_attempts: int, workers: int) -> str:
    """Return what became of an execution; ``workers`` is how many are alive."""
    match fate.status:
        case Status.SUCCEEDED:
            text = f"It ran{_start(fate)} and succeeded{_answer(fate)}, {_attempts(fate)}."
            if fate.queue in HANDED_ON:
                text += f" That means: {HANDED_ON[fate.queue]}."
        case Status.FAILED if fate.started_at is None:
            text = f"It failed before it started: {fate.error or _reason(fate)}"
        case Status.FAILED:
            text = (
                f"It ran{_start(fate)} and failed{_answer(fate)}, {_attempts(fate)}: {fate.error}"
            )
        case Status.CANCELLED | Status.SKIPPED:
            text = _not_run(fate)
        case Status.QUEUED:
            text = _waiting(fate, workers)
        case Status.RUNNING:
            text = f"It is running: attempt {fate.attempt} of {max_attempts}."
        case Status.RETRYING:
            text = (
                f"It ran{_start(fate)}, and attempt {fate.attempt - 1} of {max_attempts} failed: "
                f"{fate.error} It is tried again at {moment(fate.due_at)}."
            )
    if fate.trigger is not Trigger.SCHEDULE:
        text += f" It was no instant of the schedule: somebody triggered it ({fate.trigger})."
    return text


def explain_missed(fate: Fate) -> str:
    """Return why an occurrence did not run that shares its row with others."""
    return (
        f"It did not run: {_reason(fate)}. One record stands for {fate.missed_count} occurrences "
        f"from {moment(fate.scheduled_for)} to {moment(fate.missed_until or fate.scheduled_for)}."
    )


def _not_run(fate: Fate) -> str:
    if fate.missed_count and fate.missed_count > 1:
        return explain_missed(fate)
    did = "It was started, and cancelled" if fate.started_at else "It did not run"
    detail = f" ({fate.error})" if fate.error else ""
    return f"{did}: {_reason(fate)}{detail}."


def _waiting(fate: Fate, workers: int) -> str:
    if workers:
        alive = "a worker is alive" if workers == 1 else f"{workers} workers are alive"
        return f"It waits for a worker since {moment(fate.due_at)}; {alive}."
    return (
        f"It waits for a worker since {moment(fate.due_at)}, but none is alive; start one with "
        "'chronos worker'."
    )


def _reason(fate: Fate) -> str:
    try:
        return _REASONS[Reason(fate.reason or "")]
    except ValueError:
        return fate.reason or "for no reason that was recorded"


def _start(fate: Fate) -> str:
    if fate.started_at is None:
        return ""
    late = (fate.started_at - fate.scheduled_for) // _MILLISECOND
    return f" at {moment(fate.started_at)} ({late} ms after its instant)"


def _answer(fate: Fate) -> str:
    return f" with HTTP status {fate.http_status}" if fate.http_status else ""


def _attempts(fate: Fate) -> str:
    return "at the first attempt" if fate.attempt == 1 else f"after {fate.attempt} attempts"
