"""Bound the values that the tables hold.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UPGRADE = """
-- Attempts are written at each execution and read rarely: json keeps the text as it comes.
ALTER TABLE executions ALTER attempts TYPE json USING CAST(CAST(attempts AS text) AS json);
-- Instants that Python cannot hold would keep a whole batch of schedules from being read.
ALTER TABLE schedules
    ADD CONSTRAINT schedules_next_run_at CHECK (
        next_run_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    ADD CONSTRAINT schedules_anchor CHECK (
        anchor BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    ADD CONSTRAINT schedules_starts_at CHECK (
        starts_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    ADD CONSTRAINT schedules_ends_at CHECK (
        ends_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'),
    ADD CONSTRAINT schedules_resumed_at CHECK (
        resumed_at BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00');
-- After a job's first failure, those of a while are told in one e-mail (storage.notifications).
ALTER TABLE notifications
    ADD failures integer NOT NULL DEFAULT 1 CHECK (failures >= 1),
    ADD last_failed_at timestamptz,
    ADD window_ends_at timestamptz;
CREATE INDEX notifications_job ON notifications (job_id, window_ends_at);
"""
DOWNGRADE = """
ALTER TABLE executions ALTER attempts TYPE jsonb USING CAST(attempts AS jsonb);
ALTER TABLE schedules
    DROP CONSTRAINT schedules_next_run_at, DROP CONSTRAINT schedules_anchor,
    DROP CONSTRAINT schedules_starts_at, DROP CONSTRAINT schedules_ends_at,
    DROP CONSTRAINT schedules_resumed_at;
DROP INDEX notifications_job;
ALTER TABLE notifications DROP failures, DROP last_failed_at, DROP window_ends_at;
"""


def upgrade() -> None:
    """Bound the values that the tables hold."""
    if UPGRADE:
        op.get_bind().exec_driver_sql(UPGRADE)


def downgrade() -> None:
    """Undo that."""
    if DOWNGRADE:
        op.get_bind().exec_driver_sql(DOWNGRADE)
