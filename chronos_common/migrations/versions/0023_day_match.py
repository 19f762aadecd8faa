"""Say whether day of month and day of week must both match.

Revision ID: 0023
Revises: 0022
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# Each row has the same value, so no row is written or read.
COLUMN = "ALTER TABLE schedules ADD COLUMN day_match text NOT NULL DEFAULT 'any'"

DOWNGRADE = "ALTER TABLE schedules DROP COLUMN day_match"


def upgrade() -> None:
    """Add the column."""
    op.execute(COLUMN)


def downgrade() -> None:
    """Drop it."""
    op.execute(DOWNGRADE)
