"""The course of the figures: of a period or any span, of all jobs or some."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from chronos_api.statistics import trend
from chronos_common import clock
from chronos_common.storage.executions import trends
from integration.api.callers import Caller, errors_of
from integration.api.rows import end, in_seconds, plan
from integration.api.statistics.test_dashboard import FATES, counted, finish
from integration.api.ui.pages import Browser

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def sums(shown: dict[str, Any]) -> dict[str, int]:
    return {fate: sum(bucket[fate] for bucket in shown["buckets"]) for fate in FATES}


def test_the_trend_of_a_span_is_what_counting_gives_with_its_drift(
    caller: Caller, db: Engine
) -> None:
    finish(db, caller, 200, within=6 * HOUR)
    now = clock.now()
    query = {"since": clock.rfc3339(now - 5 * HOUR), "until": clock.rfc3339(now - 2 * HOUR)}
    shown = caller.get("dashboard/trend", query_string=query).json
    since, until = (datetime.fromisoformat(shown[name]) for name in ("since", "until"))
    assert (shown["period"], shown["bucket_seconds"], shown["is_exact"]) == (None, 60, True)
    assert len(shown["buckets"]) == (until - since) / MINUTE
    expected = counted(db, caller, since) - counted(db, caller, until)
    assert sums(shown) == {fate: expected[fate] for fate in FATES}
    late = [each for each in shown["buckets"] if each["drift_max_ms"] is not None]
    assert len(late) >= 20
    for each in late:
        assert 0 <= each["drift_p50_ms"] <= each["drift_p99_ms"] <= each["drift_max_ms"]
    # A longer span has longer buckets.
    query["since"] = clock.rfc3339(now - 9 * DAY)
    longer = caller.get("dashboard/trend", query_string=query).json
    assert longer["bucket_seconds"] == 6 * 3600
    # All drift is there, whatever the buckets are.
    stats = caller.get("dashboard/stats").json
    whole = caller.get("dashboard/trend").json
    assert max(each["drift_max_ms"] or 0 for each in whole["buckets"]) == stats["drift_max_ms"]


def test_the_trend_of_a_job_or_a_tag_counts_its_executions(
    app: Flask, caller: Caller, stranger: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = [caller.create(tags=["mail"])["id"] for _ in range(2)]
    other = caller.create()["id"]
    for job_id, fates in ((ours[0], ["failed", "succeeded"]), (ours[1], ["failed"]), (other, [])):
        planned = plan(db, caller, job_id, [in_seconds(-90 - n) for n in range(3)])
        for execution_id, fate in zip(planned, fates, strict=False):
            end(db, execution_id, fate)
    of_job = caller.get(f"dashboard/trend?period=1h&job_id={ours[0]}").json
    assert (sums(of_job)["failed"], sums(of_job)["succeeded"]) == (1, 1)
    assert (of_job["period"], of_job["is_exact"], len(of_job["buckets"])) == ("1h", True, 60)
    [late] = [each for each in of_job["buckets"] if each["failed"]]
    assert late["drift_max_ms"] >= 89_000
    page = Browser(app, caller).get(f"/ui/jobs/{ours[0]}")
    assert "The last 24 hours 1 succeeded, 1 failed, 0 did not run, 0 cancelled." in page.text
    of_tag = caller.get("dashboard/trend?period=1h&tag=mail").json
    assert (sums(of_tag)["failed"], sums(of_tag)["succeeded"]) == (2, 1)
    assert sums(caller.get("dashboard/trend?period=1h&tag=none").json)["failed"] == 0
    assert stranger.get(f"dashboard/trend?job_id={ours[0]}").status_code == 404
    monkeypatch.setattr(trends, "MAX_LOOKED_AT", 2)
    cut = caller.get(f"dashboard/trend?period=6h&job_id={ours[0]}").json
    assert (cut["is_exact"], sum(sums(cut).values())) == (False, 2)


def test_a_run_by_hand_for_another_time_is_in_the_trend_of_that_time(caller: Caller) -> None:
    job_id, now = caller.create()["id"], clock.now()
    run = caller.post(f"jobs/{job_id}/execute", {"delay_seconds": 7200}).json
    assert caller.post(f"executions/{run['id']}/cancel").status_code == 200
    before = caller.get(f"dashboard/trend?period=1h&job_id={job_id}")
    assert (before.status_code, sum(sums(before.json).values())) == (200, 0)
    span = {"since": clock.rfc3339(now), "until": clock.rfc3339(now + 3 * HOUR)}
    then = caller.get("dashboard/trend", query_string={"job_id": job_id, **span}).json
    assert sums(then)["cancelled"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("until=2026-01-01T00:00:00Z", "until"),
        ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "since"),
        ("since=2020-01-01T00:00:00Z", "since"),
        ("since=2099-01-01T00:00:00Z", "since"),
        ("job_id=none", "job_id"),
    ],
)
def test_a_wrong_span_is_named(caller: Caller, query: str, field: str) -> None:
    assert set(errors_of(caller.get(f"dashboard/trend?{query}"))) == {field}


@pytest.mark.parametrize("ago", [MINUTE, DAY, 7 * DAY, 9 * DAY, 399 * DAY])
@pytest.mark.parametrize("length", [MINUTE, 3 * HOUR, DAY, 30 * DAY, trend.LONGEST_SPAN])
def test_the_buckets_of_a_span_hold_all_of_it_and_are_bounded(
    ago: timedelta, length: timedelta
) -> None:
    now = clock.now()
    since = now - ago
    span = trend.span_between(since, since + length, now=now)
    assert span.since <= since
    assert since + length <= span.until < since + length + span.step
    assert span.since > since - span.step
    assert len(span.starts) <= trend.MAX_BUCKETS
    # Sums of minutes are kept for 8 days.
    assert span.step >= HOUR or ago < 8 * DAY
