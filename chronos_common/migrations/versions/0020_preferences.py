"""Keep how each user likes the dashboard, and from where logins came.

Revision ID: 0020
Revises: 0019
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE user_preferences (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    preferences jsonb NOT NULL
)"""
COLUMNS = """
ALTER TABLE refresh_tokens ADD COLUMN user_agent text, ADD COLUMN address text"""


def upgrade() -> None:
    """Add the table and the columns."""
    op.get_bind().exec_driver_sql(TABLE)
    op.get_bind().exec_driver_sql(COLUMNS)


def downgrade() -> None:
    """Drop them."""
    op.get_bind().exec_driver_sql("DROP TABLE user_preferences")
    op.get_bind().exec_driver_sql(
        "ALTER TABLE refresh_tokens DROP COLUMN user_agent, DROP COLUMN address"
    )
