"""Invitations into a workspace, by e-mail."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select, text, update

from chronos_api.app import create_app
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage.tables import invitations, letters, users
from integration.api.api_settings import settings_for
from integration.api.callers import Caller
from integration.api.inbox import Inbox

PASSWORD = "SecurePass123!"


@pytest.fixture
def guest(stranger: Caller) -> str:
    """The address of somebody who has an account and is a member of another workspace."""
    return f"{stranger.user_id}@example.com"


def invite(owner: Caller, address: str, role: str = "editor") -> str:
    made = owner.post("invitations", {"email": address, "role": role})
    assert made.status_code == 201, made.text
    return str(made.json["id"])


def test_somebody_with_an_account_accepts(
    caller: Caller, stranger: Caller, guest: str, inbox: Inbox
) -> None:
    invite(caller, guest.upper())
    (open_one,) = caller.get("invitations").json["items"]
    assert (open_one["email"], open_one["role"]) == (guest.upper(), "editor")
    assert open_one["invited_by"] == f"{caller.user_id}@example.com"
    (mail,) = inbox.of(guest)
    assert 'the workspace "Test"' in mail.get_content()
    accepted = stranger.post("invitations/accept", {"token": inbox.token_of(guest)})
    assert accepted.status_code == 200
    assert (accepted.json["id"], accepted.json["role"]) == (str(caller.workspace_id), "editor")
    there = {"X-Workspace": str(caller.workspace_id)}
    assert stranger.get("jobs", headers=there).status_code == 200
    assert caller.get("invitations").json["total"] == 0
    # Their own workspace stays the one that they work in by default.
    assert stranger.get("auth/me").json["workspace"]["id"] == str(stranger.workspace_id)


def test_a_token_serves_once(caller: Caller, stranger: Caller, guest: str, inbox: Inbox) -> None:
    invite(caller, guest)
    token = inbox.token_of(guest)
    assert stranger.post("invitations/accept", {"token": token}).status_code == 200
    caller.delete(f"members/{stranger.user_id}")
    assert stranger.post("invitations/accept", {"token": token}).status_code == 404


def test_the_token_is_nowhere_but_in_the_mail(
    caller: Caller, guest: str, inbox: Inbox, db: Engine
) -> None:
    invitation_id = invite(caller, guest)
    token = inbox.token_of(guest)
    tables = (invitations, letters)
    with db.connect() as connection:
        for table in tables:
            rows = connection.execute(text(f"SELECT CAST(t AS text) FROM {table.name} t"))  # noqa: S608 - our own tables
            stored = "\n".join(rows.scalars())
            assert invitation_id in stored
            assert token not in stored


def test_somebody_without_an_account_registers_where_registration_is_closed(
    caller: Caller, db: Engine, servers: Servers, inbox: Inbox
) -> None:
    address = f"new.{uuid4()}@example.com"
    invite(caller, address, "viewer")
    url = db.url.render_as_string(hide_password=False)
    closed = Caller(create_app(settings_for(url, servers.redis_url, registration_open=False), db))
    body = {"email": address, "password": PASSWORD}
    assert closed.post("auth/register", body).status_code == 403
    wrong = closed.post("auth/register", {**body, "invitation": "no such token"})
    assert wrong.status_code == 404
    answer = closed.post("auth/register", {**body, "invitation": inbox.token_of(address)})
    assert answer.status_code == 201
    assert answer.json["user"]["email_verified"] is True
    me = Caller(closed.app, answer.json["access_token"]).get("auth/me").json
    assert me["workspace"]["id"] == str(caller.workspace_id)
    assert [each["role"] for each in me["workspaces"]] == ["viewer", "owner"]


def test_an_invitation_is_for_its_address_only(
    caller: Caller, stranger: Caller, nobody: Caller, inbox: Inbox
) -> None:
    address = f"other.{uuid4()}@example.com"
    invite(caller, address)
    token = inbox.token_of(address)
    assert stranger.post("invitations/accept", {"token": token}).status_code == 403
    body = {"email": f"x{address}", "password": PASSWORD, "invitation": token}
    assert nobody.post("auth/register", body).status_code == 403
    assert caller.get("invitations").json["total"] == 1
    # A registration that was refused left no account behind.
    assert (
        nobody.post("auth/login", {"email": f"x{address}", "password": PASSWORD}).status_code
        == 401
    )


def test_an_invitation_that_is_over_is_refused(
    caller: Caller, stranger: Caller, guest: str, inbox: Inbox, db: Engine
) -> None:
    revoked = invite(caller, guest)
    token = inbox.token_of(guest)
    assert caller.delete(f"invitations/{revoked}").status_code == 204
    assert stranger.post("invitations/accept", {"token": token}).status_code == 404
    assert caller.delete(f"invitations/{revoked}").status_code == 404
    expired = invite(caller, guest)
    token = inbox.token_of(guest)
    with db.begin() as connection:
        connection.execute(
            update(invitations)
            .where(invitations.c.id == expired)
            .values(expires_at=clock.now() - timedelta(seconds=1))
        )
    assert stranger.post("invitations/accept", {"token": token}).status_code == 404
    assert caller.get("invitations").json["total"] == 0
    assert caller.get("members").json["total"] == 1


def test_inviting_again_replaces_the_invitation_before(
    caller: Caller, stranger: Caller, guest: str, inbox: Inbox
) -> None:
    invite(caller, guest, "viewer")
    first = inbox.token_of(guest)
    invite(caller, guest.upper(), "editor")
    assert caller.get("invitations").json["total"] == 1
    assert stranger.post("invitations/accept", {"token": first}).status_code == 404
    accepted = stranger.post("invitations/accept", {"token": inbox.token_of(guest)})
    assert accepted.json["role"] == "editor"


def test_a_letter_that_was_not_sent_yet_is_not_sent_once_it_is_revoked(
    caller: Caller, guest: str, inbox: Inbox, db: Engine
) -> None:
    revoked = invite(caller, guest)
    caller.delete(f"invitations/{revoked}")
    assert inbox.of(guest) == []
    with db.connect() as connection:
        query = select(letters.c.sent_at).where(letters.c.subject_id == revoked)
        assert connection.execute(query).scalar_one() is not None


def test_a_member_is_not_invited_again(
    caller: Caller, stranger: Caller, guest: str, inbox: Inbox, db: Engine
) -> None:
    member = caller.me_in("viewer", db)
    address = f"{member.user_id}@example.com"
    refused = caller.post("invitations", {"email": address.upper(), "role": "owner"})
    assert refused.status_code == 409
    # Nor does one that they have already change their role.
    invite(caller, guest, "owner")
    token = inbox.token_of(guest)
    with db.begin() as connection:
        connection.execute(
            update(users).where(users.c.id == member.user_id).values(email=f"x{guest}")
        )
        connection.execute(
            text("INSERT INTO memberships VALUES (:workspace, :user, 'viewer', :now)"),
            {"workspace": caller.workspace_id, "user": stranger.user_id, "now": clock.now()},
        )
    assert stranger.post("invitations/accept", {"token": token}).status_code == 409


def test_the_number_of_members_is_bounded(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronos_api.workspaces.invitations.MAX_MEMBERS", 2)
    invite(caller, "one@example.com")
    two = {"email": "two@example.com", "role": "viewer"}
    assert caller.post("invitations", two).status_code == 409
    # Replacing one needs no more room.
    invite(caller, "one@example.com")
