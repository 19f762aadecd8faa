"""Change many jobs in the background.

Revision ID: 0027
Revises: 0026
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE bulk_changes (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    created_by uuid NOT NULL,
    key_id uuid,
    created_at timestamptz NOT NULL,
    action text NOT NULL CHECK (action IN ('pause', 'resume', 'execute', 'delete', 'tag')),
    options json NOT NULL,
    filter json,
    job_ids uuid[] NOT NULL,
    matched bigint NOT NULL,
    handled bigint NOT NULL CHECK (handled BETWEEN 0 AND matched),
    results jsonb NOT NULL,
    reasons jsonb NOT NULL,
    sample jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    stopped_because text,
    next_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK ((state = 'running') = (finished_at IS NULL))
);
CREATE INDEX bulk_changes_workspace ON bulk_changes (workspace_id, id);
CREATE INDEX bulk_changes_due ON bulk_changes (next_at) WHERE state = 'running';
CREATE INDEX bulk_changes_finished ON bulk_changes (finished_at) WHERE finished_at IS NOT NULL;
"""

DOWNGRADE = "DROP TABLE bulk_changes"


def upgrade() -> None:
    """Add the table."""
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Drop it."""
    op.get_bind().exec_driver_sql(DOWNGRADE)
