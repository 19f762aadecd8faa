"""Add the index of invitations by their address, which counts those from all workspaces.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    create_index("invitations_address", "invitations", "(email_key, created_at)")


def downgrade() -> None:
    """Drop it."""
    op.get_bind().exec_driver_sql("DROP INDEX invitations_address")
