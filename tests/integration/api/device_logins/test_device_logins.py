"""Logins of programs: asked for by a program, answered on the page, exchanged for a key once."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text, update

from chronos_api.app import create_app
from chronos_api.security import lockouts
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage.tables import device_logins
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, errors_of
from integration.api.ui.pages import Browser, Form, Page

WISH = {"name": "CLI", "scopes": ["jobs:read"]}
READING = ["executions:read", "jobs:read"]


@pytest.fixture
def codes(nobody: Caller) -> dict[str, Any]:
    """The codes of a program that asks to read."""
    answer = nobody.post("auth/device", {"name": "chronos on <b>laptop</b>", "scopes": READING})
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


@pytest.fixture
def browser(app: Flask, caller: Caller) -> Browser:
    return Browser(app, caller)


def poll(nobody: Caller, db: Engine, codes: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Poll as a program that has waited for long enough."""
    past = text("polled_at - interval '2 minutes'")
    with db.begin() as connection:
        connection.execute(update(device_logins).values(polled_at=past))
    answer = nobody.post("auth/device/token", {"device_code": codes["device_code"]})
    return answer.status_code, dict(answer.json or {})


def asking(browser: Browser, code: str) -> Page:
    """Type a code, and return the page that follows."""
    form = browser.get("/ui/device").form("/device")
    return Page(browser.submit(form, code=code))


def approval(page: Page, *scopes: str) -> Form:
    """Return the form that approves, with these scopes, of which a browser may send many."""
    form = page.form("/device/approve")
    form.fields["scopes"] = list(scopes)  # type: ignore[assignment] - Werkzeug sends each of them
    return form


def test_a_program_that_was_approved_gets_a_key_once(
    nobody: Caller, caller: Caller, db: Engine, codes: dict[str, Any], browser: Browser
) -> None:
    assert poll(nobody, db, codes) == (202, {"interval": 5})
    filled = Page(browser.client.get(codes["verification_uri_complete"])).form("/device")
    assert filled.fields["code"] == codes["user_code"]
    page = Page(browser.submit(filled))
    assert "chronos on <b>laptop</b>" in page.text
    assert "127.0.0.1" in page.text
    boxes = [each for each in page.all("input") if each.get("name") == "scopes"]
    assert [each["value"] for each in boxes if "checked" in each] == READING[::-1]

    done = Page(browser.submit(approval(page, "jobs:read")))
    assert "was approved" in done.text
    status, made = poll(nobody, db, codes)
    assert (status, made["scopes"]) == (200, ["jobs:read"])
    by_key = Caller(nobody.app, made["key"])
    assert by_key.get("jobs").status_code == 200
    assert by_key.get("executions").status_code == 403
    assert poll(nobody, db, codes)[0] == 404

    assert [each["id"] for each in caller.get("keys").json["items"]] == [made["id"]]
    entries = caller.get("audit").json["items"]
    assert [each["action"] for each in entries] == ["key.create", "device_login.approve"]
    assert caller.delete(f"keys/{made['id']}").status_code == 204
    assert by_key.get("jobs").status_code == 401


def test_a_code_may_be_typed_in_any_case_and_without_its_hyphen(
    codes: dict[str, Any], browser: Browser
) -> None:
    typed = f" {codes['user_code'].replace('-', ' ').lower()} "
    assert asking(browser, typed).form("/device/approve").fields["code"] == codes["user_code"]


def test_a_program_that_was_refused_is_told_so(
    nobody: Caller, caller: Caller, db: Engine, codes: dict[str, Any], browser: Browser
) -> None:
    page = asking(browser, codes["user_code"])
    assert "was refused" in Page(browser.submit(page.form("/device/refuse"))).text
    assert poll(nobody, db, codes)[0] == 403
    assert asking(browser, codes["user_code"]).status == 404
    assert Page(browser.submit(approval(page, "jobs:read"))).status == 404
    assert caller.get("keys").json["items"] == []
    assert caller.get("audit?action=user.refuse_device_login").json["total"] == 1


def test_codes_that_expired_are_as_unknown_as_wrong_ones(
    nobody: Caller, db: Engine, codes: dict[str, Any], browser: Browser
) -> None:
    page = asking(browser, codes["user_code"])
    with db.begin() as connection:
        past = clock.now() - timedelta(seconds=1)
        connection.execute(update(device_logins).values(expires_at=past))
    wrong = nobody.post("auth/device/token", {"device_code": "wrong"}).json
    assert poll(nobody, db, codes)[1]["detail"] == wrong["detail"]
    assert asking(browser, codes["user_code"]).text == asking(browser, "BCDF-GHJK").text
    assert Page(browser.submit(approval(page, "jobs:read"))).status == 404


def test_a_program_that_does_not_wait_has_to_wait_longer(
    nobody: Caller, db: Engine, codes: dict[str, Any]
) -> None:
    body = {"device_code": codes["device_code"]}
    assert nobody.post("auth/device/token", body).status_code == 202
    waits = [nobody.post("auth/device/token", body).headers["Retry-After"] for _ in range(13)]
    assert (waits[:2], waits[-1]) == (["10", "15"], "60")
    assert poll(nobody, db, codes) == (202, {"interval": 60})


