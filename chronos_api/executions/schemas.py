"""Queries for executions, and answers about them."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from chronos_api.fields import cursors
from chronos_api.fields.base import Answer, DocumentAnswer, Strict, ValueAnswer, computed
from chronos_api.fields.fields import Digits, Flag, Instant, Name, OneOf, Text, Whole
from chronos_api.fields.pagination import STABLE, StableQuery, filter_of, page_of
from chronos_common.clock import MILLISECOND
from chronos_common.domain import jobs as bounds
from chronos_common.domain.payloads import without_secrets
from chronos_common.domain.statuses import Reason, Resolution, Status, Trigger
from chronos_common.storage.executions.filters import MAX_RECENT, HistoryFilter

OPEN_FAILURES = (
    "true for failures that nobody has resolved, and after which the job has not succeeded. Its "
    f"latest success is searched among its latest {MAX_RECENT} executions"
)


class StatusRange(Text):
    """An HTTP status or a class of them, read as the lowest and the highest status."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": "^[1-5]([0-9]{2}|xx)$"} | kwargs.pop("metadata", {})
        super().__init__(longest=3, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, *rest: Any, **more: Any) -> Any:
        text = super()._deserialize(value, *rest, **more)
        if not re.fullmatch("[1-5]([0-9]{2}|xx)", text):
            raise ValidationError("Must be like 503 or 5xx.")
        return int(text.replace("x", "0")), int(text.replace("x", "9"))


_ONE_STATUS = "|".join(Status)


class Statuses(Text):
    """One status, or several with commas between them."""

    def __init__(self, **kwargs: Any) -> None:
        pattern = f"^({_ONE_STATUS})(,({_ONE_STATUS}))*$"
        metadata = {"pattern": pattern, "examples": ["failed,cancelled"]}
        super().__init__(longest=100, metadata=metadata | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, *rest: Any, **more: Any) -> Any:
        names = super()._deserialize(value, *rest, **more).split(",")
        if any(name not in set(Status) for name in names):
            raise ValidationError(
                f"Must be one of {', '.join(Status)}, or several with commas between them."
            )
        return tuple(dict.fromkeys(Status(name) for name in names))


class ExecutionChoice(Strict):
    """Conditions on executions. Each one applies if it is given."""

    status = Statuses(
        attribute="statuses",
        metadata={"description": "What they do now, or how they ended. Several with commas"},
    )
    trigger = OneOf(Trigger, metadata={"description": "Why they exist"})
    reason = OneOf(
        Reason, metadata={"description": "Why they did not run, or ended without an answer"}
    )
    tag = Name(longest=bounds.MAX_TAG_LENGTH, metadata={"description": "Of jobs with this tag"})
    host = Text(
        longest=255,
        shortest=1,
        metadata={"description": "Of jobs whose URL has this host", "examples": ["example.com"]},
    )
    cause = Text(
        longest=1000,
        shortest=1,
        metadata={
            "description": "Whose error is this one, with # for each number, as "
            "executions/failures/groups answers it"
        },
    )
    since = Instant(metadata={"description": "Scheduled for this instant or later"})
    until = Instant(metadata={"description": "Scheduled before this instant"})
    http_status = StatusRange(
        attribute="http_statuses",
        metadata={
            "description": "Of the last attempt: a status, or a class of them",
            "examples": ["503", "5xx"],
        },
    )
    min_duration_ms: Whole = Digits(
        low=0, metadata={"description": "Whose last attempt took as long or longer"}
    )
    min_drift_ms: Whole = Digits(
        low=0, metadata={"description": "That started so much later than scheduled, or later"}
    )


class JobExecutionsQuery(StableQuery, ExecutionChoice):
    """Which executions of one job to list."""

    conditions = HistoryFilter

    open_failures = Flag(metadata={"description": OPEN_FAILURES})


class ExecutionsQuery(JobExecutionsQuery):
    """Which executions to list."""

    job_id = fields.UUID(
        error_messages={"invalid_uuid": "Must be the id of a job."},
        metadata={"description": "Of this job alone"},
    )


def history_filter(query: Mapping[str, Any], **given: Any) -> HistoryFilter:
    """Return the filter that ``query`` asks for, with the conditions ``given``.

    Raises :class:`Invalid`.
    """
    cursor = query.get("cursor")
    place = "after" if cursors.is_back(cursor) else "before"
    return filter_of(
        HistoryFilter, query, **{place: cursors.read(cursors.place_of(cursor))}, **given
    )


class ExecutionQuery(Strict):
    """How much of an execution to answer."""

    attempt = Digits(
        low=1,
        high=bounds.MAX_ATTEMPTS,
        metadata={"description": "Just the attempt of this number, whole"},
    )


def _drift_ms(row: Mapping[Any, Any]) -> int | None:
    started_at = row["started_at"]
    return (started_at - row["scheduled_for"]) // MILLISECOND if started_at else None


def _job_version(row: Mapping[Any, Any]) -> int | None:
    attempts = row["attempts"]
    return attempts[-1].get("job_version") if attempts else None


def _own_payload(row: Mapping[Any, Any]) -> dict[str, Any] | None:
    payload = row["payload"]
    return None if payload is None else without_secrets(row["action_type"], payload)


