"""People at work in the dashboard: a real browser, a whole Chronos, real targets."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from acceptance.up import Up
from browser.desk import Visit, visiting
from browser.test_accessibility import RULES
from chronos_client.client import Chronos
from targets import Target, reply

# Each start takes both cores of a small machine, as those of test_up do.
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]


def create(page: Page, name: str, target: Target, **fields: str) -> None:
    """Fill the form of a new job that runs every n seconds, and send it."""
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Address", exact=True).fill(target.url)
    page.get_by_label("every …").check()
    page.get_by_label("Seconds from one run").fill(fields.pop("seconds", "1"))
    for label, value in fields.items():
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Create the job").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def act(page: Page, name: str, action: str) -> None:
    """Choose an action of the menu of a job's row, by the keyboard."""
    menu = page.get_by_label(f"Actions for {name}")
    menu.focus()
    menu.press("Enter")
    row = page.get_by_role("row").filter(has_text=name)
    row.get_by_text(action, exact=True).press("Enter")


def test_a_job_is_created_runs_and_is_seen_to_run(visit: Visit, target: Target) -> None:
    """Fails without live parts: nothing on this page is loaded again by hand."""
    page = visit.open("/ui/jobs/new")
    create(page, "Every second", target)
    expect(page.get_by_text("It has not run yet")).to_have_count(0)
    succeeded = page.locator("table .status.succeeded")
    expect(succeeded.first).to_be_visible()
    expect(page.locator("[data-live-state]")).to_have_text("● live")
    act(visit.open("/ui/jobs"), "Every second", "Pause")
    expect(page.get_by_role("row").filter(has_text="Every second")).to_contain_text("paused")
    page.get_by_role("link", name="Overview").click()
    # The server keeps figures for some seconds, also after the last event.
    expect(page.locator(".figures")).to_contain_text(re.compile(r"[1-9]\d* paused"))
    act(visit.open("/ui/jobs"), "Every second", "Delete…")
    page.get_by_label("Type its name").fill("Every second")
    page.get_by_role("button", name="Delete the job").click()
    expect(page.get_by_role("row").filter(has_text="Every second")).to_have_count(0)


def test_the_next_runs_follow_the_keys_and_an_error_is_named(visit: Visit) -> None:
    page = visit.open("/ui/jobs/new")
    preview = page.locator("[data-preview-box]")
    expect(preview).to_contain_text("At 09:00 every day")
    expression = page.get_by_role("textbox", name="Cron expression")
    expression.fill("30 2 * * MON-FRI")
    expect(preview).to_contain_text("At 02:30")
    expect(preview.locator("time")).to_have_count(10)
    page.get_by_label("Time zone").fill("Europe/Berlin")
    expect(preview).to_contain_text("Europe/Berlin")
    expression.fill("0 25 * * *")
    expect(preview.locator(".error")).to_contain_text("25")
    visit.forgive("the server responded with a status of 422")
    page.get_by_label("once", exact=True).check()
    expect(expression).to_be_hidden()
    expect(page.locator("[name=run_at]")).to_be_visible()


def test_a_payload_is_tested_before_anything_is_saved(visit: Visit, target: Target) -> None:
    page = visit.open("/ui/jobs/new")
    page.get_by_label("Address", exact=True).fill(target.url)
    page.get_by_role("button", name="Test it now").click()
    result = page.locator("[data-test-result]")
    expect(result).to_contain_text("✓ HTTP 200")
    target.answer = reply(404)
    page.get_by_role("button", name="Test it now").click()
    expect(result).to_contain_text("✕ HTTP 404")


def test_a_failure_leads_from_the_overview_to_its_answer(visit: Visit, target: Target) -> None:
    target.answer = reply(503, b"down for maintenance")
    create(visit.open("/ui/jobs/new"), "Failing", target, Attempts="1", seconds="3600")
    page = visit.page
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("failed"))
    expect(page.get_by_text("down for maintenance")).to_be_visible()
    visit.open("/ui/")
    attention = page.get_by_role("listitem").filter(has_text="Failing").filter(has_text="failed")
    attention.get_by_role("link", name="failed").click()
    expect(page.get_by_text("and failed with HTTP status 503")).to_be_visible()


def test_an_open_menu_stays_while_rows_change(visit: Visit, target: Target) -> None:
    """Fails if live parts are replaced while they are touched."""
    create(visit.open("/ui/jobs/new"), "Busy", target)
    page = visit.open("/ui/jobs")
    page.get_by_label("Actions for Busy").click()
    item = page.get_by_role("row").filter(has_text="Busy").get_by_text("Pause", exact=True)
    seen = len(target.received)
    expect(item).to_be_visible()
    # Long enough for two looks at the server, had the menu not been open.
    page.wait_for_function(
        "began => performance.now() - began > 12000", arg=page.evaluate("performance.now()")
    )
    assert len(target.received) > seen
    expect(item).to_be_visible()
    item.click()
    expect(page.get_by_role("row").filter(has_text="Busy")).to_contain_text("paused")


