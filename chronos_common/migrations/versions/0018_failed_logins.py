"""Count the failed logins of an account.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Small, because few entries of the log are failed logins, and each account has a bound.
FAILED = "(subject_id, id) WHERE action = 'user.login_failed'"


def upgrade() -> None:
    """Add the index."""
    create_index("audit_failed_logins", "audit_log", FAILED)


def downgrade() -> None:
    """Drop it."""
    op.get_bind().exec_driver_sql("DROP INDEX audit_failed_logins")
