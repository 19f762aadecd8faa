"""Screens of all kinds: the calendar by keys, lists on a phone, and the wall."""

import re

import pytest
from playwright.sync_api import expect

from acceptance.up import Up
from browser.desk import Visit, visiting
from browser.test_journeys import create
from targets import Target

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]

#: Pixels of a target that a thumb finds.
THUMB = 44
#: As long as a name may be, without a place to break it.
LONG_NAME = "InTheHand" * 22
#: Pages with the name of a job in them, or with forms.
PATHS = (
    "/ui/",
    "/ui/calendar",
    "/ui/executions",
    "/ui/jobs",
    "/ui/jobs/new",
    "/ui/settings",
    "/ui/wall",
)


def test_the_arrow_keys_lead_through_the_heat_map(visit: Visit) -> None:
    """Fails if each hour is a stop of the tab key, or if a key leads elsewhere."""
    page = visit.open("/ui/calendar?span=7d")
    assert page.locator(".heat a[tabindex='0']").count() == 1
    page.locator(".heat a[tabindex='0']").focus()
    focused = page.locator(".heat a:focus")
    for key, day, hour in (("End", 0, 23), ("ArrowDown", 1, 23), ("ArrowLeft", 1, 22)):
        page.keyboard.press(key)
        cell = page.locator(".heat tbody tr").nth(day).locator("td").nth(hour)
        expect(cell.locator("a:focus")).to_have_count(1)
    name = focused.get_attribute("aria-label") or ""
    assert re.search(r"22:00 UTC: [\d,]+ runs? of", name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("22:00:00 UTC"))).to_be_visible()
    expect(page.get_by_text("Quiet minutes")).to_be_visible()
    expect(page.locator(".heat a[aria-current]")).to_have_attribute("aria-label", name)


def test_on_a_phone_filters_are_in_a_sheet_and_actions_at_the_thumb(
    up: Up, target: Target
) -> None:
    with visiting(up, width=390, height=844) as visit:
        create(visit.open("/ui/jobs/new"), LONG_NAME, target, seconds="3600")
        page = visit.page
        job = page.url.removeprefix(visit.address)
        actions = page.locator(".thumb > *")
        boxes = [each.bounding_box() for each in actions.all()]
        assert len(boxes) > 3
        for box in boxes:
            assert box is not None
            assert box["height"] >= THUMB
            assert 844 - 3 * THUMB < box["y"] < 844 - THUMB + 1
        page.get_by_role("button", name="Run now").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("✓ succeeded")
        for path in (*PATHS, f"{job}/delete", job):
            visit.open(path)
            assert not visit.is_wider_than_the_screen(), path
            page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert not visit.is_wider_than_the_screen(), f"{path} in large print"
        page = visit.open("/ui/jobs")
        search = page.get_by_label("Search")
        expect(search).to_be_hidden()
        page.get_by_role("button", name="Filters").click()
        expect(search).to_be_visible()
        page.keyboard.press("Escape")
        expect(search).to_be_hidden()
        page.get_by_role("button", name="Filters").click()
        search.fill(LONG_NAME)
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("button", name="Filters (1)")).to_be_visible()
        expect(page.locator("tr[data-key]")).to_have_count(1)
        assert not visit.is_wider_than_the_screen()


def test_the_wall_fits_its_screen_and_dims_without_a_signal(up: Up) -> None:
    with visiting(up, width=1920, height=1080) as visit:
        page = visit.page
        page.clock.install()
        visit.open("/ui/wall")
        sign = page.get_by_text("No signal")
        expect(page.locator("[data-live-state]")).to_have_text("● live")
        expect(sign).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        page.route("**/ui/wall", lambda route: route.abort())
        page.clock.fast_forward(90_000)
        expect(sign).to_be_visible()
        expect(page.locator("html[data-lost]")).to_have_count(1)
        page.unroute("**/ui/wall")
        page.clock.fast_forward(20_000)
        expect(sign).to_be_hidden()
        visit.forgive("net::ERR_FAILED")
