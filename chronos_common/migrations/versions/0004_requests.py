"""Add indexes of lists, idempotent requests and test runs.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TERMS = """
-- What a search finds a job by: every three characters in a row of its texts, in small letters,
-- its tags, and its workspace, which keeps the others' jobs out of the search. An index on this
-- finds any part of a text without an extension. The costs keep the planner from ever calling it
-- for each row of a list instead of reading the index.
CREATE OR REPLACE FUNCTION job_terms(workspace_id uuid, words text, tags text[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 10000 AS $$
BEGIN
    RETURN ARRAY(
               SELECT DISTINCT gram COLLATE "C" FROM (
                   SELECT letter || lead(letter) OVER following || lead(letter, 2) OVER following
                     FROM string_to_table(lower(words), NULL)
                          WITH ORDINALITY AS letters (letter, place)
                   WINDOW following AS (ORDER BY place)) AS grams (gram)
                WHERE gram IS NOT NULL)
        || ARRAY(SELECT 'tag:' || tag FROM unnest(tags) AS given (tag))
        || workspace_id::text;
END $$;
"""
# With the deleted ones: of a partial index the planner does not use the statistics.
OF_TERMS = "USING gin (job_terms(workspace_id, name || chr(10) || description, tags))"
UPGRADE = """
CREATE TABLE idempotency_keys (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    key text NOT NULL,
    fingerprint text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    status smallint,
    headers jsonb,
    body text,
    PRIMARY KEY (workspace_id, user_id, key),
    CONSTRAINT finished_has_status CHECK ((finished_at IS NULL) = (status IS NULL))
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE test_runs (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    type text NOT NULL CHECK (type IN ('webhook', 'email', 'celery_task')),
    payload jsonb NOT NULL,
    timeout_seconds double precision NOT NULL CHECK (timeout_seconds > 0),
    status text NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
    result jsonb,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT final_has_result
        CHECK ((status IN ('succeeded', 'failed')) = (result IS NOT NULL))
);
CREATE INDEX test_runs_expiry ON test_runs (expires_at);
"""
DOWNGRADE = """
DROP TABLE test_runs, idempotency_keys;
DROP INDEX executions_workspace, jobs_updated, jobs_name, jobs_terms;
DROP FUNCTION job_terms(uuid, text, text[]);
"""


def upgrade() -> None:
    """Add indexes of lists, idempotent requests and test runs."""
    op.get_bind().exec_driver_sql(TERMS)
    create_index("jobs_terms", "jobs", OF_TERMS)
    create_index("jobs_name", "jobs", "(workspace_id, name, id) WHERE deleted_at IS NULL")
    create_index("jobs_updated", "jobs", "(workspace_id, updated_at, id) WHERE deleted_at IS NULL")
    create_index("executions_workspace", "executions", "(workspace_id, id)")
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Undo that."""
    if DOWNGRADE:
        op.get_bind().exec_driver_sql(DOWNGRADE)
