"""Let files own jobs, and let jobs run in shadow.

Revision ID: 0025
Revises: 0024
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# The index commits what stands before it, so this may run again.
SHADOW = "ALTER TABLE schedules ADD COLUMN IF NOT EXISTS shadow boolean NOT NULL DEFAULT false"
SCOPES = """
ALTER TABLE jobs ADD COLUMN IF NOT EXISTS scope text,
                 ADD COLUMN IF NOT EXISTS scope_key text,
                 ADD COLUMN IF NOT EXISTS applied json"""


def upgrade() -> None:
    """Add the columns, and an index by which a scope has each key once."""
    op.get_bind().exec_driver_sql(SHADOW)
    op.get_bind().exec_driver_sql(SCOPES)
    create_index(
        "jobs_scope",
        "jobs",
        "(workspace_id, scope, scope_key) WHERE scope IS NOT NULL AND deleted_at IS NULL",
        unique=True,
    )


def downgrade() -> None:
    """Drop them. The index goes with its columns."""
    op.get_bind().exec_driver_sql(
        "ALTER TABLE jobs DROP COLUMN scope, DROP COLUMN scope_key, DROP COLUMN applied"
    )
    op.get_bind().exec_driver_sql("ALTER TABLE schedules DROP COLUMN shadow")
