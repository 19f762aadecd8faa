"""What jobs hold of their workspace's quotas, by every way to create, change and remove them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, text

from chronos_common.quotas import JOB_BYTES, JOBS, RUNS_PER_DAY, Quota
from chronos_common.storage import quotas
from chronos_scheduler.complete import Completer
from integration.api.callers import DAILY, WEBHOOK, Caller, job

MINUTELY = {"schedule_type": "cron", "cron_expression": "* * * * *"}
HELD = {JOBS: 1, JOB_BYTES: len('{"url": "https://example.com/hook"}'), RUNS_PER_DAY: 1440}
NOTHING = dict.fromkeys(HELD, 0)


def held(db: Engine, caller: Caller) -> dict[Quota, int]:
    query = text("SELECT quota, used FROM workspace_quotas WHERE workspace_id = :id")
    with db.connect() as connection:
        rows = connection.execute(query, {"id": caller.workspace_id})
        found = {row.quota: row.used for row in rows}
    return {each: found.get(each.name, 0) for each in HELD}


def bound(db: Engine, caller: Caller, quota: Quota, value: int) -> None:
    with db.begin() as connection:
        quotas.set_bound(connection, caller.workspace_id, quota, value)


def _created(caller: Caller) -> str:
    return str(caller.create(**MINUTELY)["id"])


def _created_in_bulk(caller: Caller) -> str:
    answer = caller.post("jobs/bulk", {"jobs": [job(**MINUTELY)]})
    return str(answer.json["items"][0]["id"])


def _created_by_name(caller: Caller) -> str:
    return str(caller.put("jobs/by-name/Ping", job(**MINUTELY)).json["id"])


@pytest.mark.parametrize("create", [_created, _created_in_bulk, _created_by_name])
@pytest.mark.parametrize("delete", ["delete", "bulk"])
def test_a_job_holds_its_part_from_its_creation_to_its_deletion(
    caller: Caller, db: Engine, create: Callable[[Caller], str], delete: str
) -> None:
    job_id = create(caller)
    assert held(db, caller) == HELD
    if delete == "bulk":
        caller.post("jobs/bulk/delete", {"ids": [job_id]})
    else:
        caller.delete(f"jobs/{job_id}")
    assert held(db, caller) == NOTHING


def test_a_paused_job_plans_no_runs(caller: Caller, db: Engine) -> None:
    job_id = _created(caller)
    for _ in range(2):
        caller.post(f"jobs/{job_id}/pause")
        assert held(db, caller) == HELD | {RUNS_PER_DAY: 0}
    for _ in range(2):
        caller.post(f"jobs/{job_id}/resume")
        assert held(db, caller) == HELD
    caller.post(f"jobs/{job_id}/pause")
    caller.delete(f"jobs/{job_id}")
    assert held(db, caller) == NOTHING


def test_a_job_created_paused_plans_none_until_it_is_resumed(caller: Caller, db: Engine) -> None:
    job_id = caller.create(status="paused", **MINUTELY)["id"]
    assert held(db, caller) == HELD | {RUNS_PER_DAY: 0}
    caller.patch(f"jobs/{job_id}", {"status": "active", "payload": WEBHOOK | {"method": "PUT"}})
    assert held(db, caller)[RUNS_PER_DAY] == 1440
    assert held(db, caller)[JOB_BYTES] > HELD[JOB_BYTES]


@pytest.mark.parametrize(
    ("change", "runs"),
    [
        ({"cron_expression": "0 9 * * *"}, 1),
        ({"cron_expression": "*/10 * 9-10 * * MON"}, 6 * 60 * 2),
        ({"schedule_type": "interval", "interval_seconds": 7}, 12_343),
        ({"schedule_type": "once", "run_at": "2099-01-01T00:00:00Z"}, 0),
    ],
)
def test_a_changed_schedule_holds_its_own_runs(
    caller: Caller, db: Engine, change: dict[str, Any], runs: int
) -> None:
    caller.patch(f"jobs/{_created(caller)}", change)
    assert held(db, caller) == HELD | {RUNS_PER_DAY: runs}


def test_a_completed_job_plans_no_runs_and_is_still_a_job(caller: Caller, db: Engine) -> None:
    job_id = _created(caller)
    with db.begin() as connection:
        query = text("UPDATE schedules SET next_run_at = NULL WHERE job_id = :id")
        connection.execute(query, {"id": job_id})
    Completer(db).tick()
    assert caller.get(f"jobs/{job_id}").json["status"] == "completed"
    assert held(db, caller) == HELD | {RUNS_PER_DAY: 0}
    caller.delete(f"jobs/{job_id}")
    assert held(db, caller) == NOTHING


def test_fifty_creates_side_by_side_do_not_pass_the_bound(caller: Caller, db: Engine) -> None:
    bound(db, caller, JOBS, 7)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: caller.post("jobs", job()).status_code, range(50)))
    assert sorted(set(answers)) == [201, 429]
    assert answers.count(201) == 7
    assert caller.get("jobs").json["total"] == 7


@pytest.mark.parametrize(
    ("quota", "most", "name"),
    [(JOBS, 1, "jobs"), (JOB_BYTES, 60, "job_bytes"), (RUNS_PER_DAY, 1500, "runs_per_day")],
)
def test_at_a_bound_the_workspace_is_refused_with_the_reason_and_others_are_not(
    caller: Caller, stranger: Caller, db: Engine, quota: Quota, most: int, name: str
) -> None:
    bound(db, caller, quota, most)
    kept = _created(caller)
    made = job(name="Another", **MINUTELY)
    for answer in (
        caller.post("jobs", made),
        caller.post("jobs/bulk", {"jobs": [made]}),
        caller.put("jobs/by-name/Another", made),
    ):
        assert (answer.status_code, answer.json["type"]) == (429, "/docs#problem-quota-exceeded")
        problem = answer.json["quota"]
        assert (problem["name"], problem["bound"]) == (name, most)
        assert problem["used"] == HELD[quota]
        assert "Retry-After" not in answer.headers
    assert caller.get("jobs").json["total"] == 1
    assert stranger.create(**MINUTELY)
    caller.delete(f"jobs/{kept}")
    assert caller.post("jobs", made).status_code == 201


def test_a_change_that_needs_more_than_is_left_changes_nothing(caller: Caller, db: Engine) -> None:
    bound(db, caller, RUNS_PER_DAY, 1500)
    job_id = _created(caller)
    other = caller.create(name="Other", status="paused", **MINUTELY)["id"]
    for answer in (
        caller.patch(f"jobs/{job_id}", {"cron_expression": "* * * * * *"}),
        caller.post(f"jobs/{other}/resume"),
        caller.post("jobs/bulk/resume", {"ids": [other]}),
    ):
        assert answer.json["quota"]["name"] == "runs_per_day"
    assert caller.get(f"jobs/{job_id}").json["cron_expression"] == "* * * * *"
    assert caller.get(f"jobs/{other}").json["status"] == "paused"
    assert caller.patch(f"jobs/{job_id}", DAILY).status_code == 200
    assert caller.post(f"jobs/{other}/resume").status_code == 200


def test_at_zero_bound_and_above_it_less_is_always_allowed(caller: Caller, db: Engine) -> None:
    """An operator who lowers a quota keeps nobody from using less."""
    job_id = _created(caller)
    for quota in HELD:
        bound(db, caller, quota, 0)
    assert caller.patch(f"jobs/{job_id}", DAILY).status_code == 200
    assert caller.patch(f"jobs/{job_id}", {"description": "the same"}).status_code == 200
    assert caller.post(f"jobs/{job_id}/pause").status_code == 200
    assert caller.delete(f"jobs/{job_id}").status_code == 204
    assert held(db, caller) == NOTHING