class ExecutionAnswer(Answer):
    """One due occurrence of a job, or one trigger, and how it ended."""

    id = fields.UUID()
    job_id = fields.UUID()
    job_name = fields.String()
    trigger = OneOf(
        Trigger,
        metadata={
            "description": "schedule for an occurrence of the schedule, manual for a run by hand, "
            "retry for an execution that was run again by hand"
        },
    )
    status = OneOf(
        Status,
        metadata={
            "description": "queued waits for its instant or a worker, running is performed, "
            "retrying waits for its next attempt. The others are final: failed after its last "
            "attempt, cancelled, skipped, which never ran, and succeeded. succeeded means that "
            "the target answered with a status that counts as success. For an e-mail, the mail "
            "server has taken it for every recipient. For a Celery task, the broker has the task"
        },
    )
    scheduled_for = Instant(
        metadata={"description": "Its instant: of the schedule, or of the request for it"}
    )
    due_at = Instant(metadata={"description": "When its current or next attempt is due"})
    started_at = Instant(
        allow_none=True,
        metadata={
            "description": "When the first attempt's request left. While that is under way, when "
            "it was due or taken by a worker, whichever is later"
        },
    )
    finished_at = Instant(allow_none=True)
    duration_ms = fields.Integer(allow_none=True, metadata={"description": "Of the last attempt"})
    drift_ms = computed(
        fields.Integer(allow_none=True, metadata={"description": "started_at - scheduled_for"}),
        _drift_ms,
    )
    attempt = fields.Integer(
        metadata={"description": "The number, from 1, of the current, next or last attempt"}
    )
    max_attempts = fields.Integer(metadata={"description": "How many attempts its job allows now"})
    http_status = fields.Integer(
        allow_none=True, metadata={"description": "Of the last attempt's answer"}
    )
    error = fields.String(
        allow_none=True,
        metadata={"description": "Why the last attempt failed: up to 2,000 characters"},
    )
    reason = OneOf(
        Reason,
        allow_none=True,
        metadata={"description": "Why it did not run, or ended without its target's answer"},
    )
    worker = fields.UUID(
        attribute="worker_id",
        allow_none=True,
        metadata={"description": "The worker process that took it last"},
    )
    missed_count = fields.Integer(
        allow_none=True,
        metadata={"description": "How many missed occurrences this row stands for"},
    )
    missed_until = Instant(allow_none=True)
    retry_of = fields.UUID(
        allow_none=True, metadata={"description": "The execution that this one runs again"}
    )
    replay_id = fields.UUID(
        allow_none=True, metadata={"description": "The replay that made this execution"}
    )
    note = fields.String(
        allow_none=True, metadata={"description": "Why somebody has run it by hand"}
    )
    logical_for = Instant(
        allow_none=True,
        metadata={"description": "The instant that it stands for, if not scheduled_for"},
    )
    resolution = OneOf(
        Resolution,
        allow_none=True,
        metadata={"description": "Of a failure: replayed by a replay, or discarded by a user"},
    )
    resolved_at = Instant(allow_none=True)
    resolved_by = fields.UUID(allow_none=True, metadata={"description": "The user"})


class AttemptAnswer(DocumentAnswer):
    """One try of an execution. Fields that were not measured are left out."""

    number = fields.Integer()
    shortened = fields.Boolean(
        metadata={
            "description": "true if texts end after 1,000 characters, and long headers and lists "
            "are left out: ask for this attempt by ?attempt=<number>"
        }
    )
    status = fields.String()
    started_at = Instant()
    duration_ms = fields.Integer()
    http_status = fields.Integer()
    error = fields.String()
    retry_at = Instant()
    worker = fields.UUID()
    job_version = fields.Integer(
        metadata={"description": "The version of the job that was performed"}
    )
    redeliveries = fields.Integer()
    request = fields.Dict()
    response = fields.Dict(
        metadata={
            "description": "Of a webhook, the last answer that came: status, headers, body (text, "
            "decompressed, up to 64 KiB), body_truncated, redirects (the URLs that it led to), "
            "and note (the fault after the status)"
        }
    )
    timing_ms = fields.Dict(
        metadata={"description": "dns, connect, tls, first_byte and total, in milliseconds"}
    )


class ExecutionDetail(ExecutionAnswer):
    """An execution with every attempt, the last one whole."""

    job_version = computed(
        fields.Integer(
            allow_none=True,
            metadata={"description": "The version of the job that the last attempt performed"},
        ),
        _job_version,
    )
    payload = computed(
        fields.Dict(
            allow_none=True,
            metadata={
                "description": "Its own payload, if somebody has changed it for this run. Secrets "
                "are shown as [redacted]"
            },
        ),
        _own_payload,
    )
    attempts = fields.List(fields.Nested(AttemptAnswer))


class LogLine(ValueAnswer):
    """One line of the log of an execution."""

    at = Instant()
    level = fields.String(metadata={"enum": ["info", "warning", "error"]})
    message = fields.String()
    attempt = fields.Integer(allow_none=True)


class Logs(Answer):
    """The log of an execution, in order."""

    execution_id = fields.UUID()
    items = fields.List(fields.Nested(LogLine))
    total = computed(fields.Integer(), lambda log: len(log["items"]))


ExecutionPage = page_of(ExecutionAnswer, "ExecutionPage", STABLE)
