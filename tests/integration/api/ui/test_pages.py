"""Every page, for everybody who may see it: sound HTML, own scripts alone, links that lead on."""

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine

from browser.places import PAGES as PAGES_IN_BROWSER
from chronos_api.security import access
from chronos_api.security.access import Audience, Role
from integration.api.callers import Caller, register
from integration.api.route_table import PAGES, Places, Route
from integration.api.ui.pages import Browser, Page, failed

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "{{7*7}}{% raw %}",
    "'-alert(1)-'",
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
)


def page_routes(app: Flask, method: str) -> Iterator[Route]:
    """Yield the pages of members, in the first workspace."""
    for rule in app.url_map.iter_rules():
        declared = access.access_of(app.view_functions[rule.endpoint])
        is_page = rule.rule.startswith(PAGES) and "<uuid:workspace>" not in rule.rule
        if is_page and declared.audience is Audience.MEMBERS and method in (rule.methods or ()):
            yield Route(method, rule.rule, frozenset(rule.arguments), declared)


def check(page: Page) -> None:
    """Hold a page against the rules of all pages."""
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    ids = [given["id"] for _, given in page.elements if "id" in given]
    assert len(ids) == len(set(ids)), ids
    for tag, given in page.elements:
        assert not [name for name in given if name.startswith("on") or name == "style"], given
        assert tag not in {"style", "iframe", "object", "base"}
        if tag == "script":
            assert given["src"].startswith("/ui/assets/")
    for form in page.forms:
        if form.method == "post":
            assert form.fields.get("csrf_token"), form.action
    unlabelled = re.findall(
        r"<(?:input|select|textarea)(?![^>]*(?:hidden|aria-label))[^>]*>", page.html
    )
    labels = re.findall(r"<label.*?</label>", page.html, re.DOTALL)
    for control in unlabelled:
        assert any(control in label for label in labels), control
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "require-trusted-types-for 'script'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"


def address_of(route: Route, places: Places) -> str:
    path = route.path(places.of(route)).replace("<path:_rest>", "nothing")
    return re.sub(r"<uuid:(\w+)>", lambda match: places.of(route)[match[1]], path)


@pytest.mark.parametrize("role", Role)
def test_every_page_is_sound_and_shows_what_the_role_may_do(
    caller: Caller, app: Flask, db: Engine, role: Role
) -> None:
    places = Places(caller, db)
    browser = Browser(app, caller.me_in(role, db))
    for route in page_routes(app, "GET"):
        page_address = address_of(route, places)
        assert route.access.role is not None
        if role.includes(route.access.role):
            answer = browser.client.get(page_address)
            assert answer.status_code == 200, (page_address, answer.text)
            if answer.mimetype == "text/html":
                check(Page(answer))
        else:
            page = browser.get(page_address)
            assert (page.status, f"role '{route.access.role}'" in page.html) == (403, False)
            assert f"{route.access.role}" in page.text
            check(page)


def test_every_page_leads_nobody_but_members_anywhere(
    caller: Caller, stranger: Caller, app: Flask, db: Engine
) -> None:
    places = Places(caller, db)
    for route in page_routes(app, "GET"):
        page_address = address_of(route, places)
        location = app.test_client().get(page_address).headers["Location"]
        assert location.startswith("/ui/login?next=/ui/")
        elsewhere = page_address.replace("/ui/", f"/ui/w/{caller.workspace_id}/", 1)
        assert Browser(app, stranger).get(elsewhere).status == 404
        assert Browser(app, caller).client.get(elsewhere).status_code == 200
        if route.arguments:
            assert Browser(app, stranger).get(page_address).status == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_a_form_is_refused_to_whom_the_page_does_not_show_it(
    caller: Caller, app: Flask, db: Engine, role: Role
) -> None:
    places, browser = Places(caller, db), Browser(app, caller.me_in(role, db))
    headers = {"X-CSRF-Token": "csrf-token"}
    for route in page_routes(app, "POST"):
        assert route.access.role is not None
        if not role.includes(route.access.role):
            answer = browser.client.post(address_of(route, places), headers=headers)
            assert answer.status_code == 403, str(route)
    shown = {form.action for form in browser.get("/ui/settings").forms}
    assert {each for each in shown if "settings" in each} == set()


