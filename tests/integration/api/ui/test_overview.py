"""The first page: the figures of the workspace, and what needs attention."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import Engine

from chronos_common import clock
from chronos_common.storage.tables import execution_stats, execution_stats_hourly
from integration.api.callers import Caller
from integration.api.ui.pages import Browser, failed
from integration.api.ui.test_pages import check


def test_failures_of_one_cause_are_one_line(caller: Caller, app: Flask, db: Engine) -> None:
    """Fails if each execution has a line of its own: one job would hide all others."""
    broken, other = caller.create(name="Broken"), caller.create(name="Other")
    for minute in range(3):
        failed(db, caller, broken["id"], minutes_ago=minute + 1)
    failed(db, caller, other["id"], "The target answered 404.", minutes_ago=9)
    page = Browser(app, caller).get("/ui/")
    assert page.text.count("Broken \N{MULTIPLICATION SIGN}3") == 1
    assert page.text.count("The target answered 503.") == 1
    assert "The target answered 404." in page.text


def test_figures_are_compared_with_the_period_before(
    caller: Caller, app: Flask, db: Engine
) -> None:
    """Fails if the page shows the figures of the period alone."""
    now = clock.now()
    with db.begin() as connection:
        for minutes, count in ((90, 4), (30, 5)):
            at = now - timedelta(minutes=minutes)
            sums = {
                "workspace_id": caller.workspace_id,
                "status": "succeeded",
                "executions": count,
                "duration_ms_sum": 100,
                "drift_ms_sum": 5,
                "drift_ms_max": 2,
                "drift_counts": [0, count - 1, 1],
            }
            minute = clock.floor(at, timedelta(minutes=1))
            hour = clock.floor(at, timedelta(hours=1))
            connection.execute(execution_stats.insert().values(minute=minute, **sums))
            connection.execute(execution_stats_hourly.insert().values(hour=hour, **sums))
    page = Browser(app, caller).get("/ui/")
    check(page)
    assert "How late they started" in page.text
    assert "compared with the 1h before" in page.text


def test_the_wall_shows_the_worst_first_and_asks_for_itself_again(
    caller: Caller, app: Flask, db: Engine
) -> None:
    broken, other = caller.create(name="Broken"), caller.create(name="Other")
    failed(db, caller, other["id"], minutes_ago=1)
    for minute in range(3):
        failed(db, caller, broken["id"], minutes_ago=minute + 5)
    page = Browser(app, caller).get("/ui/wall?period=6h")
    check(page)
    assert page.text.index("Broken") < page.text.index("Other")
    assert page.all("html")[0]["class"] == "wall"
    assert {"http-equiv": "refresh", "content": "30"} in page.all("meta")
    assert page.links().count("/ui/?period=6h") == 1
