"""The calendar: the runs to come, hour by hour, on the reader's clocks."""

from flask import Flask

from integration.api.callers import Caller
from integration.api.ui.pages import Browser
from integration.api.ui.test_pages import check


def test_each_hour_has_its_runs_and_leads_to_its_jobs(caller: Caller, app: Flask) -> None:
    caller.create(name="Hourly", schedule_type="cron", cron_expression="30 * * * *")
    caller.put("auth/me/preferences", {"time_zone": "Asia/Kolkata"})
    browser = Browser(app, caller)
    page = browser.get("/ui/calendar?span=7d")
    check(page)
    cells = [link for link in page.all("a") if "shade-" in link.get("class", "")]
    assert len(cells) == 7 * 24
    assert "Asia/Kolkata" in page.text
    later = browser.get(cells[5]["href"].partition("#")[0])
    assert "1 run of 1 job" in later.text
    assert "Hourly" in later.text


def test_without_jobs_nothing_is_to_run(caller: Caller, app: Flask) -> None:
    page = Browser(app, caller).get("/ui/calendar?span=years&at=never")
    check(page)
    assert "Nothing is to run" in page.text
