"""What a workspace's changes write in a day has a bound that keeps nobody from stopping things."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from chronos_common.quotas import CHANGE_BYTES
from chronos_common.storage import quotas
from integration.api.callers import Caller, job


def used(caller: Caller) -> int:
    shown = {each["name"]: each["used"] for each in caller.get("workspace").json["quotas"]}
    return int(shown["change_bytes"])


def fill(db: Engine, caller: Caller) -> None:
    with db.begin() as connection:
        quotas.set_bound(connection, caller.workspace_id, CHANGE_BYTES, 1)


def test_payloads_and_entries_of_the_audit_log_count(caller: Caller) -> None:
    before = used(caller)
    payload = {"url": "https://example.com", "body": "x" * 5000}
    made = caller.create(payload=payload)
    created = used(caller) - before
    assert 5000 < created < 6000
    caller.post("jobs/bulk/execute", {"ids": [made["id"]]})
    executed = used(caller) - before - created
    assert 256 < executed < 400
    # The entry says how the job was, so it holds the payload again.
    caller.delete(f"jobs/{made['id']}")
    assert used(caller) - before - created - executed > 256


def test_kept_answers_count_and_at_the_bound_only_their_status_is_kept(
    caller: Caller, db: Engine
) -> None:
    payload = {"url": "https://example.com", "body": "x" * 5000}
    made = caller.create(payload=payload)["id"]
    before = used(caller)
    caller.post(f"jobs/{made}/pause")
    entry = used(caller) - before
    caller.post(f"jobs/{made}/resume")
    before = used(caller)
    kept = caller.post(f"jobs/{made}/pause", headers={"Idempotency-Key": "kept"})
    assert used(caller) - before > entry + 5000
    fill(db, caller)
    before = used(caller)
    assert caller.delete(f"jobs/{made}").status_code == 204
    other = caller.post("jobs/bulk/delete", {"ids": [made]}, headers={"Idempotency-Key": "not"})
    assert other.status_code == 200
    assert before < used(caller) < before + 8000
    again = caller.post(f"jobs/{made}/pause", headers={"Idempotency-Key": "kept"})
    assert again.json == kept.json
    refused = caller.post("jobs/bulk/delete", {"ids": [made]}, headers={"Idempotency-Key": "not"})
    assert refused.status_code == 409
    assert "not kept" in refused.json["detail"]


REFUSED: list[Callable[[Caller, str, str], int]] = [
    lambda caller, _, __: caller.post("jobs", job()).status_code,
    lambda caller, _, __: caller.post("jobs/bulk", {"jobs": [job()]}).status_code,
    lambda caller, active, _: caller.patch(f"jobs/{active}", {"name": "Other"}).status_code,
    lambda caller, active, _: caller.post(f"jobs/{active}/execute").status_code,
    lambda caller, _, paused: caller.post(f"jobs/{paused}/resume").status_code,
    lambda caller, _, __: caller.patch("workspace", {"name": "Other"}).status_code,
]


@pytest.mark.parametrize("change", REFUSED)
def test_at_the_bound_nothing_is_added(
    caller: Caller, db: Engine, change: Callable[[Caller, str, str], int]
) -> None:
    active, paused = caller.create()["id"], caller.create()["id"]
    caller.post(f"jobs/{paused}/pause")
    entries = caller.get("audit").json["total"]
    fill(db, caller)
    assert change(caller, active, paused) == 429
    assert caller.get("audit").json["total"] == entries
    refused = caller.post("jobs", job()).json
    assert refused["quota"]["name"] == "change_bytes"


def test_at_the_bound_everything_can_be_stopped_and_deleted(caller: Caller, db: Engine) -> None:
    first, second = caller.create()["id"], caller.create()["id"]
    execution = caller.post(f"jobs/{second}/execute").json["id"]
    key = caller.post("keys", {"name": "k", "scopes": ["jobs:read"]}).json["id"]
    fill(db, caller)
    before = used(caller)
    answers = [
        caller.post(f"executions/{execution}/cancel"),
        caller.post(f"jobs/{first}/pause"),
        caller.post("jobs/bulk/pause", {"ids": [second]}),
        caller.delete(f"keys/{key}"),
        caller.delete(f"jobs/{first}"),
        caller.post("jobs/bulk/delete", {"ids": [second]}),
    ]
    assert {answer.status_code // 100 for answer in answers} == {2}, answers
    assert caller.get("jobs").json["total"] == 0
    assert used(caller) > before
