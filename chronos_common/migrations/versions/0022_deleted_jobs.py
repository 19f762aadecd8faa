"""Find deleted jobs that are past their retention.

Revision ID: 0022
Revises: 0021
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    create_index("jobs_deleted_age", "jobs", "(deleted_at) WHERE deleted_at IS NOT NULL")


def downgrade() -> None:
    """Drop it."""
    op.get_bind().exec_driver_sql("DROP INDEX jobs_deleted_age")
