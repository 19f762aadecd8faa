"""Workspaces and their members."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, select, update
from werkzeug.test import TestResponse

from chronos_common import clock
from chronos_common.storage.jobs.specs import Specs
from chronos_common.storage.tables import memberships, workspaces
from integration.api.callers import Caller, errors_of, join


def in_workspace(workspace_id: str) -> dict[str, str]:
    return {"X-Workspace": workspace_id}


def members_of(caller: Caller) -> dict[str, str]:
    """Return the role of each member."""
    return {each["user_id"]: each["role"] for each in caller.get("members").json["items"]}


def test_a_user_works_in_several_workspaces(caller: Caller) -> None:
    first = caller.get("workspaces").json["items"]
    made = caller.post("workspaces", {"name": " Team "})
    assert made.status_code == 201
    assert (made.json["name"], made.json["role"]) == ("Team", "owner")
    listed = caller.get("workspaces").json
    assert listed["items"] == [*first, made.json]
    there = in_workspace(made.json["id"])
    assert caller.post("jobs", {**JOB}, headers=there).status_code == 201
    assert caller.get("jobs").json["total"] == 0
    assert caller.get("jobs", headers=there).json["total"] == 1
    me = caller.get("auth/me", headers=there).json
    assert me["workspace"]["id"] == made.json["id"]
    assert me["workspaces"] == listed["items"]


JOB = {
    "name": "Ping",
    "payload": {"url": "https://example.com/hook"},
    "schedule_type": "interval",
    "interval_seconds": 60,
}


def shown_without_quotas(answer: TestResponse) -> dict[str, Any]:
    """Return a workspace without its use of quotas, which each change adds to."""
    return {name: value for name, value in answer.json.items() if name != "quotas"}


def test_settings_are_changed_one_by_one(caller: Caller) -> None:
    before = shown_without_quotas(caller.get("workspace"))
    assert before["default_webhook_url"] is None
    url = "https://user:hush@example.com/hook?token=hush&x=1"
    changed = shown_without_quotas(caller.patch("workspace", {"default_webhook_url": url}))
    shown = "https://[redacted]@example.com/hook?token=[redacted]&x=1"
    assert changed == {**before, "default_webhook_url": shown}
    both = {"name": "Team", "default_webhook_url": shown}
    renamed = shown_without_quotas(caller.patch("workspace", both))
    assert renamed == {**changed, "name": "Team"}
    assert caller.get("auth/me").json["workspace"]["name"] == "Team"
    cleared = shown_without_quotas(caller.patch("workspace", {"default_webhook_url": None}))
    assert cleared == {**before, "name": "Team"}


def test_a_url_that_is_shown_redacted_is_stored_whole(caller: Caller, db: Engine) -> None:
    url = "https://user:hush@example.com/hook"
    shown = caller.patch("workspace", {"default_webhook_url": url}).json["default_webhook_url"]
    caller.patch("workspace", {"default_webhook_url": shown})
    with db.connect() as connection:
        query = select(workspaces.c.default_webhook_url)
        stored = connection.execute(query.where(workspaces.c.id == caller.workspace_id))
        assert stored.scalar_one() == url


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"name": " "}, {"name"}),
        ({"name": None}, {"name"}),
        ({"name": "x" * 101}, {"name"}),
        ({"default_webhook_url": "ftp://example.com/"}, {"default_webhook_url"}),
        ({"default_webhook_url": "https://[redacted]@a.example/"}, {"default_webhook_url"}),
        ({"default_webhook_url": 1, "owner": "me"}, {"default_webhook_url", "owner"}),
    ],
)
def test_wrong_settings_name_their_fields(
    caller: Caller, body: dict[str, object], wrong: set[str]
) -> None:
    assert errors_of(caller.patch("workspace", body)).keys() == wrong


def test_only_owners_see_the_signing_secret(caller: Caller, db: Engine) -> None:
    secret = "whsec_dGVzdA=="
    assert caller.get("workspace/signing-secret").json["signing_secret"] == secret
    assert caller.get("auth/me").json["workspace"]["signing_secret"] == secret
    for role in ("viewer", "editor"):
        me = caller.me_in(role, db).get("auth/me").json
        assert me["workspace"]["signing_secret"] is None


def test_after_a_rotation_webhooks_are_signed_with_both_secrets_for_a_while(
    caller: Caller, db: Engine
) -> None:
    job_id = caller.create()["id"]
    execution_id = UUID(caller.post(f"jobs/{job_id}/execute").json["id"])

    def secrets() -> tuple[str, str | None]:
        with db.connect() as connection:
            spec = Specs().of(connection, [execution_id])[UUID(job_id)]
        return spec.signing_secret, spec.previous_signing_secret

    old, _ = secrets()
    rotated = caller.post("workspace/signing-secret/rotate", {"grace_hours": 2}).json
    assert rotated["signing_secret"] != old
    assert rotated["previous_signing_secret"] == old
    assert secrets() == (rotated["signing_secret"], old)
    with db.begin() as connection:
        connection.execute(
            update(workspaces)
            .where(workspaces.c.id == caller.workspace_id)
            .values(previous_secret_until=clock.now() - timedelta(seconds=1))
        )
    assert secrets() == (rotated["signing_secret"], None)
    assert caller.get("workspace/signing-secret").json == {
        "signing_secret": rotated["signing_secret"],
        "previous_signing_secret": None,
        "previous_secret_until": None,
    }


def test_a_rotation_without_grace_ends_the_old_secret_at_once(caller: Caller) -> None:
    rotated = caller.post("workspace/signing-secret/rotate", {"grace_hours": 0}).json
    assert rotated["previous_signing_secret"] is None
    assert errors_of(caller.post("workspace/signing-secret/rotate", {"grace_hours": 169}))


def test_an_owner_changes_roles_and_removes_members(caller: Caller, db: Engine) -> None:
    viewer, editor = caller.me_in("viewer", db), caller.me_in("editor", db)
    assert members_of(caller) == {
        str(caller.user_id): "owner",
        str(viewer.user_id): "viewer",
        str(editor.user_id): "editor",
    }
    changed = caller.patch(f"members/{viewer.user_id}", {"role": "editor"})
    assert changed.json["role"] == "editor"
    # At once: roles are not in tokens.
    assert viewer.post("jobs", JOB).status_code == 201
    assert caller.delete(f"members/{editor.user_id}").status_code == 204
    assert editor.get("jobs").status_code == 403
    assert caller.delete(f"members/{editor.user_id}").status_code == 404
    assert members_of(caller).keys() == {str(caller.user_id), str(viewer.user_id)}


def test_a_workspace_keeps_an_owner(caller: Caller, db: Engine) -> None:
    caller.me_in("editor", db)
    own = f"members/{caller.user_id}"
    assert caller.post("members/leave").status_code == 409
    assert caller.delete(own).status_code == 409
    assert caller.patch(own, {"role": "viewer"}).status_code == 409
    other = caller.me_in("owner", db)
    assert caller.patch(own, {"role": "viewer"}).status_code == 200
    assert caller.post("members/leave").status_code == 204
    assert other.post("members/leave").status_code == 409


def test_owners_who_leave_at_the_same_time_do_not_both_leave(
    caller: Caller, app: Flask, db: Engine
) -> None:
    owners = [caller, *(join(app, db, caller.workspace_id, "owner") for _ in range(4))]
    with ThreadPoolExecutor(len(owners)) as pool:
        answers = list(pool.map(lambda each: each.post("members/leave").status_code, owners))
    assert sorted(answers) == [204] * 4 + [409]


def test_the_keys_of_a_member_who_left_stay_revoked(caller: Caller, db: Engine) -> None:
    other = caller.me_in("owner", db)
    made = other.post("keys", {"name": "CI", "scopes": ["jobs:read"]}).json
    key = Caller(caller.app, made["key"])
    assert key.get("jobs").status_code == 200
    caller.delete(f"members/{other.user_id}")
    assert key.get("jobs").status_code == 401
    with db.begin() as connection:
        from_start = {"workspace_id": caller.workspace_id, "user_id": other.user_id}
        connection.execute(
            memberships.insert().values(**from_start, role="owner", created_at=clock.now())
        )
    assert other.get("jobs").status_code == 200
    assert key.get("jobs").status_code == 401


def test_the_number_of_workspaces_of_an_account_is_bounded(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chronos_api.workspaces.service.MAX_WORKSPACES", 2)
    assert caller.post("workspaces", {"name": "Two"}).status_code == 201
    assert caller.post("workspaces", {"name": "Three"}).status_code == 409
