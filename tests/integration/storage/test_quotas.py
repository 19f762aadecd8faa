"""What workspaces use of their quotas, counted exactly by requests side by side."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

import factories
from chronos_common.quotas import INVITATIONS, MAILS, Quota, QuotaExceeded
from chronos_common.settings import Settings
from chronos_common.storage import quotas
from factories import Workspace
from integration.api.api_settings import settings_for


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return replace(settings_for(database_url, redis_url), quota_mails=10, quota_invitations=10)


def spend(
    engine: Engine,
    workspace_id: UUID,
    amounts: Mapping[Quota, int],
    settings: Settings,
    now: datetime,
) -> bool:
    try:
        with engine.begin() as connection:
            quotas.spend(connection, workspace_id, amounts, settings=settings, now=now)
    except QuotaExceeded:
        return False
    return True


def used(
    engine: Engine, workspace_id: UUID, quota: Quota, settings: Settings, now: datetime
) -> int | None:
    with engine.connect() as connection:
        uses = quotas.of_workspace(connection, workspace_id, settings=settings, now=now)
    return next(each.used for each in uses if each.quota is quota)


def test_fifty_side_by_side_do_not_pass_the_bound(
    engine: Engine, workspace: Workspace, settings: Settings, now: datetime
) -> None:
    """From the first use on, for which there is no row to lock."""
    with ThreadPoolExecutor(10) as pool:
        done = list(
            pool.map(lambda _: spend(engine, workspace.id, {MAILS: 1}, settings, now), range(50))
        )
    assert done.count(True) == 10
    assert used(engine, workspace.id, MAILS, settings, now) == 10


def test_several_quotas_side_by_side_are_spent_all_or_none_and_never_deadlock(
    engine: Engine, workspace: Workspace, settings: Settings, now: datetime
) -> None:
    orders = [{MAILS: 1, INVITATIONS: 2}, {INVITATIONS: 2, MAILS: 1}]
    with ThreadPoolExecutor(10) as pool:
        done = list(
            pool.map(
                lambda number: spend(engine, workspace.id, orders[number % 2], settings, now),
                range(40),
            )
        )
    assert done.count(True) == 5
    assert used(engine, workspace.id, MAILS, settings, now) == 5
    assert used(engine, workspace.id, INVITATIONS, settings, now) == 10


def test_one_workspace_at_its_bound_hinders_no_other(
    engine: Engine, workspace: Workspace, settings: Settings, now: datetime
) -> None:
    with engine.begin() as connection:
        other = factories.workspace(connection, now=now, email="other@example.com")
    assert spend(engine, workspace.id, {MAILS: 10}, settings, now)
    assert not spend(engine, workspace.id, {MAILS: 1}, settings, now)
    assert spend(engine, other.id, {MAILS: 10}, settings, now)


def test_a_day_begins_anew_at_midnight_utc(
    engine: Engine, workspace: Workspace, settings: Settings, now: datetime
) -> None:
    evening = now.replace(hour=23, minute=59)
    assert spend(engine, workspace.id, {MAILS: 10}, settings, evening)
    assert not spend(engine, workspace.id, {MAILS: 1}, settings, evening)
    morning = evening + timedelta(minutes=2)
    assert used(engine, workspace.id, MAILS, settings, morning) == 0
    assert spend(engine, workspace.id, {MAILS: 10}, settings, morning)
    assert not spend(engine, workspace.id, {MAILS: 1}, settings, morning)


def test_giving_back_makes_room_and_never_more_than_there_was(
    engine: Engine, workspace: Workspace, settings: Settings, now: datetime
) -> None:
    assert spend(engine, workspace.id, {MAILS: 10}, settings, now)
    assert spend(engine, workspace.id, {MAILS: -3}, settings, now)
    assert used(engine, workspace.id, MAILS, settings, now) == 7
    assert spend(engine, workspace.id, {MAILS: -30}, settings, now)
    assert used(engine, workspace.id, MAILS, settings, now) == 0
    assert spend(engine, workspace.id, {MAILS: 10}, settings, now)


@pytest.mark.parametrize("bound", [0, 3, 30])
def test_a_bound_of_its_own_counts_instead_of_the_settings(
    engine: Engine, workspace: Workspace, settings: Settings, now: datetime, bound: int
) -> None:
    with engine.begin() as connection:
        quotas.set_bound(connection, workspace.id, MAILS, bound)
    assert not spend(engine, workspace.id, {MAILS: bound + 1}, settings, now)
    assert spend(engine, workspace.id, {MAILS: bound}, settings, now)
    with engine.begin() as connection:
        quotas.set_bound(connection, workspace.id, MAILS, None)
        bounds = quotas.of_workspace(connection, workspace.id, settings=settings, now=now)
    assert next(each.bound for each in bounds if each.quota is MAILS) == 10


def test_those_who_are_near_a_bound_are_found_the_fullest_first(
    engine: Engine, workspace: Workspace, settings: Settings, now: datetime
) -> None:
    assert spend(engine, workspace.id, {MAILS: 8, INVITATIONS: 10}, settings, now)
    with engine.begin() as connection:
        other = factories.workspace(connection, now=now, email="other@example.com")
    assert spend(engine, other.id, {MAILS: 7}, settings, now)
    with engine.connect() as connection:
        found = quotas.near_bounds(connection, settings=settings, now=now, most=5)
        tomorrow = quotas.near_bounds(
            connection, settings=settings, now=now + timedelta(days=1), most=5
        )
    assert [(each.workspace_id, each.use.quota) for each in found] == [
        (workspace.id, INVITATIONS),
        (workspace.id, MAILS),
    ]
    assert tomorrow == []
