"""Resolve failures, and replay executions.

Revision ID: 0021
Revises: 0020
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# The index commits what stands before it, so this may run again.
COLUMNS = """
ALTER TABLE executions ADD COLUMN IF NOT EXISTS replay_id uuid,
                       ADD COLUMN IF NOT EXISTS logical_for timestamptz,
                       ADD COLUMN IF NOT EXISTS resolution text,
                       ADD COLUMN IF NOT EXISTS resolved_at timestamptz,
                       ADD COLUMN IF NOT EXISTS resolved_by uuid"""

REPLAYS = """
CREATE TABLE replays (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    created_by uuid,
    created_at timestamptz NOT NULL,
    ids uuid[],
    filter json NOT NULL,
    as_of timestamptz NOT NULL,
    note text,
    rate_per_second double precision NOT NULL CHECK (rate_per_second > 0),
    oldest_first boolean NOT NULL,
    matched bigint NOT NULL,
    matched_is_exact boolean NOT NULL,
    cursor uuid,
    created bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    state text NOT NULL CHECK (state IN ('running', 'paused', 'done', 'cancelled')),
    stopped_because text,
    next_at timestamptz NOT NULL,
    resumed_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK ((state IN ('done', 'cancelled')) = (finished_at IS NOT NULL))
);
CREATE INDEX replays_workspace ON replays (workspace_id, id);
CREATE INDEX replays_due ON replays (next_at) WHERE state = 'running';
CREATE INDEX replays_finished ON replays (finished_at) WHERE finished_at IS NOT NULL;
"""

DOWNGRADE = """
DROP TABLE replays;
ALTER TABLE executions DROP COLUMN replay_id, DROP COLUMN logical_for, DROP COLUMN resolution,
                       DROP COLUMN resolved_at, DROP COLUMN resolved_by;
"""


def upgrade() -> None:
    """Add the columns, the index of a replay's executions, and the table."""
    op.get_bind().exec_driver_sql(COLUMNS)
    create_index(
        "executions_replay", "executions", "(replay_id, scheduled_for) WHERE replay_id IS NOT NULL"
    )
    op.get_bind().exec_driver_sql(REPLAYS)


def downgrade() -> None:
    """Drop them. The index goes with its column."""
    op.get_bind().exec_driver_sql(DOWNGRADE)
