"""Pages that follow a busy workspace: nothing moves under the reader, and nothing is lost."""

import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Request, expect

from browser.desk import Desk, job
from chronos_common.broker import connect_redis
from chronos_common.embedded.api_client import AdminAccount
from targets import Target

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]

TABS = 8
#: Jobs that run every second.
JOBS = 100
#: Seconds from one look at the server to the next, at least.
PAUSE = 5

#: What a page has asked for again.
REFRESHES = """performance.getEntriesByType("resource").filter(
    (each) => each.initiatorType === "fetch" && each.name.includes("/ui/")).length"""
# Notes in the page that it was not live for a moment, which may be over when it is asked.
WATCH = """() => {
    const state = document.querySelector("[data-live-state]");
    const look = () => { window.wasLost ||= !state.textContent.includes("live"); };
    new MutationObserver(look).observe(state, { childList: true });
}"""
KEYS = """[...document.querySelectorAll("tr[data-key]")].map((row) => row.dataset.key)"""


@pytest.fixture
def busy(desk: Desk, target: Target) -> Iterator[AdminAccount]:
    """Somebody whose jobs run every second, as many as the machine can."""
    account = desk.register()
    client = desk.client(account)
    every_second = {"interval_seconds": 1, "payload": {"url": target.url}}
    jobs = [job(f"Busy {number}", **every_second) for number in range(JOBS)]
    client.send("POST", "/api/v1/jobs/bulk", {"jobs": jobs})
    yield account
    client.send("POST", "/api/v1/jobs/bulk/pause", {"filter": {"search": "Busy"}})


def news(page: Page) -> int:
    """Return the number of the button that tells of things to come."""
    text = page.locator("[data-live-news]").inner_text()
    found = re.search(r"[\d,]+", text)
    return int(found[0].replace(",", "")) if found else 0


def looks_of(page: Page) -> list[str]:
    """Return a list that grows with each look at the server, when it begins."""
    looks: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type == "fetch" and "/ui/" in request.url:
            looks.append(request.url)

    page.on("request", note)
    return looks


def wait_for_news(page: Page, more_than: int) -> int:
    expect(page.locator("[data-live-news]")).to_be_visible()
    page.wait_for_function(
        """least => Number(document.querySelector("[data-live-news]").textContent
            .replace(/[^0-9]/g, "")) > least""",
        arg=more_than,
    )
    return news(page)


def test_nothing_moves_under_a_hand_and_a_button_counts_the_news(
    desk: Desk, busy: AdminAccount
) -> None:
    """Fails without the look for touched parts: an open menu or a checked row would go."""
    with desk.visit(busy) as visit:
        page, looks = visit.open("/ui/jobs?sort=name"), looks_of(visit.page)
        rows = page.evaluate(KEYS)
        page.get_by_label("Check Busy 17", exact=True).check()
        page.get_by_label("Actions for Busy 18", exact=True).click()
        item = page.get_by_role("row", name="Busy 18 ").get_by_text("Pause", exact=True)
        height = page.evaluate("scrollY")
        assert height > 0
        asked = len(looks)
        first = wait_for_news(page, 0)
        assert wait_for_news(page, first + JOBS) > first
        expect(item).to_be_visible()
        expect(page.get_by_label("Check Busy 17", exact=True)).to_be_checked()
        assert (page.evaluate("scrollY"), page.evaluate(KEYS)) == (height, rows)
        assert len(looks) == asked


def test_new_rows_wait_while_a_list_is_read_and_come_on_a_click(
    desk: Desk, busy: AdminAccount
) -> None:
    with desk.visit(busy) as visit:
        page, looks = visit.open("/ui/executions"), looks_of(visit.page)
        expect(page.locator("tr[data-key]")).to_have_count(50)
        began = page.evaluate("performance.now()")
        page.evaluate("scrollTo(0, 600)")
        rows, asked = page.evaluate(KEYS), len(looks)
        first = wait_for_news(page, 0)
        wait_for_news(page, first + JOBS)
        assert (page.evaluate("scrollY"), page.evaluate(KEYS)) == (600, rows)
        asked = len(looks) - asked
        seconds = (page.evaluate("performance.now()") - began) / 1000
        # One more if the stream was opened again meanwhile.
        assert asked <= seconds / PAUSE + 2
        # A page that does not follow shows them, too. Further ones do not come.
        page.locator("[data-live-state]").click()
        page.locator("[data-live-news]").click()
        page.wait_for_function(f"first => {KEYS}[0] !== first", arg=rows[0])
        expect(page.locator("[data-live-news]")).to_be_hidden()


def test_eight_tabs_have_one_stream_and_outlive_the_api_and_redis(desk: Desk) -> None:
    """Fails if a stream is not opened again, or if a `reset` is not obeyed."""
    account = desk.register()
    with desk.profile(account) as profile:
        tabs = [profile.new_page() for _ in range(TABS)]
        for tab in tabs:
            tab.goto(f"{desk.up.address}/ui/jobs")
            state(tab, "● live")
            tab.evaluate("window.isFirstLoad = true")
            tab.evaluate(WATCH)
        assert desk.shared_workers() == 1
        before = desk.up.children()["api"]
        os.kill(before, signal.SIGKILL)
        for tab in tabs:
            tab.wait_for_function("() => window.wasLost")
        for tab in tabs:
            state(tab, "● live")
        desk.create(account, "After the API")
        for tab in tabs:
            expect(tab.get_by_role("row").filter(has_text="After the API")).to_have_count(1)
        asked = [tab.evaluate(REFRESHES) for tab in tabs]
        connect_redis(redis_url(desk)).flushall()
        for tab, count in zip(tabs, asked, strict=True):
            tab.wait_for_function(f"count => {REFRESHES} > count", arg=count)
        desk.create(account, "After Redis")
        for tab in tabs:
            expect(tab.get_by_role("row").filter(has_text="After Redis")).to_have_count(1)
            assert len(set(tab.evaluate(KEYS))) == len(tab.evaluate(KEYS)) == 2
            assert tab.evaluate("window.isFirstLoad")
        assert desk.shared_workers() == 1


def state(page: Page, text: str) -> None:
    expect(page.locator("[data-live-state]")).to_have_text(text)


def redis_url(desk: Desk) -> str:
    (configuration,) = (desk.up.folder / "valkey").glob("*.conf")
    found = dict(
        line.split(maxsplit=1) for line in configuration.read_text().splitlines() if " " in line
    )
    return f"redis://:{found['requirepass']}@127.0.0.1:{found['port']}/0"
