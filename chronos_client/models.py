"""The answers of the API as dataclasses. A test holds them against the OpenAPI document.

Statuses and other words are plain texts, so that a client reads the words of a newer server.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict

#: The statuses of an execution that will not change any more.
FINAL = frozenset({"succeeded", "failed", "cancelled", "skipped"})

#: Fields of a job that are no part of its definition: they follow from it, or are its state.
NOT_DEFINED = frozenset(
    {
        "id",
        "status",
        "job_type",
        "schedule_description",
        "next_run_at",
        "next_runs",
        "scope",
        "scope_key",
        "version",
        "created_by",
        "created_at",
        "updated_at",
        "paused_at",
        "paused_by",
        "pause_note",
        "paused_until",
    }
)

#: What an API key may be allowed to do.
SCOPES = (
    "jobs:read",
    "jobs:write",
    "executions:read",
    "executions:write",
    "stats:read",
    "workspace:read",
    "workspace:write",
    "audit:read",
)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An answer of the API, with the JSON document that it was read from."""

    document: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Job(Answered):
    """A job: its definition, its state and its next instants."""

    id: str
    name: str
    description: str
    type: str
    #: None in a list if it is longer than 16 KiB. Secrets in it are redacted.
    payload: Mapping[str, Any] | None
    status: str
    job_type: str
    schedule_type: str
    cron_expression: str | None
    timezone: str
    day_match: str = "any"
    interval_seconds: int | None
    run_at: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    jitter_seconds: float
    max_runs: int | None
    schedule_description: str
    next_run_at: datetime | None
    max_attempts: int
    retry_delays: tuple[float, ...]
    backoff_seconds: float | None
    backoff_factor: float | None
    backoff_cap_seconds: float | None
    retry_jitter: float
    timeout_seconds: float
    misfire_policy: str
    misfire_grace_seconds: float
    overlap_policy: str
    shadow: bool
    tags: tuple[str, ...]
    notify: tuple[str, ...] | None
    #: The scope of jobs as code that manages it, and its key there. None for none.
    scope: str | None
    scope_key: str | None
    #: Rises with each change. Send it with a change to refuse one made meanwhile.
    version: int
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    #: Of a paused job: since when, by whom, why, and when it resumes by itself.
    paused_at: datetime | None = None
    paused_by: str | None = None
    pause_note: str | None = None
    paused_until: datetime | None = None
    #: Empty in a list.
    next_runs: tuple[datetime, ...] = ()

    @property
    def definition(self) -> dict[str, Any]:
        """The fields that define it, as a request has them. Secrets are redacted."""
        return {name: each for name, each in self.document.items() if name not in NOT_DEFINED}