def test_everything_but_the_live_parts_works_without_scripts(up: Up, target: Target) -> None:
    with visiting(up, java_script_enabled=False) as visit:
        page = visit.open("/ui/jobs/new")
        create(page, "Plain", target, seconds="3600")
        page.get_by_text("Pause ▾").click()
        page.get_by_role("button", name="Pause it").click()
        expect(page.get_by_text("It is paused")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("button", name="Run now").click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.get_by_role("link", name="Jobs").first.click()
        page.get_by_label("Search").fill("plain")
        page.get_by_role("button", name="Apply").click()
        page.get_by_role("link", name="Plain").click()
        page.get_by_role("link", name="Delete…").click()
        page.get_by_label("Type its name").fill("Plain")
        page.get_by_role("button", name="Delete the job").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")


def test_a_program_is_let_in_from_a_phone(up: Up) -> None:
    with Chronos(up.address) as client, visiting(up, width=390, height=800) as visit:
        codes = client.device_logins.request("chronos on laptop", scopes=["jobs:read"])
        page = visit.open(codes.verification_uri_complete.removeprefix(up.address))
        page.get_by_role("button", name="Go on").click()
        expect(page.locator("main")).to_contain_text("chronos on laptop")
        expect(page.locator("main")).to_contain_text(codes.user_code)
        assert Axe().run(page, options=RULES).response["violations"] == []
        assert not visit.is_wider_than_the_screen()
        expect(page.get_by_label("jobs:write")).not_to_be_checked()
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("status")).to_contain_text("was approved")
        # The first poll need not wait.
        made = client.device_logins.wait(codes, sleep=lambda _: None)
        assert made.scopes == ("jobs:read",)
        visit.open("/ui/settings#keys")
        expect(page.get_by_role("row").filter(has_text="chronos on laptop")).to_be_visible()


def test_keys_and_the_palette_lead_anywhere(visit: Visit, target: Target) -> None:
    create(visit.open("/ui/jobs/new"), "Palette target", target, seconds="3600")
    page = visit.open("/ui/")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="A page, a job or an id").fill("palette tar")
    expect(page.get_by_role("option", name="Palette target")).to_be_visible()
    page.keyboard.press("Enter")
    # Keys have a meaning when a page has loaded, which its first words do not tell.
    page.wait_for_url(re.compile("/ui/jobs/[0-9a-f-]{36}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Palette target")
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url("**/ui/jobs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    page.keyboard.press("/")
    page.keyboard.type("palette j?x")
    search = page.get_by_role("searchbox", name="Search")
    expect(search).to_have_value("palette j?x")
    search.fill("Palette target")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/jobs?*search=Palette*")
    expect(page.locator("tr[data-key]")).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-picked]")).to_have_text("1 checked")
    page.keyboard.press("p")
    expect(page.get_by_role("row").filter(has_text="Palette target")).to_contain_text("paused")


def test_three_tabs_have_one_stream(visit: Visit) -> None:
    """Fails if each page opens a stream of its own."""
    context, requests = visit.page.context, list[str]()
    context.on("request", lambda request: requests.append(request.url))
    pages = [visit.page, context.new_page(), context.new_page()]
    for page in pages:
        page.goto(f"{visit.address}/ui/jobs")
        expect(page.locator("[data-live-state]")).to_have_text("● live")
    assert context.browser is not None
    found = context.browser.new_browser_cdp_session().send("Target.getTargets")["targetInfos"]
    assert len([each for each in found if each["type"] == "shared_worker"]) == 1
    assert not [each for each in requests if "/api/v1/events" in each]
    pages[0].locator("[data-live-state]").click()
    expect(pages[0].locator("[data-live-state]")).to_have_text("‖ paused")
    expect(pages[1].locator("[data-live-state]")).to_have_text("● live")


def test_without_a_stream_a_page_asks_again_and_says_so(visit: Visit, target: Target) -> None:
    visit.page.add_init_script("delete window.SharedWorker")
    visit.page.route("**/api/v1/events*", lambda route: route.abort())
    page = visit.open("/ui/jobs")
    expect(page.locator("[data-live-state]")).to_have_text("⏲ every 10 s")
    other = page.context.new_page()
    other.goto(f"{visit.address}/ui/jobs/new")
    create(other, "Seen by asking", target, seconds="3600")
    expect(page.get_by_text("Seen by asking")).to_be_visible()
    visit.forgive("net::ERR_FAILED")
