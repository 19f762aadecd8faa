"""Leave it to the program which types of jobs there are.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# A type is declared in domain.payloads. The API refuses others before they are stored, and workers
# fail the executions of a stored type that they do not know.
UPGRADE = """
ALTER TABLE jobs DROP CONSTRAINT jobs_type_check;
ALTER TABLE schedules DROP CONSTRAINT schedules_job_type_check;
ALTER TABLE test_runs DROP CONSTRAINT test_runs_type_check;
"""
# Fails while there are jobs of other types, which the release before would not understand.
DOWNGRADE = """
DELETE FROM test_runs WHERE type NOT IN ('webhook', 'email', 'celery_task');
ALTER TABLE test_runs ADD CONSTRAINT test_runs_type_check
    CHECK (type IN ('webhook', 'email', 'celery_task'));
ALTER TABLE schedules ADD CONSTRAINT schedules_job_type_check
    CHECK (job_type IN ('webhook', 'email', 'celery_task'));
ALTER TABLE jobs ADD CONSTRAINT jobs_type_check
    CHECK (type IN ('webhook', 'email', 'celery_task'));
"""


def upgrade() -> None:
    """Drop the lists of types."""
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Undo that."""
    op.get_bind().exec_driver_sql(DOWNGRADE)
