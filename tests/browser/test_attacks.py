"""Attacks on somebody who is logged in, in a real browser: other sites, other names, other texts.

The address of the dashboard is ``127.0.0.1``. To the browser, ``localhost`` is another site, and
another port of ``127.0.0.1`` is another origin of the same site.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from acceptance.up import Up
from browser.desk import Desk, Visit, opened_desk
from rigs import wait_until
from targets import Target, reply

pytestmark = [pytest.mark.xdist_group("up"), pytest.mark.timeout(600)]

REBOUND = "rebound.example"

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "javascript:alert(1)//",
    "{{7*7}}",
)


@pytest.fixture(scope="module")
def desk(up: Up) -> Iterator[Desk]:
    """The browser of somebody whose name server lies."""
    with opened_desk(up, f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as opened:
        yield opened


def serve(site: Target, html: str) -> None:
    site.answer = reply(200, html.encode(), {"Content-Type": "text/html"})


def sending(action: str, **fields: str) -> str:
    """Return a page that sends a form as soon as it is loaded."""
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    form = f'<form method="post" action="{action}">{inputs}</form>'
    return f"<!doctype html><title>x</title>{form}<script>document.forms[0].submit()</script>"


def lure(visit: Visit, url: str, path: str) -> int:
    """Go to a page that sends a form to ``path``, and return the status of the answer."""
    with visit.page.expect_response(f"**{path}") as answer:
        visit.page.evaluate("url => { location.href = url; }", url)
    visit.page.wait_for_url(f"{visit.address}{path}")
    return int(answer.value.status)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_form_of_another_site_or_origin_changes_nothing(
    desk: Desk, target: Target, host: str
) -> None:
    account = desk.register()
    made = desk.create(account, "Victim")
    path = f"/ui/jobs/{made['id']}/pause"
    with desk.visit(account) as visit:
        for fields in ({}, {"csrf_token": "guessed"}):
            serve(target, sending(f"{visit.address}{path}", **fields))
            status = lure(visit, target.url.replace("127.0.0.1", host), path)
            # No cookie is sent from another site. From another origin, one is.
            assert status == (401 if host == "localhost" else 403)
        read = desk.client(account).send("GET", f"/api/v1/jobs/{made['id']}")
        assert read["status"] == "active"
        visit.faults.clear()


def test_another_site_logs_nobody_in(desk: Desk, target: Target) -> None:
    """Fails without the token of the form: somebody would work in the attacker's account."""
    attacker, victim = desk.register(), desk.register()
    with desk.visit(victim) as visit:
        fields = {"email": attacker.email, "password": attacker.password, "csrf_token": "guessed"}
        serve(target, sending(f"{visit.address}/ui/login", **fields))
        assert lure(visit, target.url.replace("127.0.0.1", "localhost"), "/ui/login") == 403
        visit.open("/ui/account")
        expect(visit.page.get_by_role("heading", level=1)).to_have_text(victim.email)
        visit.faults.clear()


def test_no_page_is_shown_in_a_frame(desk: Desk, target: Target) -> None:
    with desk.visit(desk.register()) as visit:
        serve(
            target, f'<!doctype html><title>x</title><iframe src="{visit.address}/ui/"></iframe>'
        )
        page = visit.page
        page.goto(target.url)
        wait_until(lambda: any("frame-ancestors" in each for each in visit.faults), within=60)
        assert "Overview" not in page.frames[1].content()
        visit.faults.clear()


def test_a_name_that_was_bound_again_shows_nothing(desk: Desk) -> None:
    with desk.visit(desk.register()) as visit:
        answer = visit.page.goto(visit.address.replace("127.0.0.1", REBOUND) + "/ui/")
        assert answer is not None
        assert answer.status == 421
        visit.faults.clear()


