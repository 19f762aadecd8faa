"""The session of a browser, and the attacks that it has to withstand."""

from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from chronos_api.security import browser_sessions, tokens
from chronos_common.storage.tables import refresh_tokens, users
from integration.api.callers import Caller
from integration.api.ui.pages import Browser

PASSWORD = "a long enough password"
FOREIGN = ("cross-site", "same-site")


@pytest.fixture
def address(nobody: Caller) -> str:
    """The address of somebody who has an account with PASSWORD."""
    email = f"{nobody.user_id}@example.com"
    made = nobody.post("auth/register", {"email": email, "password": PASSWORD})
    assert made.status_code == 201, made.text
    return email


def logged_in(app: Flask, email: str) -> Browser:
    browser = Browser(app)
    answer = browser.submit(
        browser.get("/ui/login").form("/login"), email=email, password=PASSWORD
    )
    assert answer.status_code == 303, answer.text
    return browser


def test_a_browser_logs_in_where_it_wanted_to_go_and_out_again(app: Flask, address: str) -> None:
    browser = Browser(app)
    answer = browser.client.get("/ui/jobs?status=active")
    assert answer.headers["Location"] == "/ui/login?next=/ui/jobs?status%3Dactive"
    form = browser.get(answer.headers["Location"]).form("/login")
    answer = browser.submit(form, email=address, password=PASSWORD)
    page = browser.follow(answer)
    assert (answer.headers["Location"], page.status) == ("/ui/jobs?status=active", 200)
    assert address in page.text
    answer = browser.submit(page.form("/logout"))
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert browser.client.get("/ui/jobs").headers["Location"].startswith("/ui/login")


def test_the_session_ends_for_the_server_too(app: Flask, address: str) -> None:
    browser = logged_in(app, address)
    kept = browser.client.get_cookie("chronos").value
    browser.submit(browser.get("/ui/").form("/logout"))
    thief = Browser(app)
    thief.client.set_cookie("chronos", kept)
    assert thief.client.get("/api/v1/jobs").status_code == 401
    assert thief.client.get("/ui/").status_code == 303


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_script_reads_the_cookie_and_https_protects_it(
    app: Flask, address: str, scheme: str
) -> None:
    client = app.test_client()
    base = f"{scheme}://localhost/"
    form = client.get("/ui/login", base_url=base)
    token = form.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    fields = {"csrf_token": token, "email": address, "password": PASSWORD}
    answer = client.post("/ui/login", data=fields, base_url=base)
    assert answer.status_code == 303, answer.text
    (cookie,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    is_secure = scheme == "https"
    assert cookie.key == ("__Host-chronos" if is_secure else "chronos")
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert bool(cookie["secure"]) is is_secure
    assert cookie["domain"] == ""


def test_a_wrong_password_is_said_and_keeps_the_address(app: Flask, address: str) -> None:
    browser = Browser(app)
    form = browser.get("/ui/login").form("/login")
    answer = browser.submit(form, email=address, password="wrong password")
    assert answer.status_code == 401
    assert "address or the password is wrong" in answer.text
    assert f'value="{address}"' in answer.text
    assert browser.client.get_cookie("chronos") is None


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/",
        "https://evil.example/",
        "/ui//evil.example",
        "/ui/\\evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/api/v1/jobs",
        "/ui/\r\nX: y",
    ],
)
def test_the_login_leads_nowhere_else(app: Flask, address: str, path: str) -> None:
    browser = Browser(app)
    form = browser.get("/ui/login").form("/login")
    answer = browser.submit(form, email=address, password=PASSWORD, next=path)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/")


def test_a_login_that_another_site_sends_is_refused(app: Flask, address: str) -> None:
    """Fails without the token of the form, by which a browser shows that it has seen the page."""
    fields = {"email": address, "password": PASSWORD, "csrf_token": "guessed"}
    for client in (app.test_client(), logged_in(app, address).client):
        answer = client.post("/ui/login", data=fields)
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize("path", ["/api/v1/jobs/{}/pause", "/ui/jobs/{}/pause"])
def test_a_change_needs_the_token_of_the_session(
    app: Flask, caller: Caller, stranger: Caller, path: str
) -> None:
    job, browser = caller.create(), Browser(app, caller)
    path = path.format(job["id"])
    other = Browser(app, stranger).get("/ui/").form("/logout").fields["csrf_token"]
    other = f"{other[:-1]}x"
    for headers in ({}, {"X-CSRF-Token": "csrf-tokem"}, {"X-CSRF-Token": other}):
        assert browser.client.post(path, headers=headers).status_code == 403, headers
    assert caller.get(f"jobs/{job['id']}").json["status"] == "active"
    right = {"X-CSRF-Token": "csrf-token"}
    assert browser.client.post(path, headers=right).status_code in {200, 303}
    assert caller.get(f"jobs/{job['id']}").json["status"] == "paused"


