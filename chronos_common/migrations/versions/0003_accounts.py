"""Add the tables of accounts, teams and API keys.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE workspaces
    ADD default_webhook_url text,
    ADD previous_signing_secret text CHECK (previous_signing_secret LIKE 'whsec_%%'),
    ADD previous_secret_until timestamptz,
    ADD CONSTRAINT previous_secret_ends
        CHECK ((previous_signing_secret IS NULL) = (previous_secret_until IS NULL));

ALTER TABLE users
    ADD is_operator boolean NOT NULL DEFAULT false,
    ADD verified_at timestamptz;
UPDATE users SET is_operator = true
 WHERE id = (SELECT id FROM users ORDER BY created_at, id LIMIT 1);

-- Ending all logins of a user.
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX api_keys_workspace ON api_keys (workspace_id, id);

CREATE TABLE invitations (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    invited_by uuid REFERENCES users ON DELETE SET NULL,
    token_sha256 text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT accepted_or_revoked CHECK (accepted_at IS NULL OR revoked_at IS NULL)
);
CREATE INDEX invitations_workspace ON invitations (workspace_id, id);
CREATE UNIQUE INDEX invitations_token ON invitations (token_sha256);
-- One open invitation for each address.
CREATE UNIQUE INDEX invitations_open ON invitations (workspace_id, lower(email))
    WHERE accepted_at IS NULL AND revoked_at IS NULL;

CREATE TABLE email_tokens (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose text NOT NULL CHECK (purpose IN ('password_reset', 'email_verification')),
    token_sha256 text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE UNIQUE INDEX email_tokens_token ON email_tokens (token_sha256);
CREATE INDEX email_tokens_user ON email_tokens (user_id, purpose);

-- The outbox of e-mails about accounts. No letter holds a token: whoever sends it makes one, and
-- stores its hash with the invitation or the email_token.
CREATE TABLE letters (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('invitation', 'password_reset', 'email_verification')),
    subject_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts smallint NOT NULL,
    sent_at timestamptz,
    abandoned_at timestamptz,
    error text
);
CREATE INDEX letters_due ON letters (due_at) WHERE sent_at IS NULL AND abandoned_at IS NULL;

-- What happens to the installation as a whole belongs to no workspace.
ALTER TABLE audit_log ALTER workspace_id DROP NOT NULL, ADD key_id uuid;
"""
DOWNGRADE = """
DELETE FROM audit_log WHERE workspace_id IS NULL;
ALTER TABLE audit_log ALTER workspace_id SET NOT NULL, DROP key_id;
DROP TABLE letters, email_tokens, invitations;
DROP INDEX api_keys_workspace, refresh_tokens_user;
ALTER TABLE users DROP is_operator, DROP verified_at;
ALTER TABLE workspaces
    DROP CONSTRAINT previous_secret_ends,
    DROP default_webhook_url, DROP previous_signing_secret, DROP previous_secret_until;
"""


def upgrade() -> None:
    """Add the tables of accounts, teams and API keys."""
    if UPGRADE:
        op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Undo that."""
    if DOWNGRADE:
        op.get_bind().exec_driver_sql(DOWNGRADE)
