"""An execution's log: its events in order, read from its row and its attempts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from chronos_common import clock
from chronos_common.domain.queues import HANDED_ON
from chronos_common.domain.statuses import FINAL, REASON_TEXTS, Reason, Status, Trigger


@dataclass(frozen=True, slots=True)
class Line:
    """One event. ``attempt`` is the number of the attempt that it belongs to."""

    at: datetime
    level: str
    message: str
    attempt: int | None = None


def lines_of(row: RowMapping) -> list[Line]:
    """Return the log of an execution, the earliest line first."""
    lines = [_due(row), *_handed_over(row)]
    for attempt in row["attempts"]:
        lines += _attempt(attempt)
    lines += [*_under_way(row), *_end(row)]
    # A stable sort: events of one instant keep their order.
    return sorted(lines, key=lambda line: line.at)


def _due(row: RowMapping) -> Line:
    match Trigger(row["trigger"]):
        case Trigger.SCHEDULE:
            message = "Due by the job's schedule"
        case Trigger.MANUAL:
            message = "Triggered by hand"
        case Trigger.RETRY:
            message = f"Triggered as a retry of execution {row['retry_of']}"
    if row["payload"] is not None:
        message += ", with a payload of its own"
    if row["note"]:
        message += f": {row['note']}"
    if row["missed_count"]:
        until = f" until {clock.rfc3339(row['missed_until'])}" if row["missed_until"] else ""
        message += f"; stands for {row['missed_count']} missed occurrences{until}"
    return Line(row["scheduled_for"], "info", message)


def _handed_over(row: RowMapping) -> Iterator[Line]:
    if row["dispatched_at"]:
        message = f"Handed to the workers of queue '{row['queue']}'"
        yield Line(row["dispatched_at"], "info", message)


def _attempt(attempt: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the lines of an attempt, as the worker recorded it."""
    number = attempt["number"]
    started_at = datetime.fromisoformat(attempt["started_at"])
    message = f"Attempt {number} started by worker {attempt.get('worker', 'unknown')}"
    if attempt.get("redeliveries"):
        message += f", handed out again after {attempt['redeliveries']} lost workers"
    yield Line(started_at, "info", message, number)
    ended_at = started_at + timedelta(milliseconds=attempt["duration_ms"])
    succeeded = attempt["status"] == Status.SUCCEEDED
    yield Line(ended_at, "info" if succeeded else "warning", _ending(attempt), number)
    if attempt.get("retry_at"):
        message = f"Attempt {number + 1} is due at {attempt['retry_at']}"
        yield Line(ended_at, "info", message, number)


def _ending(attempt: Mapping[str, Any]) -> str:
    number, milliseconds = attempt["number"], attempt["duration_ms"]
    if attempt.get("http_status"):
        message = f"Attempt {number} was answered {attempt['http_status']} in {milliseconds} ms"
    elif attempt["status"] == Status.SUCCEEDED:
        message = f"Attempt {number} succeeded in {milliseconds} ms"
    else:
        message = f"Attempt {number} failed after {milliseconds} ms"
    return f"{message}: {attempt['error']}" if attempt.get("error") else message


def _under_way(row: RowMapping) -> Iterator[Line]:
    if row["status"] == Status.RUNNING:
        message = f"Attempt {row['attempt']} claimed by worker {row['worker_id']}"
        yield Line(row["claimed_at"] or row["started_at"], "info", message, row["attempt"])


def _end(row: RowMapping) -> Iterator[Line]:
    if row["status"] not in FINAL:
        return
    level = {Status.SUCCEEDED: "info", Status.FAILED: "error"}.get(row["status"], "warning")
    message = row["status"].capitalize()
    if row["status"] == Status.SUCCEEDED and row["queue"] in HANDED_ON:
        message += f": {HANDED_ON[row['queue']]}"
    elif row["reason"]:
        message += f": {REASON_TEXTS[Reason(row['reason'])]}"
    elif row["error"]:
        message += f": {row['error']}"
    yield Line(row["finished_at"], level, message)
