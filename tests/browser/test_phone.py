"""A phone, a reader who needs large text and no motion, and paper."""

import pytest
from playwright.sync_api import expect

from browser.desk import Desk
from chronos_common.embedded.api_client import AdminAccount
from rigs import wait_until
from targets import Target

pytestmark = [pytest.mark.xdist_group("up"), pytest.mark.timeout(600)]

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "color_scheme": "dark",
    "reduced_motion": "reduce",
}
PAGES = ("", "jobs", "jobs/new", "executions", "failures", "calendar", "settings", "account")

# What a thumb hits: links within a sentence are as high as their line (WCAG 2.2, 2.5.8).
SMALL = """() => [...document.querySelectorAll("button, .button, summary, header nav a")]
    .filter((each) => each.checkVisibility() && !each.closest("dialog, svg"))
    .filter((each) => each.getBoundingClientRect().height < 43.5)
    .map((each) => each.outerHTML.slice(0, 120))"""


@pytest.fixture
def account(desk: Desk, target: Target) -> AdminAccount:
    """Somebody with a job that has run."""
    made = desk.register()
    desk.create(made, "Every day", interval_seconds=1, max_runs=1, payload={"url": target.url})
    wait_until(lambda: bool(target.received), within=60)
    return made


def test_every_page_fits_a_phone_and_its_reader(desk: Desk, account: AdminAccount) -> None:
    wide, small, moving = [], [], []
    with desk.visit(account, **PHONE) as visit:
        for path in PAGES:
            page = visit.open(f"/ui/{path}")
            small += page.evaluate(SMALL)
            moving += page.evaluate("document.getAnimations().map((each) => each.animationName)")
            page.evaluate("document.documentElement.style.fontSize = '200%'")
            wide += [path] * visit.is_wider_than_the_screen()
    assert (wide, small, moving) == ([], [], [])


def test_without_colours_the_marks_of_outcomes_stay(desk: Desk, account: AdminAccount) -> None:
    with desk.visit(account, forced_colors="active") as visit:
        page = visit.open("/ui/executions")
        expect(page.locator("tbody .status").first).to_contain_text("✓")
        bar = visit.open("/ui/jobs").locator(".spark path").first
        assert bar.evaluate("each => getComputedStyle(each).fill") not in {"none", ""}


def test_paper_has_the_tables_and_not_the_controls(desk: Desk, account: AdminAccount) -> None:
    with desk.visit(account) as visit:
        page = visit.open("/ui/executions")
        page.emulate_media(media="print")
        expect(page.get_by_role("table").first).to_be_visible()
        expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
        expect(page.get_by_role("button", name="Apply")).to_be_hidden()
        assert page.pdf().startswith(b"%PDF-")
