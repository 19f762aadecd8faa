"""How a user likes the dashboard: times, colours, views, and where they are logged in."""

from datetime import timedelta
from uuid import uuid4

from flask import Flask
from sqlalchemy import Engine

from chronos_common import clock
from chronos_common.storage.accounts import users
from integration.api.callers import Caller
from integration.api.ui.pages import Browser, failed
from integration.api.ui.test_pages import check


def test_times_are_shown_in_the_chosen_zone_and_keep_utc(
    caller: Caller, app: Flask, db: Engine
) -> None:
    execution = failed(db, caller, caller.create()["id"])
    browser = Browser(app, caller)
    form = browser.get("/ui/account").form("/account/preferences")
    page = browser.follow(browser.submit(form, time_zone="Asia/Kolkata", theme="dark"))
    assert page.form("/account/preferences").fields["time_zone"] == "Asia/Kolkata"
    assert page.all("html")[0]["data-theme"] == "dark"
    page = browser.get(f"/ui/executions/{execution}")
    assert " IST" in page.text
    assert " UTC" in next(each["title"] for each in page.all("time") if "title" in each)


def test_the_pages_before_a_login_keep_the_colours_of_the_last_user(
    caller: Caller, app: Flask
) -> None:
    browser = Browser(app, caller)
    caller.put("auth/me/preferences", {"theme": "dark"})
    form = browser.get("/ui/").form("/logout")
    browser.submit(form)
    for path in ("login", "register", "forgot", "reset?token=x", "nothing"):
        page = browser.get(f"/ui/{path}")
        assert page.all("html")[0]["data-theme"] == "dark", path
        scheme = next(each for each in page.all("meta") if each.get("name") == "color-scheme")
        assert scheme["content"] == "dark"
    browser.client.set_cookie("chronos-theme", "pink", path="/ui/")
    assert browser.get("/ui/login").all("html")[0]["data-theme"] == "auto"


def test_a_time_zone_that_is_none_is_named(caller: Caller, app: Flask) -> None:
    browser = Browser(app, caller)
    form = browser.get("/ui/account").form("/account/preferences")
    answer = browser.submit(form, time_zone="Europe/Berln")
    assert (answer.status_code, "Europe/Berlin" in answer.text) == (422, True)


def test_a_view_is_kept_shown_and_forgotten(caller: Caller, app: Flask) -> None:
    browser = Browser(app, caller)
    assert "Keep this view" not in browser.get("/ui/jobs").text
    page = browser.get("/ui/jobs?status=paused&sort=name&as_of=")
    page = browser.follow(browser.submit(page.form("/account/views"), name='Mine "<b>'))
    check(page)
    assert "/ui/jobs?status=paused&sort=name" in page.links()
    assert 'Mine "<b>' in page.text
    assert "Keep this view" not in page.text
    assert 'Mine "<b>' not in browser.get("/ui/executions").text
    page = browser.follow(browser.submit(page.form("/account/views/delete")))
    assert 'Mine "<b>' not in page.text


def test_a_login_elsewhere_is_ended(caller: Caller, app: Flask, db: Engine) -> None:
    now, family_id = clock.now(), uuid4()
    with db.begin() as connection:
        users.insert_refresh_token(
            connection,
            uuid4(),
            user_id=caller.user_id,
            family_id=family_id,
            now=now,
            expires_at=now + timedelta(days=1),
            user_agent="Mozilla/5.0 (Windows NT 10.0) Firefox/145",
            address="192.0.2.7",
        )
    browser = Browser(app, caller)
    page = browser.get("/ui/account")
    assert "Firefox on Windows" in page.text
    assert "192.0.2.7" in page.text
    page = browser.follow(browser.submit(page.form(f"/sessions/{family_id}/end")))
    assert "Firefox on Windows" not in page.text
    assert not [form for form in page.forms if form.action.endswith("/end")]


def test_a_form_leads_back_to_pages_of_ours_alone(caller: Caller, app: Flask) -> None:
    browser = Browser(app, caller)
    form = browser.get("/ui/jobs").form("/account/time-zone")
    assert form.fields["next"] == "/ui/jobs"
    for path in ("//evil.example/", "https://evil.example/", "/ui/\\evil", "/api/v1/jobs"):
        answer = browser.submit(form, time_zone="UTC", next=path)
        assert answer.headers["Location"] == "/ui/"
