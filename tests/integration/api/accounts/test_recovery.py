"""Whoever recovers an account has it alone."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, select, text, update
from werkzeug.test import TestResponse

from chronos_common import clock
from chronos_common.storage.tables import users
from integration.api.callers import Caller, join
from integration.api.inbox import Inbox
from rigs import wait_until

PASSWORD, ANOTHER = "SecurePass123!", "Another password"


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the account's row so long that the database gives up."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr("chronos_api.security.password_hashing._hasher", quick)


@pytest.fixture
def email() -> str:
    return f"{uuid4()}@example.com"


@pytest.fixture
def holder(nobody: Caller, email: str) -> Caller:
    """The one who registered the account, not yet verified."""
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD})
    caller = Caller(nobody.app, answer.json["access_token"])
    caller.user_id = answer.json["user"]["id"]
    caller.workspace_id = caller.get("auth/me").json["workspace"]["id"]
    return caller


@pytest.fixture
def verified(holder: Caller, db: Engine) -> Caller:
    with db.begin() as connection:
        query = update(users).where(users.c.id == holder.user_id)
        connection.execute(query.values(verified_at=clock.now()))
    return holder


@pytest.fixture
def recover(nobody: Caller, email: str, inbox: Inbox) -> Callable[[], Caller]:
    """Lets the reader of the address's mail choose another password, and log in."""

    def reset() -> Caller:
        nobody.post("auth/password/forgot", {"email": email})
        body = {"token": inbox.token_of(email), "password": ANOTHER}
        assert nobody.post("auth/password/reset", body).status_code == 204
        answer = nobody.post("auth/login", {"email": email, "password": ANOTHER})
        assert answer.status_code == 200
        return Caller(nobody.app, answer.json["access_token"])

    return reset


def make_key(caller: Caller, **headers: str) -> Caller:
    body = {"name": "CI", "scopes": ["jobs:read"]}
    made = caller.post("keys", body, headers=headers)
    assert made.status_code == 201, made.text
    return Caller(caller.app, made.json["key"])


def works(caller: Caller) -> bool:
    return caller.get("jobs").status_code == 200


def test_nothing_that_an_earlier_holder_made_works(
    nobody: Caller,
    verified: Caller,
    email: str,
    inbox: Inbox,
    db: Engine,
    recover: Callable[[], Caller],
) -> None:
    login = nobody.post("auth/login", {"email": email, "password": PASSWORD}).json
    second = verified.post("workspaces", {"name": "Second"}).json["id"]
    keys = [make_key(verified), make_key(verified, **{"X-Workspace": second})]
    ticket = verified.post("events/ticket").json["ticket"]
    guest = f"guest.{uuid4()}@example.com"
    assert verified.post("invitations", {"email": guest, "role": "owner"}).status_code == 201
    invitation = inbox.token_of(guest)
    colleague = verified.me_in("viewer", db)
    secret = verified.get("workspace/signing-secret").json["signing_secret"]

    owner = recover()

    assert not works(verified)
    assert not any(map(works, keys))
    refresh = nobody.post("auth/refresh", {"refresh_token": login["refresh_token"]})
    assert refresh.status_code == 401
    assert nobody.get(f"events?ticket={ticket}").status_code == 401
    assert nobody.post("auth/login", {"email": email, "password": PASSWORD}).status_code == 401
    body = {"email": guest, "password": PASSWORD, "invitation": invitation}
    assert nobody.post("auth/register", body).status_code == 404
    # The address was verified: colleagues and receivers of webhooks are the owner's own.
    assert works(colleague)
    assert owner.get("workspace/signing-secret").json["signing_secret"] == secret
    (entry,) = owner.get("audit?action=user.reset_password").json["items"]
    assert entry["details"] == {"logins": 2, "revoked_keys": 2, "revoked_invitations": 1}


