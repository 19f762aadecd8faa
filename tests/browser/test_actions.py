"""Jobs and executions are stopped: the pages show it, and nothing goes on behind them."""

import pytest
from playwright.sync_api import expect

from browser.desk import Desk
from rigs import wait_until
from targets import Target, by_path, hang, reply

pytestmark = [pytest.mark.xdist_group("up"), pytest.mark.timeout(600)]


def test_nothing_starts_after_a_pause_and_the_menu_follows(desk: Desk, target: Target) -> None:
    """Fails if the pause is answered before it holds. Another job shows that time goes on."""
    account = desk.register()
    client = desk.client(account)
    made = [
        desk.create(account, name, interval_seconds=1, payload={"url": f"{target.url}/{name}"})
        for name in ("stopped", "witness")
    ]
    wait_until(lambda: {"/stopped", "/witness"} <= set(target.paths()), within=60)
    with desk.visit(account) as visit:
        page = visit.open("/ui/jobs")
        row = page.get_by_role("row").filter(has_text="stopped")
        menu = page.get_by_label("Actions for stopped")
        menu.click()
        row.get_by_role("button", name="Pause", exact=True).click()
        expect(row).to_contain_text("paused")
        menu.click()
        expect(row.get_by_role("button", name="Pause", exact=True)).to_have_count(0)

        paused_at = client.send("GET", f"/api/v1/jobs/{made[0]['id']}")["paused_at"]
        seen = target.paths().count("/witness")
        wait_until(lambda: target.paths().count("/witness") >= seen + 3, within=60)
        path = f"/api/v1/jobs/{made[0]['id']}/executions?since={paused_at}"
        later = client.send("GET", path)["items"]
        assert [each for each in later if each["started_at"]] == []

        row.get_by_role("button", name="Resume").click()
        expect(row).to_contain_text("active")
        menu.click()
        row.get_by_role("link", name="Delete…").click()
        page.get_by_label("Type its name").fill("stop")
        page.get_by_role("button", name="Delete the job").click()
        expect(page.get_by_text("Type the job's name as it is written above.")).to_be_visible()
        page.get_by_label("Type its name").fill("stopped")
        page.get_by_role("button", name="Delete the job").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
        expect(page.get_by_role("link", name="stopped")).to_have_count(0)
    client.send("POST", f"/api/v1/jobs/{made[1]['id']}/pause")


def test_an_execution_that_hangs_is_cancelled(desk: Desk, target: Target) -> None:
    target.answer = by_path({"/hangs": hang, "/": reply()})
    account = desk.register()
    desk.create(account, "Hanging", payload={"url": f"{target.url}/hangs"})
    with desk.visit(account) as visit:
        page = visit.open("/ui/jobs")
        page.get_by_role("link", name="Hanging").click()
        page.get_by_role("button", name="Run now").click()
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_contain_text("running")
        wait_until(lambda: "/hangs" in target.paths(), within=60)
        page.get_by_role("button", name="Cancel").click()
        expect(heading).to_contain_text("cancelled")
        expect(page.get_by_text("It was started, and cancelled")).to_be_visible()
        expect(page.locator("[data-log]")).to_contain_text("ancelled")
        expect(page.get_by_role("button", name="Run again")).to_be_visible()
