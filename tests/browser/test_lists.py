"""Lists of more jobs than anybody reads: searched, sorted, kept, shared, and changed together."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import create_engine, text

from browser.desk import Desk
from chronos_common.embedded.api_client import AdminAccount
from chronos_common.storage.tables import jobs, schedules

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]

#: More than a list counts.
JOBS = 10_050

_JOB_COLUMNS = ", ".join(c.name for c in jobs.c if c.name not in {"id", "name"})
_SCHEDULE_COLUMNS = ", ".join(c.name for c in schedules.c if c.name != "job_id")
_COPY = text(f"""
    WITH copied AS (
        INSERT INTO jobs (id, name, {_JOB_COLUMNS})
        SELECT uuidv7(), 'Invoice ' || number, {_JOB_COLUMNS}
          FROM jobs, generate_series(2, :count) AS number WHERE id = :template
        RETURNING id)
    INSERT INTO schedules (job_id, {_SCHEDULE_COLUMNS})
    SELECT copied.id, {_SCHEDULE_COLUMNS} FROM copied, schedules WHERE job_id = :template""")  # noqa: S608 - names of our own columns


@pytest.fixture(scope="module")
def owner(desk: Desk) -> AdminAccount:
    """Somebody with very many jobs, of which none is due soon."""
    account = desk.register()
    made = desk.create(account, "Invoice 1")
    engine = create_engine(database_url(desk))
    with engine.begin() as connection:
        connection.execute(_COPY, {"count": JOBS, "template": made["id"]})
    engine.dispose()
    return account


def database_url(desk: Desk) -> str:
    home = desk.up.folder / "postgres"
    port = (home / "data" / "postmaster.pid").read_text().splitlines()[3]
    password = (home / "password").read_text().strip()
    return f"postgresql+psycopg2://chronos:{password}@127.0.0.1:{port}/chronos"


def names(page: Page) -> list[str]:
    return page.locator("a.name").all_inner_texts()


def test_a_list_stands_in_its_address(desk: Desk, owner: AdminAccount) -> None:
    """Another browser shows the same list, and Back the place where the reader was."""
    with desk.visit(owner) as visit:
        page = visit.open("/ui/jobs")
        expect(page.get_by_text("10,000+ jobs")).to_be_visible()
        page.get_by_label("Search", exact=True).fill("voice 77")
        page.get_by_label("Sort").select_option("name")
        page.get_by_label("Rows").select_option("20")
        page.get_by_role("button", name="Apply").click()
        expect(page.locator("tr[data-key]")).to_have_count(20)
        first = names(page)
        assert first == sorted(first)
        page.get_by_role("link", name="Next page").click()
        page.wait_for_url("**cursor=*")
        shown, address = names(page), page.url
        assert not set(first) & set(shown)
        page.evaluate("scrollTo(0, 300)")
        page.get_by_role("link", name=shown[-1], exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(shown[-1])
        page.go_back()
        page.wait_for_function("() => scrollY >= 300")
        assert (page.url, names(page)) == (address, shown)
    with desk.visit(owner) as elsewhere:
        assert names(elsewhere.open(address.removeprefix(elsewhere.address))) == shown


def test_a_view_is_kept_under_its_name_on_every_device(desk: Desk, owner: AdminAccount) -> None:
    with desk.visit(owner) as visit, desk.visit(owner) as device:
        page = visit.open("/ui/jobs?search=voice+77&sort=name")
        page.get_by_text("Keep this view").click()
        page.get_by_label("Its name").fill("Sevens")
        page.get_by_role("button", name="Keep it").click()
        page.reload()
        kept = page.get_by_role("link", name="Sevens")
        expect(kept).to_have_attribute("aria-current", "true")
        other = device.open("/ui/jobs")
        other.get_by_role("link", name="Sevens").click()
        expect(other.get_by_label("Search", exact=True)).to_have_value("voice 77")
        expect(other.locator("tr[data-key]").first).to_contain_text("77")
        other.get_by_role("button", name="Forget the view Sevens").click()
        expect(other.get_by_role("link", name="Sevens")).to_have_count(0)
        page.reload()
        expect(page.get_by_role("link", name="Sevens")).to_have_count(0)


def test_all_that_match_are_paused_and_resumed_as_counted(desk: Desk, owner: AdminAccount) -> None:
    client = desk.client(owner)

    def count(more: str = "") -> int:
        return int(client.send("GET", f"/api/v1/jobs?search=voice+77{more}")["total"])

    matching = count()
    assert 50 < matching < JOBS
    with desk.visit(owner) as visit:
        page = visit.open("/ui/jobs?search=voice+77")
        page.get_by_label("Check all jobs of this page").check()
        page.get_by_label("that match").check()
        page.get_by_role("button", name="Pause", exact=True).last.click()
        button = page.get_by_role("button", name=f"Pause {matching} jobs")
        assert count("&status=paused") == 0
        button.click()
        expect(page.get_by_text(f"{matching} jobs were paused")).to_be_visible()
        assert count("&status=paused") == matching
        page.get_by_role("button", name=re.compile("Undo")).click()
        expect(page.get_by_text(f"{matching} jobs were resumed")).to_be_visible()
        assert count("&status=paused") == 0


def test_the_calendar_counts_as_the_api_does_and_leads_to_the_jobs(
    desk: Desk, owner: AdminAccount
) -> None:
    """Each job is due once a day, all in one second: one hour of each day has them all."""
    client = desk.client(owner)

    def runs() -> str:
        found = client.send("GET", "/api/v1/upcoming?hours=168&bucket_minutes=60")
        assert (found["jobs"], found["partial"]) == (JOBS, False)
        return f"{found['runs']:,} runs of {JOBS:,} jobs"

    with desk.visit(owner) as visit:
        # The span begins with the hour, which may be over in between.
        before, page = runs(), visit.open("/ui/calendar?span=7d")
        summary = page.get_by_text("The busiest hour:")
        assert summary.inner_text().startswith((before, runs()))
        expect(summary).not_to_contain_text("There are more jobs")
        summary.get_by_role("link").click()
        busiest = page.get_by_role("heading", name="Most at once").locator("xpath=..")
        expect(busiest.get_by_role("listitem").first).to_contain_text(f"{JOBS:,} jobs")
        first = page.get_by_label("Runs in order").get_by_role("link").first
        expect(first).to_contain_text("Invoice")
