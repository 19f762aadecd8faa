"""Count the jobs, payloads and runs that workspaces have already.

Revision ID: 0017
Revises: 0016
"""

from collections import Counter
from uuid import UUID

from alembic import op
from sqlalchemy import text

from chronos_common.domain.schedules.schedule import runs_per_day

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_COUNT = text("""
    INSERT INTO workspace_quotas (workspace_id, quota, used)
    SELECT workspace_id, quota, used
      FROM (SELECT workspace_id, count(*) AS jobs,
                   sum(octet_length(CAST(payload AS text))) AS job_bytes
              FROM jobs WHERE deleted_at IS NULL GROUP BY workspace_id) AS sums,
           LATERAL (VALUES ('jobs', jobs), ('job_bytes', job_bytes)) AS each (quota, used)
    ON CONFLICT (workspace_id, quota) DO UPDATE SET used = excluded.used""")
_SCHEDULES = text("""
    SELECT workspace_id, kind, expression, interval_seconds, count(*) AS schedules
      FROM schedules WHERE active
     GROUP BY workspace_id, kind, expression, interval_seconds""")
_RUNS = text("""
    INSERT INTO workspace_quotas (workspace_id, quota, used)
    VALUES (:workspace_id, 'runs_per_day', :used)
    ON CONFLICT (workspace_id, quota) DO UPDATE SET used = excluded.used""")


def upgrade() -> None:
    """Count them."""
    connection = op.get_bind()
    connection.execute(_COUNT)
    runs: Counter[UUID] = Counter()
    for row in connection.execute(_SCHEDULES):
        runs[row.workspace_id] += row.schedules * runs_per_day(
            row.kind, row.expression, row.interval_seconds
        )
    for workspace_id, used in runs.items():
        connection.execute(_RUNS, {"workspace_id": workspace_id, "used": used})


def downgrade() -> None:
    """Forget them."""
    op.get_bind().exec_driver_sql(
        "DELETE FROM workspace_quotas WHERE quota IN ('jobs', 'job_bytes', 'runs_per_day')"
        " AND bound IS NULL"
    )
