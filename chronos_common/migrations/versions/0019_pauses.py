"""Say who paused a job, why, and until when.

Revision ID: 0019
Revises: 0018
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# The index commits what stands before it, so this may run again.
COLUMNS = """
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS paused_at timestamptz,
                 ADD COLUMN IF NOT EXISTS paused_by uuid,
                 ADD COLUMN IF NOT EXISTS pause_note text,
                 ADD COLUMN IF NOT EXISTS paused_until timestamptz"""

DOWNGRADE = """
ALTER TABLE jobs DROP COLUMN paused_at, DROP COLUMN paused_by,
                 DROP COLUMN pause_note, DROP COLUMN paused_until"""


def upgrade() -> None:
    """Add the columns, and indexes of pauses that end and of deleted jobs."""
    op.get_bind().exec_driver_sql(COLUMNS)
    create_index("jobs_paused_until", "jobs", "(paused_until) WHERE paused_until IS NOT NULL")
    create_index("jobs_deleted", "jobs", "(workspace_id, id) WHERE deleted_at IS NOT NULL")


def downgrade() -> None:
    """Drop them. The first index goes with its column."""
    op.get_bind().exec_driver_sql("DROP INDEX jobs_deleted")
    op.get_bind().exec_driver_sql(DOWNGRADE)
