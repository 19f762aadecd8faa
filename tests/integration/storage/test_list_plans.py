"""What lists read: plans of their statements on many rows, with PostgreSQL's own counts."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, event, text

from chronos_common import clock, ids
from chronos_common.domain.statuses import Status, Trigger
from chronos_common.storage.executions import filters as history_filters
from chronos_common.storage.executions import history
from chronos_common.storage.executions.filters import HistoryFilter
from chronos_common.storage.jobs import lists
from chronos_common.storage.jobs.filters import JobFilter
from chronos_common.storage.jobs.lists import Part
from chronos_common.storage.postgres.database import connect

MANY = """
    INSERT INTO jobs (id, workspace_id, name, description, type, payload, status, tags,
        max_attempts, retry_delays, backoff_seconds, backoff_factor, backoff_cap_seconds,
        retry_jitter, timeout_seconds, overlap_policy, version, created_at, updated_at)
    SELECT CAST(lpad(to_hex(1780000000000 + n), 12, '0') || '70008' || substr(md5(n || ''), 1, 15)
           AS uuid), CASE WHEN n % 50 = 0 THEN :other ELSE :workspace END,
           'Job ' || md5(n || ''), '', 'webhook', '{}',
           'active', CASE WHEN n % 1000 = 1 THEN ARRAY['rare'] ELSE ARRAY['common'] END,
           4, '{}', 1, 2, 60, 0, 30, 'allow', 1, now(), now() + n * interval '1 ms'
      FROM generate_series(1, 12000) AS n"""
SCHEDULES = """
    INSERT INTO schedules (job_id, workspace_id, job_type, kind, expression, timezone,
        jitter_seconds, misfire_policy, misfire_grace_seconds, active, next_run_at)
    SELECT id, workspace_id, type, 'cron', '0 9 * * *', 'UTC', 0, 'run_latest', 60, true,
           updated_at + interval '1 day'
      FROM jobs"""
HISTORY = """
    INSERT INTO executions (id, workspace_id, job_id, trigger, status, queue, scheduled_for,
        due_at, attempt, redeliveries, attempts)
    SELECT CAST(lpad(to_hex(1780000000000 + n), 12, '0') || '80008' || substr(md5(n || ''), 1, 15)
           AS uuid), CASE WHEN n % 5000 = 0 THEN :other ELSE :workspace END, :job,
           'schedule', 'queued', 'webhooks', now(), now(), 1, 0, '[]'
      FROM generate_series(1, 20000) AS n"""


class Plans:
    """A database with many jobs, and the plans of the statements that are run on it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.workspace, self.other = (ids.new_id(clock.now()) for _ in range(2))
        names = {"workspace": self.workspace, "other": self.other}
        for identifier in names.values():
            connection.execute(
                text(
                    "INSERT INTO workspaces (id, name, signing_secret, created_at) "
                    "VALUES (:id, 'x', 'whsec_eA==', now())"
                ),
                {"id": identifier},
            )
        connection.execute(text(MANY), names)
        connection.execute(text(SCHEDULES))
        connection.execute(text(HISTORY), names | {"job": self.any_job()})
        connection.execute(text("ANALYZE"))

    def any_job(self) -> UUID:
        """The id of a job of the large workspace."""
        query = text("SELECT id FROM jobs WHERE workspace_id = :id LIMIT 1")
        found: UUID = self.connection.execute(query, {"id": self.workspace}).scalar_one()
        return found

    def rows_read(self, run: Callable[[Connection], object]) -> int:
        """Return how many rows the statements of ``run`` visited."""
        statements: list[tuple[str, object]] = []

        def note(_c: object, _u: object, statement: str, parameters: object, *_: object) -> None:
            statements.append((statement, parameters))

        event.listen(self.connection, "before_cursor_execute", note)
        run(self.connection)
        event.remove(self.connection, "before_cursor_execute", note)
        return sum(self._visited(statement, values) for statement, values in statements)

    def _visited(self, statement: str, parameters: object) -> int:
        explained = self.connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
        ).scalar_one()
        plan = explained if isinstance(explained, list) else json.loads(explained)
        return sum(visited(plan[0]["Plan"]))


def visited(node: dict[str, object]) -> Iterator[int]:
    if "Scan" in str(node["Node Type"]):
        removed = sum(
            int(value) for name, value in node.items() if str(name).startswith("Rows Removed")
        )
        yield int((float(str(node["Actual Rows"])) + removed) * float(str(node["Actual Loops"])))
    for inner in node.get("Plans", []):
        yield from visited(inner)


@pytest.fixture(scope="module")
def plans(new_database: Callable[[], AbstractContextManager[str]]) -> Iterator[Plans]:
    with new_database() as url:
        engine = connect(url, name="test")
        with engine.connect() as connection:
            yield Plans(connection)
        engine.dispose()


