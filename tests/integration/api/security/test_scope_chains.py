"""Whatever an API key asks for, in whatever order, nothing changes that its scopes do not name."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from chronos_api.security.access import Audience, Scope
from chronos_common.storage.tables import metadata, workspaces
from integration.api.callers import Caller
from integration.api.route_table import BODIES, Places, Route, routes

#: What a key of each scope may change: tables, or columns of the workspace.
CHANGES: Mapping[Scope, set[str]] = {
    Scope.JOBS_WRITE: {"jobs", "schedules", "executions", "test_runs", "bulk_changes"},
    Scope.EXECUTIONS_WRITE: {"executions", "replays", "bulk_changes"},
    Scope.WORKSPACE_WRITE: {"workspaces.name"},
}
#: Written by the way: logs, sums, answers to repeat, and the use of a key or quota.
BY_THE_WAY = {
    *("audit_log", "execution_stats", "execution_stats_hourly", "idempotency_keys"),
    *("notifications", "workspace_quotas", "api_keys.last_used_at"),
}
CHAINS, LENGTH = 16, 20


@pytest.fixture(autouse=True)
def _no_worker_and_no_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronos_api.adhoc_runs.service._wait_for_result", lambda *_: None)
    monkeypatch.setattr("chronos_api.security.password_hashing.matches", lambda *_: True)


def state(db: Engine, owner: Caller) -> dict[str, Any]:
    """Return the rows of the workspace and of its owner, by tables and columns."""
    found: dict[str, Any] = {}
    with db.connect() as connection:
        for table in metadata.sorted_tables:
            conditions = [
                column == value
                for column, value in (
                    (table.c.get("workspace_id"), owner.workspace_id),
                    (table.c.get("user_id"), owner.user_id),
                )
                if column is not None
            ]
            if table is workspaces:
                conditions = [workspaces.c.id == owner.workspace_id]
            if not conditions:
                continue
            rows = connection.execute(select(table).where(conditions[0])).mappings().all()
            if table.name in {"workspaces", "api_keys"}:
                for column in table.c:
                    values = sorted(str(row[column.name]) for row in rows)
                    found[f"{table.name}.{column.name}"] = values
            else:
                found[table.name] = sorted(str(dict(row)) for row in rows)
    return found


def ask(caller: Caller, route: Route, places: dict[str, str]) -> str:
    """Send a request, and return the beginning of its answer: an event stream has no end."""
    answer = caller.app.test_client().open(
        route.path(places),
        method=route.method,
        json=BODIES.get((route.method, route.rule)),
        headers={"Authorization": f"Bearer {caller.token}"},
    )
    text = "" if answer.is_streamed else answer.text
    answer.close()
    return text


@pytest.mark.parametrize("seed", range(CHAINS))
def test_no_chain_of_requests_does_more_than_the_scopes_of_its_key(
    caller: Caller, app: Flask, db: Engine, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a test
    scopes = dice.sample(list(Scope), dice.randint(1, len(Scope) - 1))
    made = caller.post("keys", {"name": "Chain", "scopes": scopes}).json
    key = Caller(app, made["key"], caller.user_id, caller.workspace_id)
    secret = caller.get("workspace/signing-secret").json["signing_secret"]
    may_change = BY_THE_WAY.union(*(CHANGES.get(scope, set()) for scope in scopes))
    if {Scope.JOBS_WRITE, Scope.WORKSPACE_WRITE} <= set(scopes):
        may_change.add("workspaces.default_webhook_url")
    places, everything = Places(caller, db), list(routes(app))
    accounts_only = [each for each in everything if each.access.audience is not Audience.EVERYBODY]
    for route in dice.choices(accounts_only, k=LENGTH):
        known = places.of(route)
        before = state(db, caller)
        assert secret not in ask(key, route, known), route
        after = state(db, caller)
        changed = {name for name in after if after[name] != before[name]}
        assert changed <= may_change, (str(route), scopes)


def test_a_key_sets_no_default_webhook_without_the_scope_to_write_payloads(
    caller: Caller,
) -> None:
    """It gets the payloads of jobs, which the key may not read."""
    made = caller.post("keys", {"name": "CI", "scopes": ["workspace:write"]}).json
    key = Caller(caller.app, made["key"])
    assert key.patch("workspace", {"name": "Renamed"}).status_code == 200
    refused = key.patch("workspace", {"default_webhook_url": "https://example.com/"})
    assert refused.status_code == 403
    assert "jobs:write" in refused.json["detail"]
