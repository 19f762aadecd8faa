"""Count what each workspace uses.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# A bound is null where the setting's counts. The row of a quota is written at every use, so that
# pages have room for heap-only updates.
UPGRADE = """
CREATE TABLE workspace_quotas (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    quota text NOT NULL,
    used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    bound bigint CHECK (bound >= 0),
    day date,
    PRIMARY KEY (workspace_id, quota)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
"""
DOWNGRADE = """
DROP TABLE workspace_quotas;
"""


def upgrade() -> None:
    """Add the uses and bounds of workspaces."""
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Undo that."""
    op.get_bind().exec_driver_sql(DOWNGRADE)
