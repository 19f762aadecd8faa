"""The audit log: who changed what."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from chronos_common import clock
from integration.api.callers import Caller, errors_of

SECRET = "hush-hush"


def entries(owner: Caller, query: str = "") -> list[dict[str, Any]]:
    answer = owner.get(f"audit?limit=100{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json["items"])


def actions(owner: Caller, query: str = "") -> list[str]:
    return [each["action"] for each in reversed(entries(owner, query))]


def test_every_change_of_a_job_is_noted(caller: Caller) -> None:
    job_id = caller.create()["id"]
    caller.patch(f"jobs/{job_id}", {"name": "Renamed"})
    caller.put(f"jobs/{job_id}", {**_job(), "name": "Replaced"})
    caller.post(f"jobs/{job_id}/pause")
    caller.post(f"jobs/{job_id}/resume")
    execution_id = caller.post(f"jobs/{job_id}/execute").json["id"]
    caller.post(f"executions/{execution_id}/cancel")
    caller.post(f"executions/{execution_id}/retry")
    caller.delete(f"jobs/{job_id}")
    assert actions(caller) == [
        "job.create",
        "job.update",
        "job.update",
        "job.pause",
        "job.resume",
        "job.execute",
        "execution.cancel",
        "execution.retry",
        "job.delete",
    ]
    for entry in entries(caller):
        assert entry["user_id"] == str(caller.user_id)
        assert entry["user_email"] == f"{caller.user_id}@example.com"
        assert entry["key_id"] is None
    assert len(entries(caller, f"&subject_id={job_id}")) == 6


def _job() -> dict[str, Any]:
    return {
        "name": "Ping",
        "payload": {"url": "https://example.com/hook"},
        "schedule_type": "interval",
        "interval_seconds": 60,
    }


def test_an_update_shows_before_and_after_without_secrets(caller: Caller) -> None:
    payload = {
        "url": f"https://u:{SECRET}@example.com/",
        "headers": {"X-Api-Key": SECRET},
        "body": {"login": [{"password": SECRET}]},
    }
    job_id = caller.create(payload=payload, tags=["old"])["id"]
    changed = {
        "tags": ["new"],
        "payload": {**payload, "headers": {"X-Api-Key": f"{SECRET}2", "X-Trace": "on"}},
    }
    caller.patch(f"jobs/{job_id}", changed)
    caller.delete(f"jobs/{job_id}")
    deleted, updated = entries(caller)[:2]
    details = updated["details"]
    assert details["before"].keys() == details["after"].keys() == {"tags", "payload", "version"}
    assert (details["before"]["version"], details["after"]["version"]) == (1, 2)
    assert (details["before"]["tags"], details["after"]["tags"]) == (["old"], ["new"])
    assert details["after"]["payload"]["headers"]["X-Trace"] == "on"
    assert deleted["details"]["before"]["tags"] == ["new"]
    assert SECRET not in str(entries(caller))


def test_a_large_value_is_left_out(caller: Caller) -> None:
    job_id = caller.create()["id"]
    payload = {"url": "https://example.com/hook", "body": {"text": "x" * 5000}}
    caller.patch(f"jobs/{job_id}", {"payload": payload})
    assert entries(caller)[0]["details"]["after"]["payload"] == "[too long]"


def test_every_change_of_the_workspace_is_noted(caller: Caller, db: Engine) -> None:
    member = caller.me_in("viewer", db)
    caller.patch("workspace", {"name": "Team"})
    caller.patch("workspace", {"name": "Team"})
    caller.post("workspace/signing-secret/rotate", {})
    caller.patch(f"members/{member.user_id}", {"role": "editor"})
    caller.delete(f"members/{member.user_id}")
    invited = caller.post("invitations", {"email": "guest@example.com", "role": "viewer"}).json
    caller.delete(f"invitations/{invited['id']}")
    made = caller.post("keys", {"name": "CI", "scopes": ["jobs:read"]}).json
    caller.delete(f"keys/{made['id']}")
    assert actions(caller) == [
        "workspace.update",
        "workspace.rotate_secret",
        "member.change_role",
        "member.remove",
        "invitation.create",
        "invitation.revoke",
        "key.create",
        "key.revoke",
    ]
    shown = str(entries(caller))
    assert made["key"].rpartition("_")[2] not in shown
    assert "whsec_" not in shown
    (renamed,) = entries(caller, "&action=workspace.update")
    assert renamed["details"] == {"before": {"name": "Test"}, "after": {"name": "Team"}}


def test_logins_are_noted_where_their_owner_works(nobody: Caller) -> None:
    account = {"email": f"{clock.now().timestamp()}@example.com", "password": "SecurePass123!"}
    first = nobody.post("auth/register", account).json
    nobody.post("auth/refresh", {"refresh_token": first["refresh_token"]})
    nobody.post("auth/refresh", {"refresh_token": first["refresh_token"]})
    caller = Caller(nobody.app, nobody.post("auth/login", account).json["access_token"])
    caller.post(
        "auth/password",
        {"current_password": account["password"], "new_password": "Another password"},
    )
    assert actions(caller) == [
        "user.register",
        "user.token_reused",
        "user.login",
        "user.change_password",
    ]
    assert account["password"] not in str(entries(caller))


def test_what_a_key_does_names_the_key(caller: Caller) -> None:
    made = caller.post("keys", {"name": "CI", "scopes": ["jobs:write"]}).json
    program = Caller(caller.app, made["key"])
    job_id = program.create()["id"]
    (entry,) = entries(caller, f"&key_id={made['id']}")
    assert (entry["action"], entry["subject_id"]) == ("job.create", job_id)
    assert entry["user_id"] == str(caller.user_id)


def test_the_log_is_filtered(caller: Caller, db: Engine) -> None:
    editor = caller.me_in("editor", db)
    job_id = caller.create()["id"]
    editor.post(f"jobs/{job_id}/pause")
    caller.patch("workspace", {"name": "Team"})
    assert actions(caller, "&action=job.*") == ["job.create", "job.pause"]
    assert actions(caller, "&action=job.pause") == ["job.pause"]
    assert actions(caller, f"&user_id={editor.user_id}") == ["job.pause"]
    assert actions(caller, "&subject_type=workspace") == ["workspace.update"]
    later = (clock.now() + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    assert actions(caller, f"&since={later}") == []
    assert len(actions(caller, f"&until={later}")) == 3
    assert errors_of(caller.get("audit?action=%25")).keys() == {"action"}


def test_the_log_is_read_page_by_page(caller: Caller) -> None:
    for number in range(5):
        caller.patch("workspace", {"name": f"Name {number}"})
    first = caller.get("audit?limit=2").json
    assert first["total"] == 5
    second = caller.get(f"audit?limit=2&cursor={first['next_cursor']}").json
    third = caller.get("audit?limit=2&page=3").json
    names = [
        each["details"]["after"]["name"]
        for page in (first, second, third)
        for each in page["items"]
    ]
    assert names == [f"Name {number}" for number in (4, 3, 2, 1, 0)]
    assert third["next_cursor"] is None


def test_a_change_that_failed_is_not_noted(caller: Caller) -> None:
    job_id = caller.create()["id"]
    stale = caller.patch(f"jobs/{job_id}", {"name": "Late"}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    assert caller.post("members/leave").status_code == 409
    assert actions(caller) == ["job.create"]


def test_a_change_whose_note_fails_does_not_happen(caller: Caller, db: Engine) -> None:
    """Both are in one transaction."""

    def fail(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "INSERT INTO audit_log" in statement:
            raise RuntimeError("no note")

    event.listen(db, "before_cursor_execute", fail)
    try:
        with pytest.raises(AssertionError, match="500"):
            caller.patch("workspace", {"name": "Unnoted"})
    finally:
        event.remove(db, "before_cursor_execute", fail)
    assert caller.get("workspace").json["name"] == "Test"
