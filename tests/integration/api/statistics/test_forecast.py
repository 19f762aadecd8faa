"""What will run is what the schedules name, whatever that costs to name."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import Engine, text

from chronos_api.statistics import cache, cached, forecast
from chronos_api.statistics.forecast import Budget
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage.jobs import schedules
from integration.api.callers import Caller
from rigs import wait_until

HOUR = timedelta(hours=1)


def counted(found: dict[str, Any]) -> dict[str, int]:
    return {bucket["at"]: bucket["runs"] for bucket in found["buckets"] if bucket["runs"]}


def named(caller: Caller, job: dict[str, Any], until: str, seconds: int) -> Counter[datetime]:
    """Name the instants that the job has until then, by bucket, as a preview does."""
    fields = ("schedule_type", "cron_expression", "interval_seconds", "timezone", "starts_at")
    body = {name: job[name] for name in fields if job.get(name) is not None}
    runs = caller.post("schedules/preview", {**body, "count": 100}).json["next_runs"]
    instants = [datetime.fromisoformat(each["at"]) for each in runs]
    instants = [each for each in instants if each < datetime.fromisoformat(until)]
    return Counter(
        datetime.fromtimestamp(each.timestamp() // seconds * seconds, each.tzinfo)
        for each in instants
    )


@pytest.mark.parametrize(
    "schedule",
    [
        {"cron_expression": "0 9 * * *", "timezone": "Asia/Tokyo"},
        {"cron_expression": "*/20 * * * *"},
        {"cron_expression": "0 30 2 * * MON"},
        {"schedule_type": "interval", "interval_seconds": 4000, "cron_expression": ...},
    ],
)
def test_a_job_runs_when_its_preview_says(caller: Caller, schedule: dict[str, Any]) -> None:
    job = caller.create(**schedule)
    paused = caller.create(**schedule)
    caller.post(f"jobs/{paused['id']}/pause")
    found = caller.get("upcoming?hours=24&bucket_minutes=30").json
    assert len(found["buckets"]) == 48
    if job["schedule_type"] == "cron":
        expected = named(caller, job, found["until"], found["bucket_seconds"])
        assert {
            datetime.fromisoformat(at): runs for at, runs in counted(found).items()
        } == expected
    else:
        assert found["runs"] in {21, 22}
    assert found["partial"] is False
    assert found["jobs"] == 1 or not found["runs"]


def test_a_job_of_every_second_is_counted_and_does_not_hide_the_others(caller: Caller) -> None:
    every_second = caller.create(name="Often", cron_expression="* * * * * *")
    rare = caller.create(name="Rare", cron_expression="0 * * * *")
    found = caller.get("upcoming?hours=168").json
    assert [bucket["runs"] for bucket in found["buckets"][1:]] == [3601] * 167
    assert found["buckets"][5]["named"] == [
        {"id": rare["id"], "name": "Rare", "runs": 1},
        {"id": every_second["id"], "name": "Often", "runs": 3600},
    ]
    assert found["buckets"][5]["jobs"] == 2


def test_what_is_left_of_a_job_is_all_that_comes(caller: Caller) -> None:
    caller.create(cron_expression="* * * * *", max_runs=90)
    ends_at = (clock.now() + 3 * HOUR).isoformat()
    caller.create(
        schedule_type="interval", interval_seconds=3600, cron_expression=..., ends_at=ends_at
    )
    run_at = (clock.now() + 5 * HOUR).isoformat()
    caller.create(schedule_type="once", run_at=run_at, cron_expression=...)
    found = caller.get("upcoming?hours=24").json
    assert found["runs"] == 90 + 2 + 1


def test_jobs_with_one_schedule_are_counted_together_and_a_tag_chooses(
    caller: Caller, db: Engine
) -> None:
    for number in range(7):
        caller.create(cron_expression="*/30 * * * *", tags=["even"] if number % 2 else [])
    rare = caller.create(cron_expression="0 0 * * *", tags=["even"])
    with db.connect() as connection:
        rows, looked_at = schedules.due_groups(
            connection,
            caller.workspace_id,
            until=clock.now() + 48 * HOUR,
            chosen=forecast.ALL,
            limit=100,
            named=forecast.NAMED,
        )
    assert (looked_at, [(row.jobs, len(row.job_ids)) for row in rows]) == (8, [(7, 5), (1, 1)])
    found = caller.get("upcoming?hours=24").json
    full = found["buckets"][1]
    assert (found["jobs"], full["jobs"], full["runs"], len(full["named"])) in {
        (8, 7, 14, 5),
        (8, 8, 15, 5),
    }
    chosen = caller.get("upcoming?hours=24&tag=even").json
    assert (chosen["jobs"], chosen["partial"]) == (4, False)
    named = {each["id"] for bucket in chosen["buckets"] for each in bucket["named"]}
    assert rare["id"] in named
    assert caller.get("upcoming?tag=none").json["runs"] == 0


def test_other_workspaces_are_left_out(caller: Caller, stranger: Caller) -> None:
    stranger.create(cron_expression="* * * * *")
    found = caller.get("upcoming").json
    assert (found["runs"], found["jobs"], len(found["buckets"])) == (0, 0, 24)


def test_the_number_of_buckets_is_bounded(caller: Caller) -> None:
    answer = caller.get("upcoming?hours=168&bucket_minutes=5")
    assert answer.status_code == 422
    assert "at least 21 minutes" in answer.text
    assert caller.get("upcoming?hours=169").status_code == 422
    assert caller.get("upcoming?hours=1&bucket_minutes=1440").json["bucket_seconds"] == 86_400


_MANY_JOBS = text("""
    INSERT INTO jobs (id, workspace_id, name, description, type, payload, status, tags,
                      max_attempts, retry_delays, backoff_seconds, backoff_factor,
                      backoff_cap_seconds, retry_jitter, timeout_seconds, overlap_policy, version,
                      created_at, updated_at)
    SELECT gen_random_uuid(), :workspace_id, 'Job', '', 'webhook', '{}', 'active', '{}', 1, '{}',
           1, 1, 1, 0, 1, 'allow', 1, now(), now() FROM generate_series(1, :number)""")
_THEIR_SCHEDULES = text("""
    INSERT INTO schedules (job_id, workspace_id, job_type, kind, expression, timezone,
                           jitter_seconds, misfire_policy, misfire_grace_seconds, active,
                           next_run_at)
    SELECT id, :workspace_id, 'webhook', 'cron',
           floor(random() * 60) || ' ' || floor(random() * 60) || ' * * * *', 'Europe/Berlin',
           1000, 'run_latest', 60, true, now() + interval '1 second'
      FROM jobs WHERE workspace_id = :workspace_id""")


def test_many_jobs_are_counted_in_part_at_once_and_whole_after_a_while(
    caller: Caller, db: Engine, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "QUICK", Budget(300, 100.0))
    monkeypatch.setattr(forecast, "THOROUGH", Budget(400, 100.0))
    parameters = {"workspace_id": caller.workspace_id, "number": 400}
    with db.begin() as connection:
        connection.execute(_MANY_JOBS, parameters)
        connection.execute(_THEIR_SCHEDULES, parameters)
    found = caller.get("upcoming?hours=168").json
    assert found["partial"] is True
    assert 0 < found["jobs"] <= 301
    assert found["runs"] > found["jobs"]
    # Nobody has to wait for the whole one, which is there after a while.
    shown: list[dict[str, Any]] = []

    def is_whole() -> bool:
        shown.append(caller.get("upcoming?hours=168").json)
        return not shown[-1]["partial"]

    wait_until(is_whole, within=120, every=0.2)
    assert shown[-1]["jobs"] == 400
    with Redis.from_url(servers.redis_url) as redis:
        keys = redis.keys(f"chronos:cache:{caller.workspace_id}:upcoming:*")
        assert len(keys) == 2
        assert all(60 < redis.ttl(key) <= cached.WHOLE_SECONDS for key in keys)


def test_a_better_answer_that_came_meanwhile_is_kept(app: Flask) -> None:
    key, better = f"test:{uuid4()}", {"partial": False}

    def slow() -> dict[str, Any]:
        kept._write(key, better, 60)
        return {"partial": True}

    with app.app_context():
        kept = cache.current()
        assert kept.get(key, slow) == {"partial": True}
        assert kept.get(key, slow) == better


def test_a_schedule_that_cannot_be_followed_does_not_spoil_the_rest(
    caller: Caller, db: Engine
) -> None:
    broken = caller.create(cron_expression="* * * * *")
    caller.create(cron_expression="0 * * * *")
    with db.begin() as connection:
        connection.execute(
            text("UPDATE schedules SET expression = 'nonsense' WHERE job_id = :id"),
            {"id": broken["id"]},
        )
    found = caller.get("upcoming?hours=10").json
    assert found["runs"] == 9
