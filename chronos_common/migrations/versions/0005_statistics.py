"""Add hourly statistics and the distribution of drift.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

from chronos_common.migrations.steps import create_index

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Sums by the hour, so that days are added up from few rows. The distribution of drift is stored as
# counts of exponential buckets (see domain.histograms).
UPGRADE = """
ALTER TABLE execution_stats ADD COLUMN drift_counts integer[] NOT NULL DEFAULT '{}';
ALTER TABLE execution_stats ALTER COLUMN drift_counts DROP DEFAULT;
CREATE TABLE execution_stats_hourly (
    workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    hour timestamptz NOT NULL,
    status text NOT NULL,
    executions bigint NOT NULL,
    duration_ms_sum bigint NOT NULL,
    drift_ms_sum bigint NOT NULL,
    drift_ms_max integer NOT NULL,
    drift_counts integer[] NOT NULL,
    PRIMARY KEY (workspace_id, hour, status)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
INSERT INTO execution_stats_hourly
SELECT workspace_id, date_trunc('hour', minute), status, sum(executions), sum(duration_ms_sum),
       sum(drift_ms_sum), max(drift_ms_max), '{}'
  FROM execution_stats GROUP BY 1, 2, 3;
-- For pruning: rows are added in the order of time, and no reader takes these for its own.
CREATE INDEX execution_stats_age ON execution_stats USING brin (minute);
CREATE INDEX execution_stats_hourly_age ON execution_stats_hourly USING brin (hour);
"""
DOWNGRADE = """
DROP INDEX audit_log_subject, jobs_status;
DROP TABLE execution_stats_hourly;
DROP INDEX execution_stats_age;
ALTER TABLE execution_stats DROP COLUMN drift_counts;
"""


def upgrade() -> None:
    """Add hourly statistics and the distribution of drift."""
    # How many jobs of each status a workspace has, from the index alone.
    create_index("jobs_status", "jobs", "(workspace_id, status) WHERE deleted_at IS NULL")
    # What was done to one thing.
    create_index("audit_log_subject", "audit_log", "(subject_id, id)")
    op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Undo that."""
    if DOWNGRADE:
        op.get_bind().exec_driver_sql(DOWNGRADE)