class RunRequest(TypedDict, total=False):
    """How a run by hand differs from its job. None is as good as a missing one."""

    #: A merge patch (RFC 7396) of the job's payload, for this run alone.
    payload_patch: Mapping[str, Any] | None
    #: Why, for others.
    note: str | None
    #: Not before this instant, or after so many seconds: one of the two, within 30 days.
    run_at: datetime | None
    delay_seconds: float | None
    #: Seconds to wait for the end, at most 30. The server may wait for a shorter time.
    wait_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class ExecutionAttempt(Answered):
    """One try of an execution. Members that do not apply are None."""

    number: int
    status: str | None = None
    started_at: datetime | None = None
    duration_ms: int | None = None
    http_status: int | None = None
    error: str | None = None
    retry_at: datetime | None = None
    worker: str | None = None
    redeliveries: int | None = None
    shortened: bool = False
    #: The version of the job that it ran.
    job_version: int | None = None
    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    timing_ms: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Execution(Answered):
    """One due occurrence of a job, or one manual run."""

    id: str
    job_id: str
    job_name: str
    trigger: str
    status: str
    scheduled_for: datetime
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    drift_ms: int | None
    attempt: int
    max_attempts: int
    http_status: int | None
    error: str | None
    #: Why it did not run, for example ``overlap``.
    reason: str | None
    worker: str | None
    missed_count: int | None
    missed_until: datetime | None
    retry_of: str | None
    #: The replay that made it.
    replay_id: str | None = None
    #: Why somebody has run it by hand.
    note: str | None = None
    #: The instant that it stands for, if that is not ``scheduled_for``.
    logical_for: datetime | None = None
    #: Of a failure: ``replayed`` or ``discarded``, when, and by which user.
    resolution: str | None = None
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    #: The version of the job that it ran.
    job_version: int | None = None
    #: Its own payload without secrets, if somebody has changed it for this run.
    payload: Mapping[str, Any] | None = None
    #: Empty in a list.
    attempts: tuple[ExecutionAttempt, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether its status will not change any more."""
        return self.status in FINAL

    @property
    def succeeded(self) -> bool:
        """Whether it ran, and its target accepted it."""
        return self.status == "succeeded"


@dataclass(frozen=True, kw_only=True)
class FailureCount(Answered):
    """Failures with one error, job, host or HTTP status."""

    #: The value of ``cause``, ``job_id``, ``host`` or ``http_status`` in a filter.
    key: str | None
    #: Of the job.
    name: str | None
    executions: int
    jobs: int
    first_at: datetime
    last_at: datetime
    latest_id: str
    latest_error: str


@dataclass(frozen=True, kw_only=True)
class Replay(Answered):
    """A bulk retry that a scheduler makes at a rate."""

    id: str
    state: str
    #: Why Chronos has paused or ended it by itself.
    stopped_because: str | None
    filter: Mapping[str, Any]
    ids: tuple[str, ...] | None
    as_of: datetime
    note: str | None
    rate_per_second: float
    oldest_first: bool
    matched: int
    matched_is_exact: bool
    created: int
    refused: int
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    #: How its executions have ended so far, by status. Empty in a list.
    outcomes: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether it makes no further executions."""
        return self.finished_at is not None

    @property
    def is_settled(self) -> bool:
        """Whether all executions that it has made have finished, too."""
        return self.is_finished and FINAL.issuperset(self.outcomes)


@dataclass(frozen=True, kw_only=True)
class BulkChange(Answered):
    """A change of many jobs that goes on by itself."""

    id: str
    action: str
    state: str
    #: Why Chronos has ended it by itself.
    stopped_because: str | None
    filter: Mapping[str, Any] | None
    matched: int
    handled: int
    changed: int
    unchanged: int
    conflicts: int
    not_found: int
    created_by: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    #: The number of conflicts by their reason, and some of these jobs. Empty in a list.
    reasons: Mapping[str, int] = field(default_factory=dict)
    sample: tuple[Mapping[str, str], ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether it changes no further jobs."""
        return self.finished_at is not None


@dataclass(frozen=True, kw_only=True)
class LogEntry(Answered):
    """A line of an execution's log."""

    at: datetime
    level: str
    message: str
    attempt: int | None


@dataclass(frozen=True, kw_only=True)
class WhyAnswer(Answered):
    """Why an instant did or did not run."""

    job_id: str
    at: datetime
    #: The answer, for programs.
    verdict: str
    #: The answer, in plain words.
    explanation: str
    execution: Mapping[str, Any] | None
    previous: datetime | None
    following: datetime | None


@dataclass(frozen=True, kw_only=True)
class ScheduleInstant(Answered):
    """An instant at which a schedule is due."""

    at: datetime
    #: The same instant on a clock of the schedule's time zone.
    local: datetime


@dataclass(frozen=True, kw_only=True)
class ScheduleClockChange(Answered):
    """A change of the clocks that meets a schedule."""

    at: datetime
    #: "skipped" or "repeated".
    kind: str
    #: Times of the clock, without a zone.
    readings: tuple[str, ...]
    #: When it runs for these readings.
    runs: tuple[ScheduleInstant, ...]
    description: str


@dataclass(frozen=True, kw_only=True)
class ScheduleReplacement(Answered):
    """The instants of a job that a new schedule drops and adds."""

    dropped: tuple[ScheduleInstant, ...]
    added: tuple[ScheduleInstant, ...]
    kept: int
    #: The last instant compared, or None if all that are left are.
    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class SchedulePreview(Answered):
    """A schedule in plain words, its next instants, and what clock changes do to it."""

    description: str
    timezone: str
    next_runs: tuple[ScheduleInstant, ...]
    clock_changes: tuple[ScheduleClockChange, ...] = ()
    #: Of a preview for a job.
    replacement: ScheduleReplacement | None = None
    #: How many other ``jobs`` run at the second of the first one.
    also_due: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class ApiKey(Answered):
    """An API key. Only the answer that made it has ``key``, its secret."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class DeviceCodes(Answered):
    """What a program that asks to be let in shows, and its secret."""

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    #: The same page, with the code filled in.
    verification_uri_complete: str
    #: Seconds until the codes expire.
    expires_in: int
    #: Seconds between two polls.
    interval: int


@dataclass(frozen=True, kw_only=True)
class WorkspaceMember(Answered):
    """A member of the workspace, with a role."""

    user_id: str
    email: str
    role: str
    joined_at: datetime
