"""Keep a deleted workspace for a while, before it is purged.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the instant from which a deleted workspace is purged."""
    op.get_bind().exec_driver_sql("ALTER TABLE workspaces ADD purge_at timestamptz")


def downgrade() -> None:
    """Undo that, which brings back the workspaces that wait for it."""
    op.get_bind().exec_driver_sql("ALTER TABLE workspaces DROP purge_at")
