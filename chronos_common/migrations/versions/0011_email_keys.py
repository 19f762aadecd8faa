"""Find accounts and invitations by a form of the address that no locale changes.

Revision ID: 0011
Revises: 0010
"""

import idna
from alembic import op
from sqlalchemy import Connection, text

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# lower() depends on the locale of the database: with "C" it leaves "Ü" as it is, in Turkish it
# makes another letter of "I". In the collation "C" it changes the letters of ASCII, and addresses
# have no others: the API writes the domain in ASCII.
UPGRADE = """
ALTER TABLE users
    ADD email_key text NOT NULL GENERATED ALWAYS AS (lower(email COLLATE "C")) STORED;
CREATE UNIQUE INDEX users_email ON users (email_key);

ALTER TABLE invitations
    ADD email_key text NOT NULL GENERATED ALWAYS AS (lower(email COLLATE "C")) STORED;
CREATE UNIQUE INDEX invitations_open ON invitations (workspace_id, email_key)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
-- Ending what a user made.
CREATE INDEX api_keys_user ON api_keys (user_id) WHERE revoked_at IS NULL;
CREATE INDEX invitations_inviter ON invitations (invited_by)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
"""
DOWNGRADE = """
DROP INDEX invitations_inviter, api_keys_user, invitations_open, users_email;
ALTER TABLE invitations DROP email_key;
CREATE UNIQUE INDEX invitations_open ON invitations (workspace_id, lower(email))
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
ALTER TABLE users DROP email_key;
CREATE UNIQUE INDEX users_email ON users (lower(email));
"""

# Of several accounts that turn out to have one address, the first of these keeps it. The others
# cannot log in any more. The operator sees them in the list of accounts.
_SEPARATE_ACCOUNTS = """
WITH ranked AS (
    SELECT id, row_number() OVER (
               PARTITION BY lower(email COLLATE "C")
               ORDER BY disabled_at IS NOT NULL, verified_at IS NULL, created_at, id) AS place
      FROM users)
UPDATE users u
   SET email = split_part(u.email, '@', 1) || '+duplicate-' || u.id || '@'
               || split_part(u.email, '@', 2),
       disabled_at = COALESCE(u.disabled_at, now())
  FROM ranked r WHERE r.id = u.id AND r.place > 1
"""
_SEPARATE_INVITATIONS = """
WITH ranked AS (
    SELECT id, row_number() OVER (
               PARTITION BY workspace_id, lower(email COLLATE "C")
               ORDER BY created_at DESC, id DESC) AS place
      FROM invitations WHERE accepted_at IS NULL AND revoked_at IS NULL)
UPDATE invitations i SET revoked_at = now()
  FROM ranked r WHERE r.id = i.id AND r.place > 1
"""


def upgrade() -> None:
    """Write every domain in ASCII, keep one account for each address, and add the columns."""
    connection = op.get_bind()
    # Two spellings of one address differ for the old index until the new one is there.
    connection.exec_driver_sql("DROP INDEX users_email, invitations_open")
    for table in ("users", "invitations"):
        _write_domains_in_ascii(connection, table)
    connection.exec_driver_sql(_SEPARATE_ACCOUNTS)
    connection.exec_driver_sql(_SEPARATE_INVITATIONS)
    connection.exec_driver_sql(UPGRADE)


def _write_domains_in_ascii(connection: Connection, table: str) -> None:
    rows = connection.execute(text(f"SELECT id, email FROM {table}")).all()  # noqa: S608 - ours
    change = text(f"UPDATE {table} SET email = :email WHERE id = :id")  # noqa: S608 - ours
    for row in rows:
        local, _, domain = row.email.rpartition("@")
        if not domain.isascii():
            try:
                ascii_domain = idna.encode(domain, uts46=True).decode()
            except idna.IDNAError:
                continue  # no mail server has that name
            connection.execute(change, {"id": row.id, "email": f"{local}@{ascii_domain}"})


def downgrade() -> None:
    """Undo that, except for the addresses."""
    op.get_bind().exec_driver_sql(DOWNGRADE)
