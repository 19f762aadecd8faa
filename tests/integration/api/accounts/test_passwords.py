"""Passwords: changed, forgotten and reset; e-mail addresses verified; every login ended."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event, update

from chronos_api.app import create_app
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage.tables import email_tokens, users
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, errors_of
from integration.api.inbox import Inbox

PASSWORD, ANOTHER = "SecurePass123!", "Another password"
WEAK = "Password123!"


@pytest.fixture
def email() -> str:
    return f"{uuid4()}@example.com"


def registered(nobody: Caller, email: str) -> Caller:
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return Caller(nobody.app, answer.json["access_token"])


def log_in(nobody: Caller, email: str, password: str = PASSWORD) -> Caller:
    answer = nobody.post("auth/login", {"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return Caller(nobody.app, answer.json["access_token"])


def is_in(caller: Caller) -> bool:
    return caller.get("auth/me").status_code == 200


def test_changing_the_password_ends_the_other_logins(nobody: Caller, email: str) -> None:
    here, elsewhere = registered(nobody, email), log_in(nobody, email)
    wrong = here.post("auth/password", {"current_password": "wrong", "new_password": ANOTHER})
    assert wrong.status_code == 401
    assert is_in(elsewhere)
    body = {"current_password": PASSWORD, "new_password": ANOTHER}
    assert here.post("auth/password", body).status_code == 204
    assert is_in(here)
    assert not is_in(elsewhere)
    old = nobody.post("auth/login", {"email": email, "password": PASSWORD})
    assert old.status_code == 401
    assert is_in(log_in(nobody, email, ANOTHER))


def test_a_password_that_is_easy_to_guess_is_refused(
    nobody: Caller, email: str, inbox: Inbox
) -> None:
    refused = nobody.post("auth/register", {"email": email, "password": WEAK})
    assert errors_of(refused).keys() == {"password"}
    caller = registered(nobody, email)
    body = {"current_password": PASSWORD, "new_password": WEAK}
    refused = caller.post("auth/password", body)
    assert errors_of(refused).keys() == {"new_password"}
    nobody.post("auth/password/forgot", {"email": email})
    reset = {"token": inbox.token_of(email), "password": WEAK}
    refused = nobody.post("auth/password/reset", reset)
    assert errors_of(refused).keys() == {"password"}
    assert is_in(log_in(nobody, email))
    # The token serves on.
    assert nobody.post("auth/password/reset", {**reset, "password": ANOTHER}).status_code == 204


def test_logging_out_everywhere_ends_every_login(nobody: Caller, email: str) -> None:
    logins = [registered(nobody, email), log_in(nobody, email)]
    others = registered(nobody, f"x{email}")
    assert logins[0].post("auth/logout-all").status_code == 204
    assert not any(map(is_in, logins))
    assert is_in(others)


def test_a_forgotten_password_is_replaced_by_mail(
    nobody: Caller, email: str, inbox: Inbox
) -> None:
    login = registered(nobody, email)
    assert nobody.post("auth/password/forgot", {"email": email.upper()}).status_code == 202
    token = inbox.token_of(email)
    reset = {"token": token, "password": ANOTHER}
    assert nobody.post("auth/password/reset", reset).status_code == 204
    assert not is_in(login)
    fresh = log_in(nobody, email, ANOTHER)
    # Whoever got the mail reads the address.
    assert fresh.get("auth/me").json["user"]["email_verified"] is True
    assert nobody.post("auth/password/reset", reset).status_code == 404


def test_a_reset_uses_up_every_token_of_its_kind(
    nobody: Caller, email: str, inbox: Inbox, db: Engine
) -> None:
    registered(nobody, email)
    found = []
    for _ in range(2):
        nobody.post("auth/password/forgot", {"email": email})
        found.append(inbox.token_of(email))
        with db.begin() as connection:
            long_ago = clock.now() - timedelta(minutes=2)
            connection.execute(update(email_tokens).values(created_at=long_ago))
    first, second = found
    assert first != second
    body = {"token": second, "password": ANOTHER}
    assert nobody.post("auth/password/reset", body).status_code == 204
    assert nobody.post("auth/password/reset", {**body, "token": first}).status_code == 404


def test_an_expired_token_resets_nothing(
    nobody: Caller, email: str, inbox: Inbox, db: Engine
) -> None:
    registered(nobody, email)
    nobody.post("auth/password/forgot", {"email": email})
    token = inbox.token_of(email)
    with db.begin() as connection:
        past = clock.now() - timedelta(seconds=1)
        connection.execute(update(email_tokens).values(expires_at=past))
    body = {"token": token, "password": ANOTHER}
    assert nobody.post("auth/password/reset", body).status_code == 404
    assert is_in(log_in(nobody, email))


def test_asking_does_not_tell_whether_there_is_an_account(
    nobody: Caller, email: str, inbox: Inbox, db: Engine
) -> None:
    """Measured by what is done: clock times prove nothing on a busy machine."""
    registered(nobody, email)
    done: list[list[str]] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        done[-1].append(statement)

    event.listen(db, "before_cursor_execute", note)
    try:
        answers = []
        for address in (email, f"x{email}"):
            done.append([])
            answers.append(nobody.post("auth/password/forgot", {"email": address}))
    finally:
        event.remove(db, "before_cursor_execute", note)
    assert [each.status_code for each in answers] == [202, 202]
    assert answers[0].data == answers[1].data == b""
    assert done[0] == done[1]
    assert done[0]
    assert len(inbox.of(email)) == 1
    assert inbox.of(f"x{email}") == []


def test_nobody_is_flooded_with_mail(nobody: Caller, email: str, inbox: Inbox) -> None:
    registered(nobody, email)
    for _ in range(3):
        assert nobody.post("auth/password/forgot", {"email": email}).status_code == 202
    assert len(inbox.of(email)) == 1


def test_a_disabled_account_gets_no_token(
    nobody: Caller, email: str, inbox: Inbox, db: Engine
) -> None:
    registered(nobody, email)
    with db.begin() as connection:
        query = update(users).where(users.c.email == email)
        connection.execute(query.values(disabled_at=clock.now()))
    nobody.post("auth/password/forgot", {"email": email})
    assert inbox.of(email) == []


def test_members_work_once_their_address_is_verified_where_that_is_required(
    nobody: Caller, db: Engine, servers: Servers, email: str, inbox: Inbox
) -> None:
    caller = registered(nobody, email)
    url = db.url.render_as_string(hide_password=False)
    strict = create_app(settings_for(url, servers.redis_url, require_verified_email=True), db)
    caller = Caller(strict, caller.token)
    assert caller.get("jobs").status_code == 403
    assert caller.post("auth/email/resend").status_code == 202
    token = inbox.token_of(email)
    # A token is for its purpose only.
    reset = {"token": token, "password": ANOTHER}
    assert nobody.post("auth/password/reset", reset).status_code == 404
    assert nobody.post("auth/email/verify", {"token": token}).status_code == 204
    assert caller.get("jobs").status_code == 200
    assert caller.get("auth/me").json["user"]["email_verified"] is True
    assert nobody.post("auth/email/verify", {"token": token}).status_code == 404


def test_another_mail_to_verify_comes_on_request_but_not_at_once(
    nobody: Caller, email: str, inbox: Inbox, db: Engine
) -> None:
    caller = registered(nobody, email)
    # Without a mail server nothing is verified by itself.
    assert inbox.of(email) == []
    for _ in range(2):
        assert caller.post("auth/email/resend").status_code == 202
    token = inbox.token_of(email)
    assert len(inbox.of(email)) == 1
    nobody.post("auth/email/verify", {"token": token})
    with db.begin() as connection:
        connection.execute(
            update(email_tokens).values(created_at=clock.now() - timedelta(minutes=2))
        )
    # There is nothing left to verify.
    assert caller.post("auth/email/resend").status_code == 202
    assert len(inbox.of(email)) == 1
