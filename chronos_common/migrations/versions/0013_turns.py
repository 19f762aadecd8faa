"""Add the indexes by which workspaces take turns at due schedules and executions.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

DUE = "WHERE active AND next_run_at IS NOT NULL"
WAITING = "WHERE dispatched_at IS NULL AND finished_at IS NULL"


def upgrade() -> None:
    """Add the indexes, and drop the one that knows no queue."""
    create_index("schedules_turns", "schedules", f"(workspace_id, next_run_at) {DUE}")
    create_index("executions_waiting", "executions", f"(queue, due_at) {WAITING}")
    create_index("executions_turns", "executions", f"(queue, workspace_id, due_at) {WAITING}")
    op.get_bind().exec_driver_sql("DROP INDEX executions_undispatched")


def downgrade() -> None:
    """Undo that."""
    create_index("executions_undispatched", "executions", f"(due_at) {WAITING}")
    op.get_bind().exec_driver_sql(
        "DROP INDEX executions_turns, executions_waiting, schedules_turns"
    )
