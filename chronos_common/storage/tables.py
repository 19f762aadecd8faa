"""The tables, as SQLAlchemy sees them. ``migrations`` creates them, and a test compares both.

``schedules`` is narrow because it is written at every fire. ``jobs`` is wide and rarely written.
``executions`` is partitioned by day on its id (see ``chronos_common.ids``), so that retention
drops a partition. Its attempts are a JSON array on the row: one write records an attempt.
Payloads of users are json and not jsonb, which would sort their members.

The columns of a job's definition follow from the fields of its classes in the domain.
"""

from typing import get_type_hints

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
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

from chronos_common.domain.jobs import JobDefinition, SchedulerFields
from chronos_common.domain.retries import RetryPolicy
from chronos_common.domain.schedules.schedule import Schedule
from chronos_common.storage.postgres.columns import (
    MOMENT,
    email_key_column,
    id_column,
    optional,
    required,
    user_column,
    workspace_column,
)
from chronos_common.storage.postgres.field_columns import of_fields

metadata = MetaData()

workspaces = Table(
    "workspaces",
    metadata,
    id_column(primary_key=True),
    *required(Text(), "name", "signing_secret"),
    Column("previous_signing_secret", Text),
    Column("previous_secret_until", MOMENT),
    Column("default_webhook_url", Text),
    Column("created_at", MOMENT, nullable=False),
    Column("purge_at", MOMENT),
)