def test_the_links_of_every_page_lead_to_pages(caller: Caller, app: Flask, db: Engine) -> None:
    failed(db, caller, caller.create(tags=["eu"])["id"])
    browser, seen, waiting = Browser(app, caller), set[str](), ["/ui/"]
    while waiting:
        page_address = waiting.pop(0)
        answer = browser.client.get(page_address)
        assert answer.status_code == 200, page_address
        seen.add(page_address.partition("?")[0])
        if answer.mimetype == "text/html" and page_address.startswith("/ui/"):
            # One link to each page: the bars of a chart are many.
            links = {link.partition("?")[0]: link for link in Page(answer).links()}
            known = seen | {each.partition("?")[0] for each in waiting}
            waiting += [
                links[path] for path in links if path.startswith("/") and path not in known
            ]
    assert {"/ui/jobs", "/ui/executions", "/ui/jobs/new", "/docs"} <= seen


@pytest.mark.parametrize("text", HOSTILE)
def test_the_texts_of_users_stay_texts(app: Flask, db: Engine, text: str) -> None:
    owner = register(app, db)
    body = {"url": "https://example.com/", "headers": {"X-Text": "y"}, "body": {text: text}}
    job = owner.create(name=text[:100], description=text, tags=[text[:30]], payload=body)
    execution = failed(db, owner, job["id"], text)
    browser = Browser(app, owner)
    for path in (
        "",
        "jobs",
        f"jobs/{job['id']}",
        f"jobs/{job['id']}/edit",
        "executions",
        f"executions/{execution}",
        "audit",
        f"jobs?search={text[:20]}",
    ):
        page = browser.get(f"/ui/{path}")
        check(page)
        assert not page.all("img"), path
        assert "49{%" not in page.text, path


def test_a_page_that_is_not_there_says_so(caller: Caller, app: Flask) -> None:
    browser = Browser(app, caller)
    for path in ("/ui/nothing", f"/ui/jobs/{uuid4()}", "/ui/jobs/none"):
        page = browser.get(path)
        assert page.status == 404
        check(page)


def test_wrong_filters_are_named_and_left_out(caller: Caller, app: Flask) -> None:
    caller.create(name="Ping")
    browser = Browser(app, caller)
    page = browser.get("/ui/jobs?status=asleep&sort=colour&limit=1000000&page=x&colour=red")
    assert page.status == 200
    for name in ("status", "sort", "limit", "colour"):
        assert f"<code>{name}</code>" in page.html
    assert "Ping" in page.text


def test_links_repeat_only_the_filters_of_an_address(caller: Caller, app: Flask) -> None:
    """Fails if a link takes over the other names, of which the router has some of its own."""
    for name in ("Ping", "Pong"):
        caller.create(name=name)
    hostile = "_scheme=javascript&_external=1&_anchor=x&workspace=1&page=1"
    page = Browser(app, caller).get(f"/ui/jobs?limit=1&search=p&{hostile}")
    (older,) = (each["href"] for each in page.all("a") if each.get("rel") == "next")
    assert older.startswith("/ui/jobs?")
    assert "search=p" in older
    assert not [link for link in page.links() if "javascript" in link or "_anchor" in link]


def test_assets_are_kept_for_ever_and_known_by_their_content(app: Flask) -> None:
    client = app.test_client()
    page = Page(client.get("/ui/login"))
    (script,), (style, _) = page.all("script"), page.all("link")
    for asset, kind in ((script["src"], "text/javascript"), (style["href"], "text/css")):
        answer = client.get(asset, headers={"Accept-Encoding": "gzip"})
        assert (answer.status_code, answer.mimetype) == (200, kind)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "immutable" in answer.headers["Cache-Control"]
        assert client.get(asset.replace("/assets/", "/assets/0")).status_code == 404


def test_every_page_without_a_variable_is_looked_at_in_a_browser(app: Flask) -> None:
    """Fails if a page is missing in ``browser.places``, and so in the tests of accessibility."""
    looked_at = {path.partition("?")[0] for path in PAGES_IN_BROWSER}
    pages = {
        route.rule.removeprefix(PAGES) for route in page_routes(app, "GET") if not route.arguments
    }
    assert pages - looked_at == set()