def test_the_workspaces_of_an_unverified_account_are_its_owners_alone(
    nobody: Caller, holder: Caller, db: Engine, inbox: Inbox, recover: Callable[[], Caller]
) -> None:
    accomplice = join(holder.app, db, holder.workspace_id, "owner")
    key = make_key(accomplice)
    guest = f"guest.{uuid4()}@example.com"
    assert accomplice.post("invitations", {"email": guest, "role": "owner"}).status_code == 201
    invitation = inbox.token_of(guest)
    accomplice.patch(f"members/{holder.user_id}", {"role": "viewer"})
    secret = accomplice.get("workspace/signing-secret").json["signing_secret"]

    owner = recover()

    assert [each["role"] for each in owner.get("members").json["items"]] == ["owner"]
    assert not works(accomplice)
    assert not works(key)
    body = {"email": guest, "password": PASSWORD, "invitation": invitation}
    assert nobody.post("auth/register", body).status_code == 404
    secrets = owner.get("workspace/signing-secret").json
    assert secrets["signing_secret"] != secret
    assert secrets["previous_signing_secret"] is None


def test_a_reset_ends_the_other_tokens_in_the_mail(
    nobody: Caller, holder: Caller, email: str, inbox: Inbox, recover: Callable[[], Caller]
) -> None:
    holder.post("auth/email/resend")
    verification = inbox.token_of(email)
    recover()
    assert nobody.post("auth/email/verify", {"token": verification}).status_code == 404


def test_a_changed_password_ends_keys_on_request_and_tokens_in_the_mail(
    nobody: Caller, holder: Caller, email: str, inbox: Inbox
) -> None:
    key = make_key(holder)
    nobody.post("auth/password/forgot", {"email": email})
    token = inbox.token_of(email)
    change = {"current_password": PASSWORD, "new_password": ANOTHER}
    assert holder.post("auth/password", change).status_code == 204
    assert works(key)
    reset = {"token": token, "password": PASSWORD}
    assert nobody.post("auth/password/reset", reset).status_code == 404
    change = {"current_password": ANOTHER, "new_password": PASSWORD, "revoke_keys": True}
    assert holder.post("auth/password", change).status_code == 204
    assert not works(key)


@pytest.mark.parametrize("role", [None, "viewer"])
def test_who_leaves_or_is_no_owner_any_more_takes_their_invitations_along(
    nobody: Caller, caller: Caller, db: Engine, inbox: Inbox, role: str | None
) -> None:
    other = caller.me_in("owner", db)
    guest = f"guest.{uuid4()}@example.com"
    other.post("invitations", {"email": guest, "role": "owner"})
    token = inbox.token_of(guest)
    if role is None:
        assert caller.delete(f"members/{other.user_id}").status_code == 204
    else:
        assert caller.patch(f"members/{other.user_id}", {"role": role}).status_code == 200
    body = {"email": guest, "password": PASSWORD, "invitation": token}
    assert nobody.post("auth/register", body).status_code == 404


def _log_in(caller: Caller, email: str) -> TestResponse:
    nobody = Caller(caller.app)
    return nobody.post("auth/login", {"email": email, "password": PASSWORD})


def _change_password(caller: Caller, _email: str) -> TestResponse:
    body = {"current_password": PASSWORD, "new_password": "Password of the thief"}
    return caller.post("auth/password", body)


def _make_key(caller: Caller, _email: str) -> TestResponse:
    return caller.post("keys", {"name": "CI", "scopes": ["jobs:read"]})


def _invite(caller: Caller, email: str) -> TestResponse:
    return caller.post("invitations", {"email": f"x{email}", "role": "owner"})


@pytest.mark.parametrize("act", [_log_in, _change_password, _make_key, _invite])
def test_a_request_that_was_under_way_does_not_outlive_the_recovery(
    verified: Caller,
    email: str,
    db: Engine,
    recover: Callable[[], Caller],
    act: Callable[[Caller, str], TestResponse],
) -> None:
    """It was allowed before the recovery, and writes after it."""
    with ThreadPoolExecutor(2) as pool, _held(db, verified) as waiting:
        recovering: Future[Any] = pool.submit(recover)
        wait_until(lambda: waiting() == 1)
        acting = pool.submit(act, verified, email)
        wait_until(lambda: waiting() == 2)
    recovering.result()
    assert acting.result().status_code == 401


@contextmanager
def _held(db: Engine, caller: Caller) -> Iterator[Callable[[], int]]:
    """Hold the account's row, and yield a function that counts those who wait for it."""
    query = select(users.c.id).where(users.c.id == caller.user_id).with_for_update(key_share=True)
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND query LIKE '%users%'"
    )

    def count() -> int:
        with db.connect() as connection:
            return int(connection.execute(waiting).scalar_one())

    with db.begin() as connection:
        connection.execute(query)
        yield count
