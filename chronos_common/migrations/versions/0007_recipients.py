"""Add the result for each recipient of an e-mail, and the worker that is sending it.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Whoever has the mail gets it no second time, and whom the mail server refused for good none.
# While a worker sends an e-mail, or it waits for its next attempt, nobody else takes it.
UPGRADE = """
ALTER TABLE notifications ADD COLUMN delivered text[] NOT NULL DEFAULT '{}',
                          ADD COLUMN refused jsonb NOT NULL DEFAULT '{}',
                          ADD COLUMN held_until timestamptz;
ALTER TABLE letters ADD COLUMN held_until timestamptz;
"""
DOWNGRADE = """
ALTER TABLE letters DROP COLUMN held_until;
ALTER TABLE notifications DROP COLUMN delivered, DROP COLUMN refused, DROP COLUMN held_until;
"""


def upgrade() -> None:
    """Add the columns."""
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Remove them."""
    op.get_bind().exec_driver_sql(DOWNGRADE)