@pytest.mark.parametrize("site", FOREIGN)
def test_the_browsers_word_that_another_site_asks_is_enough_to_refuse(
    app: Flask, caller: Caller, site: str
) -> None:
    job = caller.create()
    headers = {"X-CSRF-Token": "csrf-token", "Sec-Fetch-Site": site}
    answer = Browser(app, caller).client.post(f"/api/v1/jobs/{job['id']}/pause", headers=headers)
    assert answer.status_code == 403
    assert "Load the page again" in answer.json["detail"]


def test_programs_with_a_token_need_nothing_else(app: Flask, caller: Caller) -> None:
    job = caller.create()
    headers = {"Authorization": f"Bearer {caller.token}", "Sec-Fetch-Site": "cross-site"}
    answer = app.test_client().post(f"/api/v1/jobs/{job['id']}/pause", headers=headers)
    assert answer.status_code == 200


def test_a_session_is_no_access_token_and_an_access_token_no_session(
    app: Flask, caller: Caller
) -> None:
    with app.app_context():
        claims = tokens.read(caller.token, tokens.ACCESS)
        session = tokens.session_token(claims.user_id, claims.family_id, csrf="x")
    assert Caller(app, session).get("jobs").status_code == 401
    browser = Browser(app)
    browser.client.set_cookie("chronos", caller.token)
    assert browser.client.get("/api/v1/jobs").status_code == 401


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "é", "x" * 3000])
def test_a_cookie_that_is_none_of_ours_is_no_session(app: Flask, value: str) -> None:
    browser = Browser(app)
    browser.client.set_cookie("chronos", value)
    assert browser.client.get("/ui/").status_code == 303
    assert browser.client.get("/api/v1/jobs").status_code == 401


def test_a_disabled_account_has_no_session(app: Flask, caller: Caller, db: Engine) -> None:
    browser = Browser(app, caller)
    assert browser.get("/ui/").status == 200
    with db.begin() as connection:
        now = connection.execute(select(users.c.created_at)).scalars().first()
        connection.execute(
            users.update().where(users.c.id == caller.user_id).values(disabled_at=now)
        )
    assert browser.client.get("/ui/").status_code == 303


def test_somebody_registers_in_a_browser(app: Flask, nobody: Caller) -> None:
    browser = Browser(app)
    form = browser.get("/ui/register").form("/register")
    email = f"{nobody.user_id}@example.com"
    refused = browser.submit(form, email=email, password="short")
    assert (refused.status_code, "password" in refused.text) == (422, True)
    page = browser.follow(browser.submit(form, email=email, password=PASSWORD))
    assert "There is no job yet" in page.text


def test_a_session_that_is_used_goes_on(
    app: Flask, caller: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails without a later end of the login itself: its rows are removed when they expire."""
    browser = Browser(app, caller)
    assert "Set-Cookie" not in browser.get("/ui/jobs").headers
    monkeypatch.setattr(browser_sessions, "RENEWED_AFTER", timedelta(seconds=-1))
    before = browser.client.get_cookie("chronos").value
    page = browser.get("/ui/jobs")
    assert browser.client.get_cookie("chronos").value != before
    assert page.form("/logout").fields["csrf_token"] == "csrf-token"
    with db.connect() as connection:
        query = select(refresh_tokens).where(refresh_tokens.c.user_id == caller.user_id)
        families = {row.family_id for row in connection.execute(query)}
        rows = connection.execute(query).all()
    assert (len(families), len(rows)) == (1, 2)
    # Whoever repeats a session that is due makes no further rows.
    assert browser.get("/ui/jobs").status == 200
    assert browser.get("/ui/jobs").status == 200
    with db.connect() as connection:
        assert len(connection.execute(query).all()) == 2
