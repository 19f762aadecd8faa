"""The calendar: the runs to come, hour by hour, on the reader's clocks, and which they are."""

from datetime import timedelta
from urllib.parse import urlencode

from flask import Flask

from chronos_common import clock
from integration.api.callers import Caller
from integration.api.ui.pages import Browser
from integration.api.ui.test_pages import check


def test_each_hour_has_its_runs_and_leads_to_its_jobs(caller: Caller, app: Flask) -> None:
    caller.create(name="Hourly", cron_expression="30 * * * *")
    caller.put("auth/me/preferences", {"time_zone": "Asia/Kolkata"})
    browser = Browser(app, caller)
    page = browser.get("/ui/calendar?span=7d")
    check(page)
    cells = [link for link in page.all("a") if "shade-" in link.get("class", "")]
    assert len(cells) == 7 * 24
    assert "Asia/Kolkata" in page.text
    later = browser.get(cells[5]["href"].partition("#")[0])
    check(later)
    assert "1 run of 1 job" in cells[5]["aria-label"]
    assert "No two jobs start in the same second" in later.text
    assert later.text.count("Hourly") == 1


def test_an_hour_names_its_collisions_and_a_second_its_jobs(caller: Caller, app: Flask) -> None:
    for number in range(7):
        caller.create(name=f"Job {number}", cron_expression="0 * * * *", tags=["eu"])
    # Not the next hour, which may begin meanwhile.
    since = clock.floor(clock.now(), clock.HOUR) + 2 * clock.HOUR
    address = "/ui/calendar?" + urlencode({"since": since.isoformat(), "tag": "eu"})
    browser = Browser(app, caller)
    page = browser.get(address)
    check(page)
    assert "7 jobs" in page.text
    assert "and 2 more" in page.text
    assert "free" in page.text
    second = {"until": (since + timedelta(seconds=1)).isoformat()}
    alone = browser.get(f"{address}&{urlencode(second)}")
    assert [name for name in range(7) if f"Job {name}" not in alone.text] == []
    others = browser.get(address.replace("tag=eu", "tag=us"))
    assert "Nothing is to run" in others.text
    assert "Clear the filters" in others.text


def test_the_next_day_goes_on_later(caller: Caller, app: Flask) -> None:
    caller.create(name="Often", cron_expression="*/10 * * * *")
    browser = Browser(app, caller)
    page, seen = browser.get("/ui/calendar"), 0
    while True:
        check(page)
        seen += page.text.count("Often")
        later = [each["href"] for each in page.all("a") if each.get("rel") == "next"]
        if not later:
            break
        page = browser.get(later[0].partition("#")[0])
    # The day begins with the minute, of which a part is over.
    assert 143 <= seen <= 144


def test_without_jobs_nothing_is_to_run(caller: Caller, app: Flask) -> None:
    page = Browser(app, caller).get("/ui/calendar?span=years&since=never")
    check(page)
    assert "Nothing is to run" in page.text
    for name in ("span", "since"):
        assert f"<code>{name}</code>" in page.html


def test_a_span_of_more_than_a_day_is_refused_in_words(caller: Caller, app: Flask) -> None:
    query = "since=2030-01-01T00:00:00Z&until=2030-02-01T00:00:00Z"
    page = Browser(app, caller).get(f"/ui/calendar?{query}")
    check(page)
    assert "by at most a day" in page.text