def test_texts_of_users_and_targets_run_nowhere(desk: Desk, target: Target) -> None:
    """Fails if a page shows a text as HTML: a dialog opens, or the policy reports a script."""
    target.answer = reply(500, "".join(HOSTILE).encode(), {"X-Text": HOSTILE[0]})
    account = desk.register()
    for text in HOSTILE:
        payload: dict[str, Any] = {
            "url": f"{target.url}/?q={quote(text)}",
            "headers": {"X-Text": text},
            "body": {text: text},
        }
        fields = {"description": text, "tags": [text[:30]], "max_attempts": 1}
        made = desk.create(account, text, payload=payload, **fields)
        desk.client(account).send("POST", f"/api/v1/jobs/{made['id']}/execute", {})
    wait_until(lambda: len(target.received) == len(HOSTILE), within=60)
    with desk.visit(account) as visit:
        page = visit.page
        page.on("dialog", lambda dialog: visit.faults.append(f"dialog: {dialog.message}"))
        for path in (
            "",
            "jobs",
            f"jobs/{made['id']}",
            f"jobs/{made['id']}/edit",
            "failures",
            "audit",
        ):
            visit.open(f"/ui/{path}")
        visit.open("/ui/executions")
        expect(page.locator("tbody .status.failed")).to_have_count(len(HOSTILE))
        links = page.get_by_role("link", name="failed").evaluate_all(
            "all => all.map((a) => a.href)"
        )
        for link in links:
            page.goto(link)
            expect(page.get_by_text("onerror=alert(1)").first).to_be_attached()
        page.keyboard.press("Control+k")
        page.get_by_role("combobox", name="A page, a job or an id").fill("onerror")
        expect(page.get_by_role("option", name=HOSTILE[0])).to_be_visible()
        hrefs = page.locator("a").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
        assert not [each for each in hrefs if each and each.startswith(("javascript:", "data:"))]
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("Object.keys(localStorage)") == []


def test_an_old_page_is_told_so_and_keeps_what_was_typed(desk: Desk) -> None:
    """The token of another session, as a page has it that was open during a new login."""
    account = desk.register()
    with desk.visit(account) as visit, desk.visit(desk.register()) as other:
        theirs = token(other)
        page = visit.open("/ui/jobs/new")
        page.get_by_label("Name", exact=True).fill("Typed for long")
        page.get_by_label("Address", exact=True).fill("https://example.com/")
        for each in page.locator("[name=csrf_token]").all():
            each.evaluate("(input, token) => { input.value = token; }", theirs)
        page.get_by_role("button", name="Create the job").click()
        expect(page.get_by_text("This page is too old")).to_be_visible()
        assert desk.client(account).send("GET", "/api/v1/jobs")["total"] == 0
        page.go_back()
        expect(page.get_by_label("Name", exact=True)).to_have_value("Typed for long")
        visit.forgive("status of 403")


def test_a_cookie_of_nobody_leads_to_the_login(desk: Desk) -> None:
    with desk.visit(desk.register()) as visit:
        context = visit.page.context
        (cookie,) = [each for each in context.cookies() if each["name"] == "chronos"]
        context.add_cookies([cookie | {"value": cookie["value"][:-4] + "AAAA"}])
        page = visit.open("/ui/jobs")
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        assert page.url.endswith("/ui/login?next=/ui/jobs")


@pytest.mark.parametrize("page", ["verify", "reset", "register"])
def test_the_token_of_an_e_mail_leaves_the_address(desk: Desk, page: str) -> None:
    with desk.visit(desk.register()) as visit:
        name = "invitation" if page == "register" else "token"
        answer = visit.page.goto(f"{visit.address}/ui/{page}?{name}=from-the-mail")
        assert answer is not None
        assert answer.headers["referrer-policy"] == "no-referrer"
        visit.page.wait_for_function("() => location.search === ''")
        expect(visit.page.locator(f"[name={name}]")).to_have_value("from-the-mail")


def token(visit: Visit) -> str:
    page: Page = visit.open("/ui/")
    return str(page.locator("[name=csrf_token]").first.input_value())
