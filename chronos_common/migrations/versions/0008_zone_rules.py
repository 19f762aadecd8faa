"""Remember the rules of time zones that stored instants were computed with.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# zone_rules is the mark of the rules (see domain.zone_files) that next_run_at was computed with;
# null for schedules that no zone matters to, and for those of earlier releases. The archives hold
# the rules themselves, so that what was computed with them can be understood after an update.
UPGRADE = """
CREATE TABLE zone_databases (
    digest text PRIMARY KEY,
    version text NOT NULL,
    archive bytea NOT NULL,
    adopted_at timestamptz
);
ALTER TABLE schedules ADD COLUMN zone_rules bigint;
"""
DOWNGRADE = """
ALTER TABLE schedules DROP COLUMN zone_rules;
DROP TABLE zone_databases;
"""


def upgrade() -> None:
    """Add the rules of zones."""
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Undo that."""
    op.get_bind().exec_driver_sql(DOWNGRADE)
