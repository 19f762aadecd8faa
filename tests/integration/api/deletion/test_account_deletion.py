"""Accounts: deleted by their owners or the operator, with the workspaces that nobody else has."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, select, update

from chronos_common.storage.tables import memberships, metadata, users, workspaces
from chronos_scheduler.prune import Purger
from integration.api.callers import Caller, join, register
from integration.api.rows import stored_schedule

PASSWORD = "SecurePass123!"


@pytest.fixture
def somebody(nobody: Caller, db: Engine) -> Caller:
    """An ordinary user with a password and a workspace of their own."""
    email = f"{uuid4()}@example.com"
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD})
    user_id = UUID(answer.json["user"]["id"])
    set_operator(db, user_id, is_operator=False)
    made = Caller(nobody.app, answer.json["access_token"], user_id)
    made.workspace_id = UUID(made.get("workspace").json["id"])
    return made


@pytest.fixture
def operator(caller: Caller, db: Engine) -> Caller:
    set_operator(db, caller.user_id, is_operator=True)
    return caller


def set_operator(db: Engine, user_id: UUID, *, is_operator: bool) -> None:
    with db.begin() as connection:
        query = update(users).where(users.c.id == user_id)
        connection.execute(query.values(is_operator=is_operator))


def rows_about(db: Engine, user_id: UUID) -> list[str]:
    """Return the tables that hold something of a user, besides the audit log."""
    tables = [table for table in metadata.sorted_tables if "user_id" in table.c]
    with db.connect() as connection:
        found = [
            table.name
            for table in tables
            if table.name != "audit_log"
            and connection.execute(
                select(table.c.user_id).where(table.c.user_id == user_id)
            ).first()
        ]
        if connection.execute(select(users.c.id).where(users.c.id == user_id)).first():
            found.append("users")
    return found


def test_an_account_ends_with_the_workspaces_that_nobody_else_has(
    somebody: Caller, db: Engine
) -> None:
    job_id = somebody.create()["id"]
    key = somebody.post("keys", {"name": "CI", "scopes": ["jobs:read"]}).json["key"]
    assert rows_about(db, somebody.user_id)
    assert somebody.post("auth/me/delete", {"current_password": "wrong"}).status_code == 401
    assert somebody.post("auth/me/delete", {"current_password": PASSWORD}).status_code == 204
    assert somebody.get("auth/me").status_code == 401
    assert Caller(somebody.app, key).get("jobs").status_code == 401
    assert rows_about(db, somebody.user_id) == []
    assert stored_schedule(db, job_id)["active"] is False
    while Purger(db).tick():
        pass
    with db.connect() as connection:
        query = select(workspaces.c.id).where(workspaces.c.id == somebody.workspace_id)
        assert connection.execute(query).first() is None


def test_a_request_that_is_repeated_with_its_key_finds_no_account(somebody: Caller) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"current_password": PASSWORD}
    assert somebody.post("auth/me/delete", body, headers=key).status_code == 204
    assert somebody.post("auth/me/delete", body, headers=key).status_code == 401


def test_the_only_owner_of_others_is_told_to_hand_over(somebody: Caller, db: Engine) -> None:
    somebody.patch("workspace", {"name": "Shared"})
    colleague = join(somebody.app, db, somebody.workspace_id, "editor")
    refused = somebody.post("auth/me/delete", {"current_password": PASSWORD})
    assert refused.status_code == 409
    assert "'Shared'" in refused.json["detail"]
    assert somebody.patch(f"members/{colleague.user_id}", {"role": "owner"}).status_code == 200
    assert somebody.post("auth/me/delete", {"current_password": PASSWORD}).status_code == 204
    assert colleague.get("workspace").json["name"] == "Shared"
    assert [each["action"] for each in colleague.get("audit?action=member.*").json["items"]] == [
        "member.leave",
        "member.change_role",
    ]


def test_the_operator_deletes_an_account(operator: Caller, somebody: Caller, db: Engine) -> None:
    assert somebody.delete(f"admin/accounts/{operator.user_id}").status_code == 403
    assert operator.delete(f"admin/accounts/{somebody.user_id}").status_code == 204
    assert rows_about(db, somebody.user_id) == []
    assert operator.delete(f"admin/accounts/{somebody.user_id}").status_code == 404
    assert operator.delete(f"admin/accounts/{operator.user_id}").status_code == 409
    [entry] = operator.get(f"admin/audit?subject_id={somebody.user_id}").json["items"]
    assert (entry["action"], entry["details"]["workspaces"]) == ("account.delete", 1)


def test_the_only_operator_stays(somebody: Caller, db: Engine) -> None:
    with db.begin() as connection:
        others = update(users).where(users.c.is_operator).values(is_operator=False)
        connection.execute(others)
    set_operator(db, somebody.user_id, is_operator=True)
    refused = somebody.post("auth/me/delete", {"current_password": PASSWORD})
    assert refused.status_code == 409
    assert "operator" in refused.json["detail"]
    another = register(somebody.app, db)
    set_operator(db, another.user_id, is_operator=True)
    assert somebody.post("auth/me/delete", {"current_password": PASSWORD}).status_code == 204
    with db.connect() as connection:
        query = select(memberships.c.role).where(memberships.c.user_id == somebody.user_id)
        assert connection.execute(query).all() == []
