"""Jobs are created, edited, explained and run again with changes, in a real browser."""

import json
import re
import subprocess

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from browser.desk import Visit
from browser.test_accessibility import RULES
from browser.test_journeys import create
from targets import Target, reply

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]

#: More keys than lead from one end of the form to the other.
MOST_KEYS = 120


def check(page: Page) -> None:
    """Hold a page against the rules of WCAG."""
    assert Axe().run(page, options=RULES).response["violations"] == []


def go_to(page: Page, wanted: Locator) -> None:
    """Move the focus to an element by the keyboard alone."""
    for _ in range(MOST_KEYS):
        if wanted.evaluate("each => each === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"The key Tab does not lead to {wanted}.")


def write(page: Page, field: Locator, text: str) -> None:
    go_to(page, field)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def test_a_cron_job_is_made_by_the_keyboard_alone(visit: Visit, target: Target) -> None:
    page = visit.open("/ui/jobs/new")
    preview = page.locator("[data-preview-box]")
    write(page, page.get_by_label("Name", exact=True), "By keys")
    write(page, page.get_by_label("Address", exact=True), target.url)
    go_to(page, page.get_by_role("button", name="Test it now"))
    page.keyboard.press("Enter")
    result = page.locator("[data-test-result]")
    expect(result).to_contain_text(re.compile(r"✓ HTTP 200.*connection [\d.]+ ms.*waiting"))
    expression = page.get_by_role("textbox", name="Cron expression")
    write(page, expression, "0 25 * * *")
    expect(preview.locator(".error")).to_contain_text("25")
    write(page, expression, "30 2 * * MON-FRI")
    expect(preview).to_contain_text("At 02:30")
    expect(preview.locator("ol time")).to_have_count(10)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("By keys")
    expect(page.get_by_text("30 2 * * MON-FRI")).to_be_visible()


def test_clock_changes_are_marked_while_one_types(visit: Visit) -> None:
    page = visit.open("/ui/jobs/new")
    page.get_by_role("textbox", name="Cron expression").fill("30 2 * * *")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    preview = page.locator("[data-preview-box]")
    expect(preview).to_contain_text("02:30 does not exist, so it runs at 03:00")
    expect(preview).to_contain_text("02:30 runs the first time only")


def test_an_edit_tells_what_it_changes_and_is_found_again(visit: Visit, target: Target) -> None:
    create(visit.open("/ui/jobs/new"), "Edited", target, seconds="3600")
    page = visit.page
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Seconds from one run").fill("7200")
    preview = page.locator("[data-preview-box]")
    expect(preview).to_contain_text("version 1 becomes 2")
    expect(preview).to_contain_text(re.compile(r"drops \d+:"))
    page.get_by_role("button", name="Save").click()
    changes = page.locator("#changes")
    expect(changes).to_contain_text("v1 → v2")
    expect(changes).to_contain_text("admin")
    expect(changes.get_by_role("row").filter(has_text="Runs every")).to_contain_text("1 h")
    expect(changes.get_by_role("row").filter(has_text="Runs every")).to_contain_text("2 h")
    check(page)


def test_two_tabs_edit_one_job_and_no_typing_is_lost(visit: Visit, target: Target) -> None:
    create(visit.open("/ui/jobs/new"), "Shared", target, seconds="3600")
    address = visit.page.url
    first, second = visit.page, visit.page.context.new_page()
    for page in (first, second):
        page.goto(f"{address}/edit")
    first.get_by_label("Description").fill("from the first")
    first.get_by_role("button", name="Save").click()
    expect(first.get_by_text("from the first").first).to_be_visible()
    second.get_by_label("Description").fill("from the second")
    second.get_by_role("button", name="Save").click()
    note = second.get_by_role("alert")
    expect(note).to_contain_text("has saved version 2")
    expect(note.get_by_role("row").filter(has_text="Description")).to_contain_text(
        "from the first"
    )
    expect(second.get_by_label("Description")).to_have_value("from the second")
    check(second)
    second.get_by_role("button", name="Save mine over version 2").click()
    expect(second.get_by_text("from the second").first).to_be_visible()
    visit.forgive("the server responded with a status of 412")


def test_a_failure_is_found_explained_and_compared(visit: Visit, target: Target) -> None:
    page = visit.open("/ui/jobs/new")
    page.get_by_role("textbox", name="Body").fill('{"text": "it\'s $5"}')
    create(page, "Unsteady", target, Attempts="1", seconds="3600")
    job = page.url
    run_now(page, "succeeded")
    target.answer = reply(503, b"closed for today")
    page.goto(job)
    run_now(page, "failed")
    visit.open("/ui/failures?by=job")
    page.get_by_role("link", name="Unsteady").click()
    page.get_by_role("row").filter(has_text="Unsteady").get_by_role("link").first.click()
    expect(page.get_by_text("and failed with HTTP status 503")).to_be_visible()
    page.get_by_text("Request", exact=True).click()
    command = page.locator("[id^=curl-]").inner_text()
    before = len(target.received)
    subprocess.run(["bash", "-c", f"{command} -sS -m 20"], check=True, timeout=30)
    assert json.loads(target.received[before].body) == {"text": "it's $5"}
    page.get_by_role("link", name="Compare with the last success").click()
    compared = page.get_by_role("row").filter(has_text="HTTP status")
    expect(compared).to_contain_text("503")
    expect(compared).to_contain_text("200")
    expect(page.locator(".diff")).to_contain_text("closed for today")


def run_now(page: Page, outcome: str) -> None:
    """Run the job of this page, and wait for the execution to end."""
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(outcome))


def test_a_run_is_repeated_with_another_payload(visit: Visit, target: Target) -> None:
    page = visit.open("/ui/jobs/new")
    page.get_by_role("textbox", name="Body").fill('{"template": "weekly"}')
    create(page, "Repeated", target, seconds="3600")
    job = page.url
    run_now(page, "succeeded")
    before = page.url
    page.get_by_role("link", name="Run again with changes").click()
    check(page)
    payload = page.get_by_label("Payload")
    payload.fill(payload.input_value().replace("weekly", "correction"))
    page.get_by_label("Note").fill("After the fix")
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("succeeded"))
    assert json.loads(target.received[-1].body) == {"template": "correction"}
    expect(page.get_by_text("After the fix", exact=True)).to_be_visible()
    after = page.url
    page.get_by_role("link", name="an earlier execution").click()
    page.wait_for_url(before)
    page.keyboard.press("]")
    page.wait_for_url(after)
    expect(page.get_by_text("After the fix", exact=True)).to_be_visible()
    page.keyboard.press("[")
    page.wait_for_url(before)
    page.goto(job)
    expect(page.locator("pre").filter(has_text="weekly")).to_be_visible()
    expect(page.get_by_text("version 1")).to_be_visible()
