"""Where there is mail, an account begins with one, and nothing tells who has an account."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, event, select, text, update

from chronos_api.app import create_app
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage.tables import registrations, users
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, errors_of, register
from integration.api.inbox import Inbox
from integration.api.ui.pages import Browser

PASSWORD, ANOTHER = "SecurePass123!", "Another password"

Statements = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture(scope="module")
def with_mail(db: Engine, servers: Servers) -> Flask:
    """The application of an installation with a mail server."""
    url = db.url.render_as_string(hide_password=False)
    return create_app(settings_for(url, servers.redis_url, smtp_url="smtp://127.0.0.1:9"), db)


@pytest.fixture
def nobody(with_mail: Flask) -> Caller:
    return Caller(with_mail)


@pytest.fixture
def email() -> str:
    return f"{uuid4()}@example.com"


@pytest.fixture
def statements(db: Engine) -> Statements:
    """Collects the statements of a ``with`` block."""

    @contextmanager
    def collecting() -> Iterator[list[str]]:
        done: list[str] = []

        def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
            done.append(statement)

        event.listen(db, "before_cursor_execute", note)
        yield done
        event.remove(db, "before_cursor_execute", note)

    return collecting


def try_to_log_in(nobody: Caller, email: str, password: str = PASSWORD) -> int:
    return nobody.post("auth/login", {"email": email, "password": password}).status_code


def later(db: Engine, seconds: int) -> None:
    """Let the time since every registration pass."""
    passed = timedelta(seconds=seconds)
    columns = registrations.c
    with db.begin() as connection:
        connection.execute(
            update(registrations).values(
                created_at=columns.created_at - passed, expires_at=columns.expires_at - passed
            )
        )


def test_a_password_that_is_easy_to_guess_is_refused_before_an_e_mail(
    nobody: Caller, email: str
) -> None:
    refused = nobody.post("auth/register", {"email": email, "password": "Password123!"})
    assert errors_of(refused).keys() == {"password"}


def test_the_account_is_there_once_the_mail_was_read(
    nobody: Caller, email: str, inbox: Inbox
) -> None:
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD})
    assert (answer.status_code, answer.data) == (202, b"")
    assert try_to_log_in(nobody, email) == 401
    token = inbox.token_of(email)
    assert nobody.post("auth/email/verify", {"token": token}).status_code == 204
    login = nobody.post("auth/login", {"email": email, "password": PASSWORD})
    assert login.json["user"]["email_verified"] is True
    me = Caller(nobody.app, login.json["access_token"]).get("auth/me").json
    assert me["workspace"]["role"] == "owner"
    assert nobody.post("auth/email/verify", {"token": token}).status_code == 404


def test_registering_an_address_with_an_account_looks_the_same(
    nobody: Caller, email: str, inbox: Inbox, statements: Statements, with_mail: Flask, db: Engine
) -> None:
    """In the answer, in the statements, and in what is computed."""
    owner = register(with_mail, db)
    taken = f"{owner.user_id}@example.com"
    answers, done = [], []
    for address in (taken, email):
        with statements() as made:
            answers.append(nobody.post("auth/register", {"email": address, "password": PASSWORD}))
        done.append(made)
    assert [each.status_code for each in answers] == [202, 202]
    assert answers[0].data == answers[1].data == b""
    assert done[0] == done[1]
    assert [try_to_log_in(nobody, address) for address in (taken, email)] == [401, 401]
    (mail,) = inbox.of(taken)
    assert mail["Subject"] == "[Chronos] You have an account"
    with db.connect() as connection:
        query = select(registrations.c.token_sha256).where(registrations.c.email == taken)
        assert connection.execute(query).scalar_one() is None


def test_a_registration_of_another_person_ends_with_the_owners(
    nobody: Caller, email: str, inbox: Inbox, db: Engine
) -> None:
    nobody.post("auth/register", {"email": email, "password": ANOTHER})
    first = inbox.token_of(email)
    later(db, seconds=61)
    nobody.post("auth/register", {"email": email.upper(), "password": PASSWORD})
    second = inbox.token_of(email)
    assert nobody.post("auth/email/verify", {"token": second}).status_code == 204
    assert nobody.post("auth/email/verify", {"token": first}).status_code == 404
    assert try_to_log_in(nobody, email, ANOTHER) == 401
    assert try_to_log_in(nobody, email) == 200


def test_a_registration_expires_and_does_not_replace_an_account(
    nobody: Caller, email: str, inbox: Inbox, db: Engine
) -> None:
    nobody.post("auth/register", {"email": email, "password": PASSWORD})
    token = inbox.token_of(email)
    later(db, seconds=3 * 24 * 3600)
    assert nobody.post("auth/email/verify", {"token": token}).status_code == 404
    nobody.post("auth/register", {"email": email, "password": PASSWORD})
    token = inbox.token_of(email)
    with db.begin() as connection:
        values = {"id": uuid4(), "email": email, "now": clock.now()}
        connection.execute(
            text(
                "INSERT INTO users (id, email, password_hash, created_at)"
                " VALUES (:id, :email, '-', :now)"
            ),
            values,
        )
    assert nobody.post("auth/email/verify", {"token": token}).status_code == 404


def test_nobody_is_flooded_with_registrations(nobody: Caller, email: str, inbox: Inbox) -> None:
    for _ in range(3):
        answer = nobody.post("auth/register", {"email": email, "password": PASSWORD})
        assert answer.status_code == 202
    assert len(inbox.of(email)) == 1


def test_an_invitation_tells_its_guest_alone_that_the_address_has_an_account(
    nobody: Caller, with_mail: Flask, db: Engine, inbox: Inbox
) -> None:
    owner, guest = register(with_mail, db), register(with_mail, db)
    with db.begin() as connection:
        connection.execute(update(users).values(verified_at=clock.now()))
    address = f"{guest.user_id}@example.com"
    body = {"email": address, "password": PASSWORD}
    guessed = nobody.post("auth/register", {**body, "invitation": "no such token"})
    assert guessed.status_code == 404
    assert owner.post("invitations", {"email": address, "role": "viewer"}).status_code == 201
    answer = nobody.post("auth/register", {**body, "invitation": inbox.token_of(address)})
    assert answer.status_code == 409


def test_an_unverified_account_makes_no_keys_where_there_is_mail(
    with_mail: Flask, db: Engine
) -> None:
    owner = register(with_mail, db)
    body = {"name": "CI", "scopes": ["jobs:read"]}
    assert owner.post("keys", body).status_code == 403
    browser = Browser(with_mail, owner)
    form = browser.get("/ui/settings").form("/settings/keys")
    assert browser.submit(form, name="CI", scopes="jobs:read").status_code == 403
    with db.begin() as connection:
        query = update(users).where(users.c.id == owner.user_id)
        connection.execute(query.values(verified_at=clock.now()))
    assert owner.post("keys", body).status_code == 201