users = Table(
    "users",
    metadata,
    id_column(primary_key=True),
    Column("email", Text, nullable=False),
    email_key_column(),
    Column("password_hash", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    *optional(MOMENT, "disabled_at", "verified_at"),
    Column("is_operator", Boolean, nullable=False),
)

user_preferences = Table(
    "user_preferences",
    metadata,
    user_column(primary_key=True),
    Column("preferences", JSONB, nullable=False),
)

workspace_quotas = Table(
    "workspace_quotas",
    metadata,
    workspace_column(primary_key=True),
    Column("quota", Text, primary_key=True, nullable=False),
    Column("used", BigInteger, nullable=False, server_default="0"),
    Column("bound", BigInteger),
    Column("day", Date),
)

memberships = Table(
    "memberships",
    metadata,
    workspace_column(primary_key=True),
    user_column(primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
)

second_factors = Table(
    "second_factors",
    metadata,
    user_column(primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("confirmed_at", MOMENT),
    Column("last_step", BigInteger, nullable=False),
    Column("recovery_sha256", ARRAY(Text), nullable=False, server_default="{}"),
)

api_keys = Table(
    "api_keys",
    metadata,
    id_column(primary_key=True),
    workspace_column(),
    user_column(),
    *required(Text(), "name", "prefix", "secret_sha256"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    *optional(MOMENT, "expires_at", "last_used_at", "revoked_at"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    id_column(primary_key=True),
    user_column(),
    id_column("family_id"),
    *required(MOMENT, "issued_at", "expires_at"),
    *optional(MOMENT, "used_at", "revoked_at"),
    *optional(Text(), "user_agent", "address"),
)

invitations = Table(
    "invitations",
    metadata,
    id_column(primary_key=True),
    workspace_column(),
    Column("email", Text, nullable=False),
    email_key_column(),
    Column("role", Text, nullable=False),
    Column("invited_by", Uuid(), ForeignKey("users.id", ondelete="SET NULL")),
    Column("token_sha256", Text),
    *required(MOMENT, "created_at", "expires_at"),
    *optional(MOMENT, "accepted_at", "revoked_at"),
)

email_tokens = Table(
    "email_tokens",
    metadata,
    id_column(primary_key=True),
    user_column(),
    Column("purpose", Text, nullable=False),
    Column("token_sha256", Text),
    *required(MOMENT, "created_at", "expires_at"),
    Column("used_at", MOMENT),
)

registrations = Table(
    "registrations",
    metadata,
    id_column(primary_key=True),
    Column("email", Text, nullable=False),
    email_key_column(),
    Column("password_hash", Text, nullable=False),
    Column("token_sha256", Text),
    *required(MOMENT, "created_at", "expires_at"),
)

device_logins = Table(
    "device_logins",
    metadata,
    id_column(primary_key=True),
    *required(Text(), "device_sha256", "user_code", "name"),
    Column("address", Text),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("decision", Text, nullable=False),
    Column("user_id", Uuid(), ForeignKey("users.id", ondelete="CASCADE")),
    Column("family_id", Uuid()),
    Column("workspace_id", Uuid(), ForeignKey("workspaces.id", ondelete="CASCADE")),
    Column("key_expires_at", MOMENT),
    Column("interval_seconds", SmallInteger, nullable=False),
    Column("polled_at", MOMENT),
    *required(MOMENT, "created_at", "expires_at"),
)

letters = Table(
    "letters",
    metadata,
    id_column(primary_key=True),
    Column("kind", Text, nullable=False),
    id_column("subject_id"),
    *required(MOMENT, "created_at", "due_at"),
    Column("attempts", SmallInteger, nullable=False),
    *optional(MOMENT, "held_until", "sent_at", "abandoned_at"),
    Column("error", Text),
)

jobs = Table(
    "jobs",
    metadata,
    id_column(primary_key=True),
    workspace_column(),
    Column("created_by", Uuid(), ForeignKey("users.id", ondelete="SET NULL")),
    *of_fields(JobDefinition, without={"policy", *get_type_hints(SchedulerFields)}),
    *of_fields(RetryPolicy, max_attempts=SmallInteger()),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    *required(MOMENT, "created_at", "updated_at"),
    *optional(MOMENT, "deleted_at", "paused_at", "paused_until"),
    Column("paused_by", Uuid()),
    *optional(Text(), "pause_note", "scope", "scope_key"),
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
    workspace_column(),
    # The offset of the jitter follows from jitter_seconds and the job's id.
    *of_fields(Schedule, without={"jitter"}),
    *of_fields(SchedulerFields, without={"schedule"}),
    Column("job_type", Text, nullable=False),
    Column("runs_left", Integer),
    Column("active", Boolean, nullable=False),
    *optional(MOMENT, "resumed_at", "next_run_at"),
    Column("zone_rules", BigInteger),
)

zone_databases = Table(
    "zone_databases",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("archive", LargeBinary, nullable=False),
    Column("adopted_at", MOMENT),
)

executions = Table(
    "executions",
    metadata,
    id_column(primary_key=True),
    id_column("workspace_id"),
    id_column("job_id"),
    *required(Text(), "trigger", "status", "queue"),
    *required(MOMENT, "scheduled_for", "due_at"),
    *optional(MOMENT, "dispatched_at", "claimed_at", "started_at", "finished_at"),
    *optional(Uuid(), "worker_id", "replay_id", "resolved_by"),
    *optional(MOMENT, "logical_for", "resolved_at"),
    *optional(Text(), "resolution", "note"),
    Column("payload", JSON(none_as_null=True)),
    Column("duration_ms", Integer),
    Column("missed_count", BigInteger),
    Column("missed_until", MOMENT),
    Column("retry_of", Uuid()),
    *required(SmallInteger(), "attempt", "redeliveries"),
    Column("http_status", SmallInteger),
    *optional(Text(), "error", "reason"),
    Column("attempts", JSON, nullable=False),
)

replays = Table(
    "replays",
    metadata,
    id_column(primary_key=True),
    workspace_column(),
    *required(MOMENT, "created_at", "as_of", "next_at", "resumed_at", "updated_at"),
    *optional(MOMENT, "finished_at"),
    *optional(Uuid(), "created_by", "cursor"),
    *required(Text(), "state"),
    *optional(Text(), "note", "stopped_because"),
    Column("ids", ARRAY(Uuid())),
    *required(JSON(), "filter"),
    *required(Float(), "rate_per_second"),
    *required(Boolean(), "oldest_first", "matched_is_exact"),
    *required(BigInteger(), "matched", "created", "refused"),
)

bulk_changes = Table(
    "bulk_changes",
    metadata,
    id_column(primary_key=True),
    workspace_column(),
    *required(MOMENT, "created_at", "next_at", "updated_at"),
    *optional(MOMENT, "finished_at"),
    id_column("created_by"),
    *optional(Uuid(), "key_id"),
    *required(Text(), "action", "state"),
    *optional(Text(), "stopped_because"),
    *required(JSON(), "options"),
    Column("filter", JSON(none_as_null=True)),
    Column("job_ids", ARRAY(Uuid()), nullable=False),
    *required(BigInteger(), "matched", "handled"),
    *required(JSONB(), "results", "reasons", "sample"),
)

workers = Table(
    "workers",
    metadata,
    id_column(primary_key=True),
    *required(Text(), "hostname", "kind", "version"),
    *required(Integer(), "pid", "in_flight"),
    *required(MOMENT, "started_at", "heartbeat_at"),
)

notifications = Table(
    "notifications",
    metadata,
    id_column(primary_key=True),
    workspace_column(),
    id_column("job_id"),
    id_column("execution_id"),
    Column("recipients", ARRAY(Text), nullable=False),
    *required(MOMENT, "created_at", "due_at"),
    Column("attempts", SmallInteger, nullable=False),
    *optional(MOMENT, "held_until", "sent_at", "abandoned_at"),
    Column("error", Text),
    Column("delivered", ARRAY(Text), nullable=False, server_default="{}"),
    Column("refused", JSONB, nullable=False, server_default="{}"),
    Column("failures", Integer, nullable=False, server_default="1"),
    *optional(MOMENT, "last_failed_at", "window_ends_at"),
)


def _sums(name: str, span: str) -> Table:
    return Table(
        name,
        metadata,
        workspace_column(primary_key=True),
        Column(span, MOMENT, primary_key=True, nullable=False),
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
    id_column(primary_key=True),
    Column("workspace_id", Uuid(), ForeignKey("workspaces.id", ondelete="CASCADE")),
    Column("user_id", Uuid()),
    Column("key_id", Uuid()),
    *required(Text(), "action", "subject_type"),
    id_column("subject_id"),
    Column("details", JSON, nullable=False),
    Column("at", MOMENT, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    workspace_column(primary_key=True),
    user_column(primary_key=True),
    Column("key", Text, primary_key=True, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("finished_at", MOMENT),
    Column("status", SmallInteger),
    Column("headers", JSONB),
    Column("body", Text),
)

test_runs = Table(
    "test_runs",
    metadata,
    id_column(primary_key=True),
    workspace_column(),
    *required(Text(), "type", "status"),
    Column("payload", JSON, nullable=False),
    Column("timeout_seconds", Float, nullable=False),
    Column("result", JSON(none_as_null=True)),
    *required(MOMENT, "created_at", "expires_at"),
)
