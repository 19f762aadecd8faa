"""Selective filters of a long history: a page looks at a bounded number of executions."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text

import factories
from chronos_common import ids
from chronos_common.domain.statuses import Status, Trigger
from chronos_common.storage.executions import executions, filters, history
from chronos_common.storage.executions.executions import Planned
from chronos_common.storage.executions.filters import HistoryFilter

BOUND = 10
LENGTH = 57

#: Changes of single executions, by their age in the history.
CHANGES = {
    3: {"status": "'running'", "worker_id": "gen_random_uuid()", "finished_at": "NULL"},
    31: {"duration_ms": "60000"},
    33: {"trigger": "'manual'"},
    36: {"status": "'failed'", "error": "'x'", "http_status": "503"},
    41: {"http_status": "418"},
    46: {"status": "'skipped'", "reason": "'overlap'", "http_status": "NULL"},
    52: {"duration_ms": "60000", "http_status": "204"},
    55: {"status": "'failed'", "error": "'x'", "http_status": "NULL"},
}

#: Filters of which an index has the few that they select, and the ages of these.
INDEXED: list[tuple[dict[str, Any], list[int]]] = [
    ({"statuses": (Status.RUNNING,)}, [3]),
    ({"statuses": (Status.RETRYING,)}, []),
    ({"statuses": (Status.FAILED,)}, [36, 55]),
    ({"statuses": (Status.SKIPPED,)}, [46]),
    ({"statuses": (Status.CANCELLED,)}, []),
    ({"trigger": Trigger.MANUAL}, [33]),
    ({"http_statuses": (418, 418)}, [41]),
    ({"http_statuses": (500, 599)}, [36]),
    ({"http_statuses": (100, 199)}, []),
    ({"statuses": (Status.FAILED,), "min_duration_ms": 60_000}, []),
    ({"statuses": (Status.FAILED,), "http_statuses": (503, 503)}, [36]),
]
#: Filters for which each execution is looked at.
LOOKED_FOR: list[tuple[dict[str, Any], list[int]]] = [
    ({"min_duration_ms": 60_000}, [31, 52]),
    ({"http_statuses": (204, 204)}, [52]),
    ({"trigger": Trigger.SCHEDULE, "min_duration_ms": 60_000}, [31, 52]),
    ({"statuses": (Status.SUCCEEDED,), "min_duration_ms": 70_000}, []),
]


class History:
    """A workspace with one job and a history, the latest first."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.workspace = factories.workspace(connection, now=now).id
        owner = factories.Workspace(self.workspace, self._owner())
        every_minute = factories.every(60, anchor=now)
        self.job_id = factories.job(connection, owner, every_minute, now=now)
        moments = [now - age * timedelta(minutes=1) for age in range(LENGTH)]
        self.ids = [ids.occurrence_id(self.job_id, moment) for moment in moments]
        executions.add(
            connection,
            [
                Planned(each, self.workspace, self.job_id, "webhooks", moment, None)
                for each, moment in zip(self.ids, moments, strict=True)
            ],
        )
        connection.execute(_ALL_SUCCEED)
        for age, changes in CHANGES.items():
            values = ", ".join(f"{name} = {value}" for name, value in changes.items())
            change = text(f"UPDATE executions SET {values} WHERE id = :id")  # noqa: S608 - constants
            connection.execute(change, {"id": self.ids[age]})

    def _owner(self) -> UUID:
        query = text("SELECT user_id FROM memberships WHERE workspace_id = :id")
        found: UUID = self.connection.execute(query, {"id": self.workspace}).scalar_one()
        return found

    def page(self, chosen: HistoryFilter, limit: int = 20, offset: int = 0) -> tuple[Any, Any]:
        found = history.page(self.connection, self.workspace, chosen, limit=limit, offset=offset)
        return [self.ids.index(row["id"]) for row in found.rows], found.last

    def pages(self, chosen: HistoryFilter, limit: int) -> Iterator[list[int]]:
        """Yield the ages of each page until the last one."""
        last = None
        while True:
            rows, last = self.page(replace(chosen, before=last), limit)
            yield rows
            if last is None:
                return


_ALL_SUCCEED = text("""
    UPDATE executions SET status = 'succeeded', started_at = scheduled_for, http_status = 200,
           finished_at = scheduled_for, duration_ms = 50""")


@pytest.fixture
def long(engine: Engine, now: datetime, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    monkeypatch.setattr(filters, "MAX_LOOKED_AT", BOUND)
    monkeypatch.setattr(history, "MAX_LOOKED_AT", BOUND)
    with engine.connect() as connection:
        yield History(connection, now)


@pytest.mark.parametrize("of_job", [False, True])
@pytest.mark.parametrize(("chosen", "ages"), INDEXED)
def test_what_is_unlike_the_others_is_found_at_once(
    long: History, chosen: dict[str, Any], ages: list[int], *, of_job: bool
) -> None:
    filter_ = HistoryFilter(**chosen, job_id=long.job_id if of_job else None)
    assert long.page(filter_) == (ages, None)
    count = history.count(long.connection, long.workspace, filter_)
    assert (count.number, count.is_exact) == (len(ages), True)


@pytest.mark.parametrize("of_job", [False, True])
@pytest.mark.parametrize("limit", [1, 20])
@pytest.mark.parametrize(("chosen", "ages"), [*LOOKED_FOR, *INDEXED])
def test_the_pages_of_a_selective_filter_have_each_execution_once(
    long: History, chosen: dict[str, Any], ages: list[int], limit: int, *, of_job: bool
) -> None:
    filter_ = HistoryFilter(**chosen, job_id=long.job_id if of_job else None)
    pages = list(long.pages(filter_, limit))
    assert [age for page in pages for age in page] == ages
    assert all(len(page) <= limit for page in pages)


@pytest.mark.parametrize("chosen", [chosen for chosen, _ in LOOKED_FOR])
def test_a_page_says_where_it_stopped_looking(long: History, chosen: dict[str, Any]) -> None:
    filter_ = HistoryFilter(**chosen)
    rows, last = long.page(filter_)
    assert rows == []
    assert last == long.ids[BOUND - 1]
    count = history.count(long.connection, long.workspace, filter_)
    assert (count.number, count.is_exact) == (0, False)
    # Past the end of the list by number, too.
    assert long.page(filter_, offset=40) == ([], last)


def test_many_unfinished_ones_are_looked_for_like_others(long: History) -> None:
    """Fails if their index is read although others' executions could fill it."""
    queued = text("""
        UPDATE executions SET status = 'queued', finished_at = NULL, started_at = NULL
         WHERE id = ANY(CAST(:ids AS uuid[]))""")
    ages = list(range(20, 35))
    long.connection.execute(queued, {"ids": [long.ids[age] for age in ages]})
    found = HistoryFilter(statuses=(Status.QUEUED,))
    assert [age for page in long.pages(found, 20) for age in page] == ages
    assert long.page(found) == ([], long.ids[BOUND - 1])


def test_another_workspaces_job_has_no_history_here(long: History, now: datetime) -> None:
    other = factories.workspace(long.connection, now=now, email="other@example.com").id
    for chosen in ({}, {"statuses": (Status.FAILED,)}, {"min_duration_ms": 60_000}):
        filter_ = HistoryFilter(job_id=long.job_id, **chosen)
        found = history.page(long.connection, other, filter_, limit=20)
        assert (list(found.rows), found.last) == ([], None)
        assert history.count(long.connection, other, filter_).number == 0
    running = HistoryFilter(statuses=(Status.RUNNING,))
    assert history.page(long.connection, other, running, limit=20).rows == []
