"""Keep a registration apart from the accounts until its e-mail was read.

Revision ID: 0014
Revises: 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE registrations (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    email_key text NOT NULL GENERATED ALWAYS AS (lower(email COLLATE "C")) STORED,
    password_hash text NOT NULL,
    token_sha256 text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX registrations_token ON registrations (token_sha256);
CREATE INDEX registrations_email ON registrations (email_key, created_at);

ALTER TABLE letters DROP CONSTRAINT letters_kind_check;
ALTER TABLE letters ADD CONSTRAINT letters_kind_check CHECK (
    kind IN ('invitation', 'password_reset', 'email_verification', 'registration'));
"""
DOWNGRADE = """
DELETE FROM letters WHERE kind = 'registration';
ALTER TABLE letters DROP CONSTRAINT letters_kind_check;
ALTER TABLE letters ADD CONSTRAINT letters_kind_check CHECK (
    kind IN ('invitation', 'password_reset', 'email_verification'));
DROP TABLE registrations;
"""


def upgrade() -> None:
    """Add the table, and the kind of its e-mails."""
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Undo that."""
    op.get_bind().exec_driver_sql(DOWNGRADE)
