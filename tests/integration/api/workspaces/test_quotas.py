"""What a workspace sees of its quotas, and the bounds that the operator gives it."""

from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from chronos_common import quotas
from integration.api.callers import Caller, errors_of, job, register


@pytest.fixture
def operator(app: Flask, db: Engine) -> Caller:
    made = register(app, db)
    with db.begin() as connection:
        query = text("UPDATE users SET is_operator = true WHERE id = :id")
        connection.execute(query, {"id": made.user_id})
    return made


def shown(caller: Caller) -> dict[str, Any]:
    return {each["name"]: each for each in caller.get("workspace").json["quotas"]}


def path(caller: Caller) -> str:
    return f"admin/workspaces/{caller.workspace_id}/quotas"


def test_the_workspace_shows_every_quota_with_bound_use_and_unit(caller: Caller) -> None:
    caller.create()
    found = shown(caller)
    assert list(found) == [each.name for each in quotas.ALL]
    assert (found["jobs"]["used"], found["jobs"]["bound"]) == (1, quotas.JOBS.default)
    assert found["job_bytes"]["unit"] == "bytes"
    assert found["payload_bytes"]["used"] is None
    assert found["exports"]["used"] == 0


def test_an_open_stream_counts_as_used(caller: Caller) -> None:
    headers = {"Authorization": f"Bearer {caller.token}"}
    client = caller.app.test_client()
    answer = client.get("/api/v1/events", headers=headers, buffered=False)
    assert shown(caller)["event_streams"]["used"] == 1
    answer.close()
    assert shown(caller)["event_streams"]["used"] == 0


def test_the_operator_raises_one_workspaces_bound_and_takes_it_back(
    caller: Caller, stranger: Caller, operator: Caller
) -> None:
    answer = operator.put(path(caller), {"jobs": 1, "exports": 7})
    assert answer.status_code == 200
    assert {each["name"]: each["bound"] for each in answer.json["items"]}["jobs"] == 1
    assert shown(caller)["exports"]["bound"] == 7
    caller.create()
    refused = caller.post("jobs", job())
    assert refused.json["quota"] == {"name": "jobs", "bound": 1, "used": 1, "unit": "jobs"}
    assert shown(stranger)["jobs"]["bound"] == quotas.JOBS.default
    operator.put(path(caller), {"jobs": None})
    assert caller.post("jobs", job()).status_code == 201
    assert operator.get(path(caller)).json["items"][0]["used"] == 2
    entries = operator.get("admin/audit?action=workspace.quotas").json["items"]
    assert entries[1]["details"] == {"exports": 7, "jobs": 1}


def test_an_open_use_obeys_the_bound_of_the_workspace(caller: Caller, operator: Caller) -> None:
    operator.put(path(caller), {"event_streams": 0})
    refused = caller.get("events")
    assert (refused.status_code, refused.json["quota"]["name"]) == (429, "event_streams")


def test_only_the_operator_sets_bounds(caller: Caller) -> None:
    assert caller.put(path(caller), {"jobs": 1_000_000}).status_code == 403
    assert caller.get(path(caller)).status_code == 403


@pytest.mark.parametrize("name", ["payload_bytes", "user_event_streams", "nonsense"])
def test_a_bound_that_no_workspace_has_of_its_own_is_refused(
    caller: Caller, operator: Caller, name: str
) -> None:
    assert name in errors_of(operator.put(path(caller), {name: 5}))


def test_an_unknown_workspace_is_not_found(operator: Caller) -> None:
    assert operator.put(f"admin/workspaces/{uuid4()}/quotas", {"jobs": 5}).status_code == 404
