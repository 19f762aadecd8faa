"""Create every table.

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ACCOUNTS = """
CREATE TABLE workspaces (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    signing_secret text NOT NULL CHECK (signing_secret LIKE 'whsec_%%'),
    created_at timestamptz NOT NULL
);
CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz
);
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE TABLE memberships (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);
CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    prefix text NOT NULL UNIQUE,
    secret_sha256 text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
CREATE TABLE refresh_tokens (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    family_id uuid NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);
"""

JOBS = """
CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    created_by uuid REFERENCES users ON DELETE SET NULL,
    name text NOT NULL,
    description text NOT NULL,
    type text NOT NULL CHECK (type IN ('webhook', 'email', 'celery_task')),
    payload jsonb NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'paused', 'completed', 'cancelled')),
    tags text[] NOT NULL,
    notify text[],
    max_attempts smallint NOT NULL CHECK (max_attempts >= 1),
    retry_delays double precision[] NOT NULL,
    backoff_seconds double precision NOT NULL,
    backoff_factor double precision NOT NULL,
    backoff_cap_seconds double precision NOT NULL,
    retry_jitter double precision NOT NULL CHECK (retry_jitter BETWEEN 0 AND 1),
    timeout_seconds double precision NOT NULL CHECK (timeout_seconds > 0),
    overlap_policy text NOT NULL
        CHECK (overlap_policy IN ('allow', 'skip', 'queue_one', 'cancel_running')),
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz
);
CREATE INDEX jobs_workspace ON jobs (workspace_id, id) WHERE deleted_at IS NULL;

-- The hottest rows there are: written at every fire, so narrow, with room for the next version
-- on the same page.
CREATE TABLE schedules (
    job_id uuid PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    job_type text NOT NULL CHECK (job_type IN ('webhook', 'email', 'celery_task')),
    kind text NOT NULL CHECK (kind IN ('cron', 'interval', 'once')),
    expression text CHECK ((expression IS NOT NULL) = (kind = 'cron')),
    timezone text NOT NULL,
    interval_seconds integer CHECK ((interval_seconds IS NOT NULL) = (kind = 'interval')),
    anchor timestamptz CHECK (anchor IS NOT NULL OR kind = 'cron'),
    starts_at timestamptz,
    ends_at timestamptz,
    jitter_seconds double precision NOT NULL CHECK (jitter_seconds >= 0),
    max_runs integer CHECK (max_runs >= 1),
    runs_left integer CHECK (runs_left >= 0),
    misfire_policy text NOT NULL CHECK (misfire_policy IN ('run_latest', 'run_all', 'skip')),
    misfire_grace_seconds double precision NOT NULL CHECK (misfire_grace_seconds >= 0),
    active boolean NOT NULL,
    resumed_at timestamptz,
    next_run_at timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX schedules_due ON schedules (next_run_at) WHERE active AND next_run_at IS NOT NULL;
-- Schedules with nothing left to come, whose jobs are completed once their executions are.
CREATE INDEX schedules_exhausted ON schedules (job_id) WHERE active AND next_run_at IS NULL;
"""

# No index mentions status, worker_id or started_at: the claim is a heap-only update.
EXECUTIONS = """
CREATE TABLE executions (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    job_id uuid NOT NULL,
    trigger text NOT NULL CHECK (trigger IN ('schedule', 'manual', 'retry')),
    status text NOT NULL CHECK (status IN
        ('queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled', 'skipped')),
    queue text NOT NULL,
    scheduled_for timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    dispatched_at timestamptz,
    claimed_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    worker_id uuid,
    duration_ms integer,
    missed_count bigint,
    missed_until timestamptz,
    retry_of uuid,
    attempt smallint NOT NULL CHECK (attempt >= 1),
    redeliveries smallint NOT NULL CHECK (redeliveries >= 0),
    http_status smallint,
    error text,
    reason text,
    attempts jsonb NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT final_is_finished CHECK (
        (status IN ('succeeded', 'failed', 'cancelled', 'skipped')) = (finished_at IS NOT NULL)),
    CONSTRAINT running_has_worker CHECK (status <> 'running' OR worker_id IS NOT NULL),
    CONSTRAINT succeeded_has_started CHECK (status <> 'succeeded' OR started_at IS NOT NULL),
    CONSTRAINT not_run_has_reason CHECK (
        status NOT IN ('cancelled', 'skipped') OR reason IS NOT NULL),
    CONSTRAINT retrying_is_not_dispatched CHECK (status <> 'retrying' OR dispatched_at IS NULL)
) PARTITION BY RANGE (id);
CREATE INDEX executions_job ON executions (job_id, id);
CREATE INDEX executions_unfinished ON executions (due_at) WHERE finished_at IS NULL;
-- What is not with a worker yet: retries, triggers, what back-pressure or rescue held back.
CREATE INDEX executions_undispatched ON executions (due_at)
    WHERE dispatched_at IS NULL AND finished_at IS NULL;
-- Days without a partition of their own (long missed occurrences) must not stop a plan.
CREATE TABLE executions_default PARTITION OF executions DEFAULT
    WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
"""

REST = """
CREATE TABLE workers (
    id uuid PRIMARY KEY,
    hostname text NOT NULL,
    pid integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('worker', 'scheduler')),
    version text NOT NULL,
    started_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    in_flight integer NOT NULL
);
CREATE TABLE notifications (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    job_id uuid NOT NULL,
    execution_id uuid NOT NULL UNIQUE,
    recipients text[] NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts smallint NOT NULL,
    sent_at timestamptz,
    abandoned_at timestamptz,
    error text
);
CREATE INDEX notifications_due ON notifications (due_at)
    WHERE sent_at IS NULL AND abandoned_at IS NULL;
CREATE TABLE execution_stats (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    minute timestamptz NOT NULL,
    status text NOT NULL,
    executions bigint NOT NULL,
    duration_ms_sum bigint NOT NULL,
    drift_ms_sum bigint NOT NULL,
    drift_ms_max integer NOT NULL,
    PRIMARY KEY (workspace_id, minute, status)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
CREATE TABLE audit_log (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid,
    action text NOT NULL,
    subject_type text NOT NULL,
    subject_id uuid NOT NULL,
    details jsonb NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX audit_log_workspace ON audit_log (workspace_id, id);
"""

TABLES = (
    "audit_log",
    "execution_stats",
    "notifications",
    "workers",
    "executions",
    "schedules",
    "jobs",
    "refresh_tokens",
    "api_keys",
    "memberships",
    "users",
    "workspaces",
)


def upgrade() -> None:
    """Create the tables, indexes and constraints."""
    for statements in (ACCOUNTS, JOBS, EXECUTIONS, REST):
        op.get_bind().exec_driver_sql(statements)


def downgrade() -> None:
    """Drop everything."""
    names = ", ".join(TABLES)
    op.get_bind().exec_driver_sql(f"DROP TABLE {names}")
