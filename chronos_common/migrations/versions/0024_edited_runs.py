"""Run an execution with a payload of its own.

Revision ID: 0024
Revises: 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE executions ADD COLUMN payload json, ADD COLUMN note text"""

DOWNGRADE = """
ALTER TABLE executions DROP COLUMN payload, DROP COLUMN note"""


def upgrade() -> None:
    """Add the columns."""
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Drop them."""
    op.get_bind().exec_driver_sql(DOWNGRADE)