SHAPES = {
    "newest": (JobFilter(), "created_at"),
    "by name": (JobFilter(), "name"),
    "by change": (JobFilter(), "updated_at"),
    "by next run": (JobFilter(), "next_run_at"),
    "search": (JobFilter(search="b026324c6904b2a"), "created_at"),
    "search by name": (JobFilter(search="b026324c6904b2a"), "name"),
    "common search": (JobFilter(search="Job"), "name"),
    "common tag": (JobFilter(tag="common"), "created_at"),
    "rare tag": (JobFilter(tag="rare"), "created_at"),
    "name": (JobFilter(name="Job b026324c6904b2a9cb4b88d6d61c81d1"), "created_at"),
    "no such words": (JobFilter(search="nothing like it"), "created_at"),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("descending", [False, True])
def test_a_page_of_a_long_list_reads_little(plans: Plans, shape: str, *, descending: bool) -> None:
    chosen, sort = SHAPES[shape]
    common = lists.are_common(plans.connection, plans.workspace, chosen)
    part = Part(sort=sort, descending=descending, limit=20, is_common=common)
    assert common == shape.startswith("common")
    read = plans.rows_read(lambda c: lists.page(c, plans.workspace, chosen, part))
    assert read < 600, shape


def test_a_small_workspace_is_listed_beside_a_large_one(plans: Plans) -> None:
    for sort in lists.SORTS:
        part = Part(sort=sort, descending=False, limit=20)
        read = plans.rows_read(lambda c, p=part: lists.page(c, plans.other, JobFilter(), p))
        assert read < 2500, sort
    searched = JobFilter(search="Job")
    part = Part(sort="created_at", descending=True, limit=20)
    assert plans.rows_read(lambda c: lists.page(c, plans.other, searched, part)) < 2500


def test_counting_reads_no_more_than_it_says(plans: Plans) -> None:
    at_most = 1.1 * lists.MAX_COUNT
    assert plans.rows_read(lambda c: lists.count(c, plans.workspace, JobFilter())) <= at_most
    rare = JobFilter(tag="rare")
    assert plans.rows_read(lambda c: lists.count(c, plans.workspace, rare)) < 100
    # What others have often, and this workspace never: a planner cannot know.
    foreign = JobFilter(tag="rare", search="Job")
    assert plans.rows_read(lambda c: lists.count(c, plans.other, foreign)) < 100
    part = Part(sort="name", descending=False, limit=20)
    assert plans.rows_read(lambda c: lists.page(c, plans.other, foreign, part)) < 100


def test_a_page_of_a_long_history_reads_little(plans: Plans) -> None:
    moment = ids.moment_of(UUID("019e7001-1c00-7000-8000-000000000000"))
    for workspace, chosen in (
        (plans.workspace, HistoryFilter()),
        (plans.other, HistoryFilter()),
        (plans.workspace, HistoryFilter(since=moment, until=moment + timedelta(seconds=1))),
        (plans.workspace, HistoryFilter(job_id=ids.new_id(clock.now()))),
    ):
        read = plans.rows_read(lambda c, w=workspace, f=chosen: history.page(c, w, f, limit=20))
        assert read < 100, chosen


@pytest.mark.parametrize(
    "chosen",
    [
        {"min_duration_ms": 1000},
        {"http_statuses": (204, 204)},
        {"statuses": (Status.SUCCEEDED,)},
        {"statuses": (Status.RUNNING,)},
        {"statuses": (Status.SKIPPED,)},
        {"statuses": (Status.FAILED,), "min_duration_ms": 1000},
        {"trigger": Trigger.MANUAL},
    ],
)
def test_a_selective_filter_reads_no_long_history_to_its_end(
    plans: Plans, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any]
) -> None:
    for module in (history, history_filters):
        monkeypatch.setattr(module, "MAX_LOOKED_AT", 500)
    for job_id in (None, plans.any_job()):
        filter_ = HistoryFilter(job_id=job_id, **chosen)
        read = plans.rows_read(lambda c, f=filter_: history.page(c, plans.workspace, f, limit=20))
        assert read < 2500, "at most the unfinished, the page, and the place where it stopped"
        read = plans.rows_read(lambda c, f=filter_: history.count(c, plans.workspace, f))
        assert read < 2000


def test_the_order_of_the_plans_is_that_of_the_list(plans: Plans) -> None:
    part = Part(sort="name", descending=False, limit=50)
    rows = lists.page(plans.connection, plans.workspace, JobFilter(), part).rows
    assert all(one["name"] <= other["name"] for one, other in pairwise(rows))
