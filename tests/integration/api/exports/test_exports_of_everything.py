"""Exports of everything that a workspace or an account has, as NDJSON."""

import json
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import Engine

from chronos_api.exports import workspace
from chronos_common.storage.tables import metadata
from integration.api.callers import Caller, job, join
from integration.api.rows import in_seconds, plan

SECRET = "hunter2-hunter2"

#: Where the rows of each table of a workspace are in its export, or why they are not.
KINDS = {
    "memberships": "member",
    "invitations": "invitation",
    "api_keys": "api_key",
    "jobs": "job",
    "schedules": "job",
    "executions": "execution",
    "audit_log": "audit_entry",
    "notifications": None,  # e-mails about executions that are there
    "execution_stats": None,  # sums of executions
    "execution_stats_hourly": None,
    "idempotency_keys": None,  # answers of the last day
    "test_runs": None,  # kept for minutes
    "bulk_changes": None,  # the audit log has each change of a job
    "device_logins": None,  # kept for minutes
    "replays": None,  # their executions are there
    "workspace_quotas": None,  # shown by GET /workspace
}


def export(caller: Caller, path: str) -> list[dict[str, Any]]:
    answer = caller.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    assert SECRET not in answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_every_table_of_a_workspace_is_exported_or_says_why_not() -> None:
    tables = {table.name for table in metadata.sorted_tables if "workspace_id" in table.c}
    assert tables == KINDS.keys()


def test_an_export_holds_everything_and_no_secret(
    caller: Caller, stranger: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronos_api.exports.pages.PAGE_SIZE", 2)
    for module in ("workspace", "account"):
        monkeypatch.setattr(f"chronos_api.exports.{module}.PAGE_SIZE", 2)
    payload = {"url": f"https://u:{SECRET}@example.com/", "body": {"password": SECRET}}
    jobs = [caller.create(name=f"Job {n}", payload=payload)["id"] for n in range(5)]
    runs = plan(db, caller, jobs[0], [in_seconds(n) for n in range(-4, 0)])
    join(caller.app, db, caller.workspace_id, "viewer")
    for n in range(3):
        caller.post("keys", {"name": f"Key {n}", "scopes": ["jobs:read"]})
        caller.post("invitations", {"email": f"{n}@example.com", "role": "viewer"})
    stranger.create(name="Foreign")

    lines = export(caller, "workspace/export")
    found = Counter(each["kind"] for each in lines)
    assert found == {
        "workspace": 1,
        "member": 2,
        "invitation": 3,
        "api_key": 3,
        "job": 5,
        "execution": 4,
        "audit_entry": caller.get("audit").json["total"],
    }
    assert {each for each in KINDS.values() if each} == found.keys() - {"workspace"}
    assert {each["id"] for each in lines if each["kind"] == "job"} == set(jobs)
    assert {each["id"] for each in lines if each["kind"] == "execution"} == {str(r) for r in runs}
    entries = [each["id"] for each in lines if each["kind"] == "audit_entry"]
    assert len(entries) == len(set(entries))
    assert "Foreign" not in str(lines)


def test_a_page_is_read_when_the_one_before_was_sent(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an export takes the memory of a page, whatever its length."""
    read = []
    monkeypatch.setattr("chronos_api.exports.pages.PAGE_SIZE", 1)
    monkeypatch.setattr("chronos_api.exports.workspace.PAGE_SIZE", 1)
    original = workspace._jobs
    monkeypatch.setattr(workspace, "_jobs", lambda *a: read.append(a) or original(*a))
    assert caller.post("jobs/bulk", {"jobs": [job(name=f"J{n}") for n in range(3)]}).json
    answer = caller.app.test_client().get(
        "/api/v1/workspace/export",
        headers={"Authorization": f"Bearer {caller.token}"},
        buffered=False,
    )
    lines = iter(answer.response)
    seen = []
    while not read:
        seen.append(json.loads(next(lines))["kind"])
    assert "job" not in seen[:-1]
    assert len(read) == 1
    answer.close()


def test_an_account_exports_what_it_is_and_did(caller: Caller, stranger: Caller) -> None:
    caller.create()
    caller.post("keys", {"name": "CI", "scopes": ["jobs:read"]})
    stranger.create(name="Foreign")
    lines = export(caller, "auth/me/export")
    assert Counter(each["kind"] for each in lines) == {
        "account": 1,
        "membership": 1,
        "login": 1,
        "api_key": 1,
        "audit_entry": 2,
    }
    assert lines[0]["id"] == str(caller.user_id)
    assert "password" not in str(lines)


def test_exports_share_the_bound_of_those_of_the_history(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronos_api.executions.exports._permits.acquire", lambda **_: False)
    assert caller.get("workspace/export").status_code == 503
