"""Remember the rules of time zones that stored instants were computed with.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# zone_rules is the mark of the rules (see domain.timezones.files) with which next_run_at was
# computed. It is null for schedules without a zone, and for those of earlier releases. The
# archives hold the rules themselves, so that instants can be explained after an update.
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
