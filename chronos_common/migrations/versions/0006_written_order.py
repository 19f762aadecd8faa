"""Keep payloads in the order in which they were written.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# jsonb sorts the members of an object, and json keeps the text as it comes.
UPGRADE = """
ALTER TABLE jobs ALTER payload TYPE json USING CAST(CAST(payload AS text) AS json);
ALTER TABLE audit_log ALTER details TYPE json USING CAST(CAST(details AS text) AS json);
ALTER TABLE test_runs
    ALTER payload TYPE json USING CAST(CAST(payload AS text) AS json),
    ALTER result TYPE json USING CAST(CAST(result AS text) AS json);
-- Names and tags are looked up composed (NFC), so that they have to be stored so. Only databases
-- in UTF-8 know what that is.
DO $$ BEGIN
    IF current_setting('server_encoding') = 'UTF8' THEN
        UPDATE jobs SET name = normalize(name), description = normalize(description)
         WHERE name IS NOT NORMALIZED OR description IS NOT NORMALIZED;
        UPDATE jobs SET tags = ARRAY(
            SELECT normalize(t.tag) FROM unnest(tags) WITH ORDINALITY AS t (tag, place)
             ORDER BY t.place)
         WHERE array_to_string(tags, ' ') IS NOT NORMALIZED;
    END IF;
END $$;
"""
DOWNGRADE = """
ALTER TABLE jobs ALTER payload TYPE jsonb USING CAST(payload AS jsonb);
ALTER TABLE audit_log ALTER details TYPE jsonb USING CAST(details AS jsonb);
ALTER TABLE test_runs
    ALTER payload TYPE jsonb USING CAST(payload AS jsonb),
    ALTER result TYPE jsonb USING CAST(result AS jsonb);
"""


def upgrade() -> None:
    """Keep payloads in the order in which they were written."""
    if UPGRADE:
        op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Undo that."""
    if DOWNGRADE:
        op.get_bind().exec_driver_sql(DOWNGRADE)
