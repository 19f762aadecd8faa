"""Add indexes of executions that are unlike the others.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# A claim changes none of these columns, so that it stays a heap-only update. The ordinary success
# of a schedule, which is nearly every row, is not in the index.
UNUSUAL = """
    WHERE trigger <> 'schedule' OR reason IS NOT NULL OR error IS NOT NULL
       OR http_status NOT BETWEEN 200 AND 299"""


def upgrade() -> None:
    """Add them, partition by partition."""
    create_index("executions_unusual", "executions", f"(workspace_id, id) {UNUSUAL}")
    create_index("executions_unusual_job", "executions", f"(job_id, id) {UNUSUAL}")


def downgrade() -> None:
    """Drop them."""
    op.get_bind().exec_driver_sql("DROP INDEX executions_unusual, executions_unusual_job")