@pytest.mark.parametrize("end", ["logged out", "no owner any more"])
def test_an_approval_ends_with_the_rights_of_the_approver(
    nobody: Caller, caller: Caller, db: Engine, codes: dict[str, Any], browser: Browser, end: str
) -> None:
    caller.me_in("owner", db)
    browser.submit(approval(asking(browser, codes["user_code"]), "jobs:read"))
    if end == "logged out":
        caller.post("auth/logout")
    else:
        caller.patch(f"members/{caller.user_id}", {"role": "editor"})
    assert poll(nobody, db, codes)[0] == 403


def test_only_an_owner_approves(
    caller: Caller, stranger: Caller, app: Flask, db: Engine, codes: dict[str, Any]
) -> None:
    for visitor, workspace in (
        (caller.me_in("editor", db), caller.workspace_id),
        (stranger, caller.workspace_id),
    ):
        browser = Browser(app, visitor)
        page = asking(browser, codes["user_code"])
        shown = {form.action for form in page.forms}
        assert ("/ui/device/approve" in shown) == (visitor is stranger)
        form = Form("/ui/device/approve", "post", page.form("/device/refuse").fields)
        refused = Page(browser.submit(form, workspace_id=str(workspace), scopes="jobs:read"))
        assert (refused.status, "Only an owner" in refused.text) == (403, True)


def test_wrong_answers_are_named_and_change_nothing(
    codes: dict[str, Any], browser: Browser
) -> None:
    page = asking(browser, codes["user_code"])
    wrong = Page(browser.submit(approval(page), expires_at="2020-01-31T00:00:00Z"))
    assert (wrong.status, "From 1 to 8 scopes" in wrong.text) == (422, True)
    late = Page(browser.submit(approval(wrong, "jobs:read"), expires_at="2020-01-31T00:00:00Z"))
    assert (late.status, "Must be in the future" in late.text) == (422, True)
    assert late.form("/device/approve").fields["expires_at"] == "2020-01-31T00:00:00Z"
    assert Page(browser.submit(approval(late, "jobs:read"), expires_at="")).status == 200


def test_guesses_of_codes_count_as_failed_logins(
    codes: dict[str, Any], browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockouts, "FIRST_WAIT_SECONDS", 60)
    form = browser.get("/ui/device").form("/device")
    guesses = [
        browser.submit(form, code="BCDF-GHJK").status_code for _ in range(lockouts.FREE_FAILURES)
    ]
    assert set(guesses) == {404}
    locked = browser.submit(form, code=codes["user_code"])
    assert (locked.status_code, "Retry-After" in locked.headers) == (429, True)
    assert "Too many failed logins" in locked.text


def test_the_page_needs_a_login_and_its_own_token(
    app: Flask, codes: dict[str, Any], browser: Browser
) -> None:
    answer = Browser(app).client.get(codes["verification_uri_complete"])
    assert answer.headers["Location"].endswith(f"next=/ui/device?code%3D{codes['user_code']}")
    form = approval(asking(browser, codes["user_code"]), "jobs:read")
    for path in ("device", "device/approve", "device/refuse"):
        foreign = browser.client.post(f"/ui/{path}", data=form.fields | {"csrf_token": "guessed"})
        assert foreign.status_code == 403


def test_a_key_makes_no_other_key_by_the_page(caller: Caller, codes: dict[str, Any]) -> None:
    made = caller.post("keys", {"name": "CI", "scopes": ["jobs:read"]}).json
    body = {"code": codes["user_code"]}
    headers = {"X-API-Key": made["key"]}
    for path in ("device", "device/approve"):
        answer = caller.app.test_client().post(f"/ui/{path}", data=body, headers=headers)
        assert answer.status_code == 403


def test_what_asks_has_a_name_and_known_scopes(nobody: Caller) -> None:
    wrong = nobody.post("auth/device", {"name": " ", "scopes": ["everything"]})
    assert set(errors_of(wrong)) == {"name", "scopes.0"}


def test_requests_from_one_network_are_limited_as_logins_are(db: Engine, redis_url: str) -> None:
    url = db.url.render_as_string(hide_password=False)
    limited = create_app(settings_for(url, redis_url, login_rate_limit="2 per minute"), db)
    network = {"REMOTE_ADDR": "198.51.100.77"}
    statuses = [
        Caller(limited).post("auth/device", WISH, environ_base=network).status_code
        for _ in range(3)
    ]
    assert statuses == [200, 200, 429]


def test_without_a_dashboard_there_is_no_such_login(db: Engine, servers: Servers) -> None:
    url = db.url.render_as_string(hide_password=False)
    bare = create_app(settings_for(url, servers.redis_url, dashboard=False), db)
    answer = Caller(bare).post("auth/device", WISH)
    assert (answer.status_code, "no dashboard" in answer.json["detail"]) == (404, True)


def test_secrets_are_not_stored(db: Engine, codes: dict[str, Any]) -> None:
    with db.connect() as connection:
        rows = connection.execute(text("SELECT CAST(d AS text) FROM device_logins d")).scalars()
        assert codes["device_code"] not in "\n".join(rows)
