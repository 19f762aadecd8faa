"""E-mails lead to pages: to confirm an address, choose a password, accept an invitation."""

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from chronos_api.app import create_app
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage.tables import users
from integration.api.api_settings import settings_for
from integration.api.callers import Caller
from integration.api.inbox import Inbox
from integration.api.ui.pages import Browser, Page

PASSWORD, ANOTHER = "a long enough password", "another long password"


@pytest.fixture(scope="module")
def with_mail(db: Engine, servers: Servers) -> Flask:
    """The application of an installation with a mail server."""
    url = db.url.render_as_string(hide_password=False)
    return create_app(settings_for(url, servers.redis_url, smtp_url="smtp://127.0.0.1:9"), db)


@pytest.fixture
def email() -> str:
    return f"{uuid4()}@example.com"


def log_in(browser: Browser, email: str, password: str) -> Page:
    form = browser.get("/ui/login").form("/login")
    return browser.follow(browser.submit(form, email=email, password=password))


def test_a_registration_is_confirmed_by_the_page_of_its_mail(
    with_mail: Flask, inbox: Inbox, email: str
) -> None:
    browser = Browser(with_mail)
    form = browser.get("/ui/register").form("/register")
    assert "Look into your mail" in browser.submit(form, email=email, password=PASSWORD).text
    form = browser.get(inbox.page_of(email)).form("/verify")
    assert "The address is confirmed" in browser.submit(form).text
    assert email in log_in(browser, email, PASSWORD).text
    again = Page(browser.submit(form))
    assert (again.status, "no such token" in again.text) == (404, True)


def test_reading_the_page_of_a_mail_uses_nothing_up(
    with_mail: Flask, inbox: Inbox, email: str
) -> None:
    browser = Browser(with_mail)
    form = browser.get("/ui/register").form("/register")
    browser.submit(form, email=email, password=PASSWORD)
    path = inbox.page_of(email)
    for _ in range(3):
        assert browser.get(path).status == 200
    assert browser.submit(browser.get(path).form("/verify")).status_code == 200


def test_another_password_is_chosen_by_the_page_of_a_mail(
    app: Flask, nobody: Caller, inbox: Inbox, email: str
) -> None:
    nobody.post("auth/register", {"email": email, "password": PASSWORD})
    browser = Browser(app)
    form = browser.get("/ui/login")
    assert "/ui/forgot" in form.links()
    form = browser.get("/ui/forgot").form("/forgot")
    answers = {browser.submit(form, email=each).text for each in (email, f"x{email}")}
    assert len(answers) == 1
    form = browser.get(inbox.page_of(email)).form("/reset")
    assert browser.submit(form, password="short").status_code == 422
    assert "The password is changed" in browser.submit(form, password=ANOTHER).text
    assert email in log_in(browser, email, ANOTHER).text


def test_an_invitation_is_accepted_by_the_page_of_its_mail(
    app: Flask, caller: Caller, stranger: Caller, inbox: Inbox, db: Engine
) -> None:
    with db.connect() as connection:
        query = select(users.c.email).where(users.c.id == stranger.user_id)
        address = connection.execute(query).scalar_one()
    owner, invited = Browser(app, caller), Browser(app, stranger)
    form = owner.get("/ui/settings").form("/settings/invitations")
    owner.follow(owner.submit(form, email=address, role="viewer"))
    path = inbox.page_of(address)
    assert Browser(app).client.get(path).headers["Location"].startswith("/ui/login?next=")
    page = invited.follow(invited.submit(invited.get(path).form("/invitation")))
    assert page.status == 200
    assert str(caller.workspace_id) in "".join(page.links())
    assert address in owner.get("/ui/settings").text


def test_somebody_without_an_account_registers_with_an_invitation(
    app: Flask, caller: Caller, inbox: Inbox, email: str
) -> None:
    owner, browser = Browser(app, caller), Browser(app)
    form = owner.get("/ui/settings").form("/settings/invitations")
    owner.follow(owner.submit(form, email=email, role="editor"))
    token = inbox.token_of(email)
    form = browser.get(f"/ui/register?invitation={token}").form("/register")
    page = browser.follow(browser.submit(form, email=email, password=PASSWORD))
    assert page.status == 200
    assert email in owner.get("/ui/settings").text
