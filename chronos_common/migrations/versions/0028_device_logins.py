"""Logins of programs that a person approves in the dashboard.

Revision ID: 0028
Revises: 0027
"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE device_logins (
    id uuid PRIMARY KEY,
    device_sha256 text NOT NULL,
    user_code text NOT NULL,
    name text NOT NULL,
    address text,
    scopes text[] NOT NULL,
    decision text NOT NULL CHECK (decision IN ('pending', 'approved', 'refused')),
    user_id uuid REFERENCES users ON DELETE CASCADE,
    family_id uuid,
    workspace_id uuid REFERENCES workspaces ON DELETE CASCADE,
    key_expires_at timestamptz,
    interval_seconds smallint NOT NULL,
    polled_at timestamptz,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT device_logins_approver CHECK (
        decision <> 'approved' OR num_nulls(user_id, family_id, workspace_id) = 0)
);
CREATE UNIQUE INDEX device_logins_device ON device_logins (device_sha256);
CREATE UNIQUE INDEX device_logins_user_code ON device_logins (user_code);
"""


def upgrade() -> None:
    """Create the table."""
    op.get_bind().exec_driver_sql(TABLE)


def downgrade() -> None:
    """Drop it."""
    op.get_bind().exec_driver_sql("DROP TABLE device_logins")
