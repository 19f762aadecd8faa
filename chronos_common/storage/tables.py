"""The tables, as SQLAlchemy sees them. ``migrations`` creates them, and a test compares both.

``schedules`` is narrow because it is written at every fire. ``jobs`` is wide and rarely written.
``executions`` is partitioned by day on its id (see ``chronos_common.ids``), so that retention
drops a partition. Its attempts are a JSON array on the row: one write records an attempt.
Payloads of users are json and not jsonb, which would sort their members.

The columns of a job's definition follow from the fields of its classes in the domain.
"""

from typing import Any, get_type_hints
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.types import TypeEngine

from chronos_common.domain.jobs import JobDefinition, SchedulerFields
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.storage.postgres.field_columns import of_fields

metadata = MetaData()

_MOMENT = DateTime(timezone=True)


def _email_key() -> Column[str]:
    """Return the column of the address as it is compared, which no locale changes."""
    return Column(
        "email_key", Text, Computed('lower(email COLLATE "C")', persisted=True), nullable=False
    )


def _id(name: str = "id", *, primary_key: bool = False) -> Column[UUID]:
    return Column(name, Uuid(), primary_key=primary_key, nullable=False)


def _workspace(*, primary_key: bool = False) -> Column[UUID]:
    return Column(
        "workspace_id",
        Uuid(),
        ForeignKey("workspaces.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


def _user(*, primary_key: bool = False) -> Column[UUID]:
    """Return the column of the user with whom a row goes."""
    key = ForeignKey("users.id", ondelete="CASCADE")
    return Column("user_id", Uuid(), key, primary_key=primary_key, nullable=False)


def _required(kind: TypeEngine[Any], *names: str) -> list[Column[Any]]:
    return [Column(name, kind, nullable=False) for name in names]


def _optional(kind: TypeEngine[Any], *names: str) -> list[Column[Any]]:
    return [Column(name, kind) for name in names]


workspaces = Table(
    "workspaces",
    metadata,
    _id(primary_key=True),
    *_required(Text(), "name", "signing_secret"),
    Column("previous_signing_secret", Text),
    Column("previous_secret_until", _MOMENT),
    Column("default_webhook_url", Text),
    Column("created_at", _MOMENT, nullable=False),
    Column("purge_at", _MOMENT),
)

users = Table(
    "users",
    metadata,
    _id(primary_key=True),
    Column("email", Text, nullable=False),
    _email_key(),
    Column("password_hash", Text, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    *_optional(_MOMENT, "disabled_at", "verified_at"),
    Column("is_operator", Boolean, nullable=False),
)

user_preferences = Table(
    "user_preferences",
    metadata,
    _user(primary_key=True),
    Column("preferences", JSONB, nullable=False),
)

workspace_quotas = Table(
    "workspace_quotas",
    metadata,
    _workspace(primary_key=True),
    Column("quota", Text, primary_key=True, nullable=False),
    Column("used", BigInteger, nullable=False, server_default="0"),
    Column("bound", BigInteger),
    Column("day", Date),
)

memberships = Table(
    "memberships",
    metadata,
    _workspace(primary_key=True),
    _user(primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
)

second_factors = Table(
    "second_factors",
    metadata,
    _user(primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("confirmed_at", _MOMENT),
    Column("last_step", BigInteger, nullable=False),
    Column("recovery_sha256", ARRAY(Text), nullable=False, server_default="{}"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(primary_key=True),
    _workspace(),
    _user(),
    *_required(Text(), "name", "prefix", "secret_sha256"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    *_optional(_MOMENT, "expires_at", "last_used_at", "revoked_at"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    _id(primary_key=True),
    _user(),
    _id("family_id"),
    *_required(_MOMENT, "issued_at", "expires_at"),
    *_optional(_MOMENT, "used_at", "revoked_at"),
    *_optional(Text(), "user_agent", "address"),
)

invitations = Table(
    "invitations",
    metadata,
    _id(primary_key=True),
    _workspace(),
    Column("email", Text, nullable=False),
    _email_key(),
    Column("role", Text, nullable=False),
    Column("invited_by", Uuid(), ForeignKey("users.id", ondelete="SET NULL")),
    Column("token_sha256", Text),
    *_required(_MOMENT, "created_at", "expires_at"),
    *_optional(_MOMENT, "accepted_at", "revoked_at"),
)

email_tokens = Table(
    "email_tokens",
    metadata,
    _id(primary_key=True),
    _user(),
    Column("purpose", Text, nullable=False),
    Column("token_sha256", Text),
    *_required(_MOMENT, "created_at", "expires_at"),
    Column("used_at", _MOMENT),
)

registrations = Table(
    "registrations",
    metadata,
    _id(primary_key=True),
    Column("email", Text, nullable=False),
    _email_key(),
    Column("password_hash", Text, nullable=False),
    Column("token_sha256", Text),
    *_required(_MOMENT, "created_at", "expires_at"),
)

letters = Table(
    "letters",
    metadata,
    _id(primary_key=True),
    Column("kind", Text, nullable=False),
    _id("subject_id"),
    *_required(_MOMENT, "created_at", "due_at"),
    Column("attempts", SmallInteger, nullable=False),
    *_optional(_MOMENT, "held_until", "sent_at", "abandoned_at"),
    Column("error", Text),
)

jobs = Table(
    "jobs",
    metadata,
    _id(primary_key=True),
    _workspace(),
    Column("created_by", Uuid(), ForeignKey("users.id", ondelete="SET NULL")),
    *of_fields(JobDefinition, without={"policy", *get_type_hints(SchedulerFields)}),
    *of_fields(RetryPolicy, max_attempts=SmallInteger()),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    *_required(_MOMENT, "created_at", "updated_at"),
    *_optional(_MOMENT, "deleted_at", "paused_at", "paused_until"),
    Column("paused_by", Uuid()),
    *_optional(Text(), "pause_note", "scope", "scope_key"),
    Column("applied", JSON(none_as_null=True)),
)

schedules = Table(
    "schedules",
    metadata,
    Column(
        "job_id",
        Uuid(),
        ForeignKey("jobs.id", ondelete="CASCADE"),
        primary_key=True,
        nullable=False,
    ),
    _workspace(),
    # The offset of the jitter follows from jitter_seconds and the job's id.
    *of_fields(Schedule, without={"jitter"}),
    *of_fields(SchedulerFields, without={"schedule"}),
    Column("job_type", Text, nullable=False),
    Column("runs_left", Integer),
    Column("active", Boolean, nullable=False),
    *_optional(_MOMENT, "resumed_at", "next_run_at"),
    Column("zone_rules", BigInteger),
)

zone_databases = Table(
    "zone_databases",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("archive", LargeBinary, nullable=False),
    Column("adopted_at", _MOMENT),
)

executions = Table(
    "executions",
    metadata,
    _id(primary_key=True),
    _id("workspace_id"),
    _id("job_id"),
    *_required(Text(), "trigger", "status", "queue"),
    *_required(_MOMENT, "scheduled_for", "due_at"),
    *_optional(_MOMENT, "dispatched_at", "claimed_at", "started_at", "finished_at"),
    *_optional(Uuid(), "worker_id", "replay_id", "resolved_by"),
    *_optional(_MOMENT, "logical_for", "resolved_at"),
    *_optional(Text(), "resolution", "note"),
    Column("payload", JSON(none_as_null=True)),
    Column("duration_ms", Integer),
    Column("missed_count", BigInteger),
    Column("missed_until", _MOMENT),
    Column("retry_of", Uuid()),
    *_required(SmallInteger(), "attempt", "redeliveries"),
    Column("http_status", SmallInteger),
    *_optional(Text(), "error", "reason"),
    Column("attempts", JSON, nullable=False),
)

replays = Table(
    "replays",
    metadata,
    _id(primary_key=True),
    _workspace(),
    *_required(_MOMENT, "created_at", "as_of", "next_at", "resumed_at", "updated_at"),
    *_optional(_MOMENT, "finished_at"),
    *_optional(Uuid(), "created_by", "cursor"),
    *_required(Text(), "state"),
    *_optional(Text(), "note", "stopped_because"),
    Column("ids", ARRAY(Uuid())),
    *_required(JSON(), "filter"),
    *_required(Float(), "rate_per_second"),
    *_required(Boolean(), "oldest_first", "matched_is_exact"),
    *_required(BigInteger(), "matched", "created", "refused"),
)

bulk_changes = Table(
    "bulk_changes",
    metadata,
    _id(primary_key=True),
    _workspace(),
    *_required(_MOMENT, "created_at", "next_at", "updated_at"),
    *_optional(_MOMENT, "finished_at"),
    _id("created_by"),
    *_optional(Uuid(), "key_id"),
    *_required(Text(), "action", "state"),
    *_optional(Text(), "stopped_because"),
    *_required(JSON(), "options"),
    Column("filter", JSON(none_as_null=True)),
    Column("job_ids", ARRAY(Uuid()), nullable=False),
    *_required(BigInteger(), "matched", "handled"),
    *_required(JSONB(), "results", "reasons", "sample"),
)

workers = Table(
    "workers",
    metadata,
    _id(primary_key=True),
    *_required(Text(), "hostname", "kind", "version"),
    *_required(Integer(), "pid", "in_flight"),
    *_required(_MOMENT, "started_at", "heartbeat_at"),
)

notifications = Table(
    "notifications",
    metadata,
    _id(primary_key=True),
    _workspace(),
    _id("job_id"),
    _id("execution_id"),
    Column("recipients", ARRAY(Text), nullable=False),
    *_required(_MOMENT, "created_at", "due_at"),
    Column("attempts", SmallInteger, nullable=False),
    *_optional(_MOMENT, "held_until", "sent_at", "abandoned_at"),
    Column("error", Text),
    Column("delivered", ARRAY(Text), nullable=False, server_default="{}"),
    Column("refused", JSONB, nullable=False, server_default="{}"),
    Column("failures", Integer, nullable=False, server_default="1"),
    *_optional(_MOMENT, "last_failed_at", "window_ends_at"),
)


def _sums(name: str, span: str) -> Table:
    return Table(
        name,
        metadata,
        _workspace(primary_key=True),
        Column(span, _MOMENT, primary_key=True, nullable=False),
        Column("status", Text, primary_key=True, nullable=False),
        Column("executions", BigInteger, nullable=False),
        Column("duration_ms_sum", BigInteger, nullable=False),
        Column("drift_ms_sum", BigInteger, nullable=False),
        Column("drift_ms_max", Integer, nullable=False),
        Column("drift_counts", ARRAY(Integer), nullable=False),
    )


execution_stats = _sums("execution_stats", "minute")
execution_stats_hourly = _sums("execution_stats_hourly", "hour")

audit_log = Table(
    "audit_log",
    metadata,
    _id(primary_key=True),
    Column("workspace_id", Uuid(), ForeignKey("workspaces.id", ondelete="CASCADE")),
    Column("user_id", Uuid()),
    Column("key_id", Uuid()),
    *_required(Text(), "action", "subject_type"),
    _id("subject_id"),
    Column("details", JSON, nullable=False),
    Column("at", _MOMENT, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _workspace(primary_key=True),
    _user(primary_key=True),
    Column("key", Text, primary_key=True, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("finished_at", _MOMENT),
    Column("status", SmallInteger),
    Column("headers", JSONB),
    Column("body", Text),
)

test_runs = Table(
    "test_runs",
    metadata,
    _id(primary_key=True),
    _workspace(),
    *_required(Text(), "type", "status"),
    Column("payload", JSON, nullable=False),
    Column("timeout_seconds", Float, nullable=False),
    Column("result", JSON(none_as_null=True)),
    *_required(_MOMENT, "created_at", "expires_at"),
)
