"""Answers as clients of other schedulers expect them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from chronos_api import answers
from chronos_common.domain.statuses import JobStatus, Status

#: The states of an execution in the words of 002, and what it has no words for.
EXECUTION_STATES: Mapping[str, str] = {
    Status.QUEUED: "PENDING",
    Status.RETRYING: "PENDING",
    Status.RUNNING: "RUNNING",
    Status.SUCCEEDED: "SUCCESS",
    Status.FAILED: "FAILED",
    Status.CANCELLED: "CANCELLED",
    Status.SKIPPED: "SKIPPED",
}


def job(row: RowMapping, executions: Sequence[RowMapping], *, now: datetime) -> dict[str, Any]:
    """Return a job with its latest executions, in the words of 002 and of 003."""
    own = answers.job(row, now=now)
    return {
        "id": own["id"],
        "job_id": own["id"],
        "name": own["name"],
        "description": own["description"],
        "type": own["type"].upper(),
        "schedule": own["cron_expression"] or own["run_at"] or own["schedule_description"],
        "cron_expression": own["cron_expression"],
        "scheduled_time": own["run_at"],
        "timezone": own["timezone"],
        "payload": own["payload"],
        "max_attempts": own["max_attempts"],
        "status": own["status"],
        "enabled": own["status"] == JobStatus.ACTIVE,
        "nextRunAt": own["next_run_at"],
        "createdAt": own["created_at"],
        "updatedAt": own["updated_at"],
        "executions": [execution(each) for each in executions],
    }


def execution(row: RowMapping) -> dict[str, Any]:
    """Return an execution in the words of 002."""
    return {
        "id": str(row["id"]),
        "status": EXECUTION_STATES[row["status"]],
        "scheduledAt": answers.time(row["scheduled_for"]),
        "startedAt": answers.time(row["started_at"]),
        "completedAt": answers.time(row["finished_at"]),
        "durationMs": row["duration_ms"],
        "httpStatus": row["http_status"],
        "error": row["error"] or row["reason"],
    }


def run(row: RowMapping) -> dict[str, Any]:
    """Return an execution in the words of 004: when, the HTTP status, how long."""
    duration_ms = row["duration_ms"]
    return {
        "timestamp": answers.time(row["started_at"] or row["scheduled_for"]),
        "status": row["http_status"],
        "duration": None if duration_ms is None else f"{duration_ms}ms",
    }
