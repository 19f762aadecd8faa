"""Many jobs at once, and jobs by their name."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, func, select

import factories
from chronos_api.bulk import changes
from chronos_common import clock, ids
from chronos_common.storage.tables import audit_log, jobs, schedules
from integration.api.callers import DAILY, WEBHOOK, Caller, errors_of, job
from integration.api.rows import fates, in_seconds, plan, stored_job, stored_schedule


def total(caller: Caller) -> int:
    return int(caller.get("jobs?limit=1").json["total"])


def results(answer: dict[str, object]) -> dict[str, str]:
    return {item["id"]: item["result"] for item in answer["items"]}


def test_many_jobs_are_created_in_their_order(caller: Caller, db: Engine) -> None:
    bodies = [job(name=f"Job {number}") for number in range(20)]
    bodies[3] = job(name="Asleep", status="paused")
    answer = caller.post("jobs/bulk", {"jobs": bodies})
    assert answer.status_code == 201
    made = answer.json
    assert [each["name"] for each in made["items"]] == [each["name"] for each in bodies]
    assert (made["total"], total(caller)) == (20, 20)
    asleep, awake = made["items"][3], made["items"][4]
    assert (asleep["status"], asleep["next_run_at"]) == ("paused", None)
    assert not stored_schedule(db, asleep["id"])["active"]
    assert caller.get(f"jobs/{awake['id']}").json["next_run_at"] == awake["next_run_at"]
    with db.connect() as connection:
        query = select(func.count()).where(
            audit_log.c.workspace_id == caller.workspace_id, audit_log.c.action == "job.create"
        )
        assert connection.execute(query).scalar_one() == 20


def test_one_wrong_job_keeps_all_out_and_is_named(caller: Caller) -> None:
    bodies = [job(), job(name="", payload={"url": "nowhere"}), "nonsense", job(cron_expression=1)]
    answer = caller.post("jobs/bulk", {"jobs": bodies})
    assert answer.status_code == 422
    errors = {(each["index"], each["field"]) for each in answer.json["errors"]}
    assert errors == {(1, "name"), (1, "payload.url"), (2, ""), (3, "cron_expression")}
    assert total(caller) == 0


@pytest.mark.parametrize("count", [0, 1001])
def test_the_number_of_new_jobs_is_bounded(caller: Caller, count: int) -> None:
    answer = caller.post("jobs/bulk", {"jobs": [{}] * count})
    assert errors_of(answer) == {"jobs": "Give 1 to 1000 jobs."}


def test_jobs_are_paused_and_resumed_by_a_filter(caller: Caller, db: Engine) -> None:
    night = [caller.create(tags=["night"])["id"] for _ in range(3)]
    other = caller.create()["id"]
    caller.post(f"jobs/{night[2]}/pause")
    planned = plan(db, caller, night[0], [in_seconds(-1), in_seconds(1)])
    with db.begin() as connection:
        worker_id = ids.new_id(clock.now())
        factories.claim(connection, planned[:1], worker_id=worker_id, now=clock.now())
    body = {"filter": {"tag": "night"}}
    rehearsed = caller.post("jobs/bulk/pause", {**body, "dry_run": True}).json
    assert (rehearsed["matched"], rehearsed["changed"], rehearsed["dry_run"]) == (3, 2, True)
    assert caller.get(f"jobs/{night[0]}").json["status"] == "active"
    done = caller.post("jobs/bulk/pause", body).json
    assert done == rehearsed | {"dry_run": False}
    assert results(done) == dict(zip(night, ["changed", "changed", "unchanged"], strict=True))
    assert fates(db, planned) == [("running", None), ("cancelled", "paused")]
    assert [stored_job(db, each)["status"] for each in [*night, other]] == ["paused"] * 3 + [
        "active"
    ]
    assert caller.get("jobs?status=paused&next_run_after=2020-01-01T00:00:00Z").json["total"] == 0
    again = caller.post("jobs/bulk/resume", {"filter": {"status": "paused"}}).json
    assert again["changed"] == 3
    schedule = stored_schedule(db, night[1])
    assert schedule["active"]
    assert schedule["resumed_at"] is not None


@pytest.mark.parametrize("action", ["pause", "delete"])
def test_what_was_due_and_not_planned_gets_its_fate(
    caller: Caller, db: Engine, action: str
) -> None:
    made = caller.create(schedule_type="interval", interval_seconds=60, cron_expression=...)
    missed = in_seconds(-150)
    with db.begin() as connection:
        its = schedules.c.job_id == made["id"]
        moved = {"next_run_at": missed, "anchor": missed}
        connection.execute(schedules.update().where(its).values(moved))
    caller.post(f"jobs/bulk/{action}", {"ids": [made["id"]]})
    (execution,) = caller.get("executions").json["items"]
    reason = {"pause": "paused", "delete": "deleted"}[action]
    assert (execution["status"], execution["reason"]) == ("skipped", reason)
    assert execution["missed_count"] == 3


def test_each_job_says_what_became_of_it(caller: Caller, stranger: Caller, db: Engine) -> None:
    active, completed = caller.create()["id"], caller.create()["id"]
    foreign, missing = stranger.create()["id"], str(uuid4())
    with db.begin() as connection:
        connection.execute(jobs.update().where(jobs.c.id == completed).values(status="completed"))
    wanted = [active, completed, foreign, missing, active]
    done = caller.post("jobs/bulk/pause", {"ids": wanted}).json
    assert (done["matched"], done["changed"]) == (4, 1)
    assert results(done) == {
        active: "changed",
        completed: "conflict",
        foreign: "not_found",
        missing: "not_found",
    }
    assert done["items"][1]["reason"] == "The job is completed."
    assert stored_job(db, foreign)["status"] == "active"


def test_jobs_are_executed_and_deleted_by_their_ids(caller: Caller, db: Engine) -> None:
    made = [caller.create()["id"] for _ in range(2)]
    done = caller.post("jobs/bulk/execute", {"ids": made}).json
    triggered = [item["execution_id"] for item in done["items"]]
    for job_id, execution_id in zip(made, triggered, strict=True):
        execution = caller.get(f"executions/{execution_id}").json
        assert (execution["job_id"], execution["trigger"]) == (job_id, "manual")
    gone = caller.post("jobs/bulk/delete", {"ids": made}).json
    assert gone["changed"] == 2
    assert total(caller) == 0
    assert fates(db, [UUID(each) for each in triggered]) == [("cancelled", "deleted")] * 2
    actions = {each["action"] for each in caller.get("audit").json["items"]}
    assert {"job.execute", "job.delete"} <= actions


def test_tags_are_added_and_removed(caller: Caller) -> None:
    first = caller.create(tags=["a", "b"])["id"]
    full = caller.create(tags=[f"t{number}" for number in range(20)])["id"]
    done = caller.post(
        "jobs/bulk/tag", {"ids": [first, full], "add": ["c", "a"], "remove": ["b"]}
    ).json
    assert results(done) == {first: "changed", full: "conflict"}
    read = caller.get(f"jobs/{first}").json
    assert (read["tags"], read["version"]) == (["a", "c"], 2)
    again = caller.post("jobs/bulk/tag", {"filter": {"tag": "c"}, "add": ["c"]}).json
    assert results(again) == {first: "unchanged"}
    assert caller.get(f"jobs/{first}").json["version"] == 2


def test_more_than_are_changed_at_once_are_refused_and_counted(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MAX_JOBS", 2)
    for _ in range(3):
        caller.create()
    answer = caller.post("jobs/bulk/delete", {"filter": {}})
    assert "Matches more than" in errors_of(answer)["filter"]
    assert total(caller) == 3
    rehearsed = caller.post("jobs/bulk/delete", {"filter": {}, "dry_run": True}).json
    assert (rehearsed["matched"], len(rehearsed["items"]), rehearsed["limit"]) == (3, 2, 2)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "ids"),
        ({"ids": [], "filter": {}}, "ids"),
        ({"ids": ["x"]}, "ids.0"),
        ({"ids": [str(UUID(int=1))] * 1001}, "ids"),
        ({"filter": {"stauts": "active"}}, "filter.stauts"),
        ({"filter": {"last_outcome": "gone"}}, "filter.last_outcome"),
        ({"filter": {}, "matched": 3}, "matched"),
        ({"filter": {}, "matched": 0, "in_background": True}, "matched"),
        ({"filter": {}, "dry_run": "yes"}, "dry_run"),
    ],
)
def test_a_wrong_choice_is_named(caller: Caller, body: dict[str, object], field: str) -> None:
    assert set(errors_of(caller.post("jobs/bulk/pause", body))) == {field}


@pytest.mark.parametrize("body", [[], "ids", 7])
def test_a_choice_that_is_no_object_is_refused(caller: Caller, body: object) -> None:
    assert caller.post("jobs/bulk/pause", body).status_code == 400


def test_a_viewer_changes_nothing_in_bulk(caller: Caller, db: Engine) -> None:
    viewer = caller.me_in("viewer", db)
    for action in ("", "/pause", "/resume", "/execute", "/delete", "/tag"):
        assert viewer.post(f"jobs/bulk{action}", {"filter": {}}).status_code == 403


def named(name: str) -> str:
    return f"jobs/by-name/{quote(name, safe='')}"


def test_a_job_is_put_by_its_name(caller: Caller) -> None:
    body = {"payload": WEBHOOK, **DAILY}
    first = caller.put(named("Nightly / report"), body)
    assert first.status_code == 201
    assert first.headers["Location"] == f"/api/v1/jobs/{first.json['id']}"
    again = caller.put(named("Nightly / report"), body)
    assert (again.status_code, again.json) == (200, first.json)
    assert again.headers["ETag"] == first.headers["ETag"]
    changed = caller.put(named("Nightly / report"), {**body, "tags": ["x"]}).json
    assert (changed["id"], changed["version"]) == (first.json["id"], 2)
    assert caller.get("jobs?name=Nightly%20%2F%20report").json["total"] == 1


def test_an_interval_that_is_put_again_goes_on_where_it_was(caller: Caller) -> None:
    body = {
        "payload": {**WEBHOOK, "headers": {"Authorization": "secret"}},
        "schedule_type": "interval",
        "interval_seconds": 90,
    }
    first = caller.put(named("Often"), body).json
    assert caller.put(named("Often"), body).json == first
    paused = caller.put(named("Often"), {**body, "status": "paused"}).json
    assert (paused["status"], paused["version"]) == ("paused", 2)


def test_a_name_that_several_jobs_have_is_a_conflict(caller: Caller) -> None:
    for _ in range(2):
        caller.create(name="Twice")
    answer = caller.put(named("Twice"), {"payload": WEBHOOK, **DAILY})
    assert answer.status_code == 409
    assert "Several jobs" in answer.json["detail"]


def test_of_puts_at_once_one_creates(caller: Caller) -> None:
    def put(_: int) -> int:
        return caller.put(named("Once"), {"payload": WEBHOOK, **DAILY}).status_code

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(put, range(6))) == [200] * 5 + [201]
    assert total(caller) == 1


def test_conditions_hold_for_names_too(caller: Caller) -> None:
    body = {"payload": WEBHOOK, **DAILY}
    for any_or_one in ("*", '"1"'):
        answer = caller.put(named("New"), body, headers={"If-Match": any_or_one})
        assert answer.status_code == 412
    new = {"If-None-Match": "*"}
    assert caller.put(named("New"), body, headers=new).status_code == 201
    assert caller.put(named("New"), body, headers=new).status_code == 412
    for tags in ('"7"', '""', '"x", ""', "7"):
        assert caller.put(named("New"), body, headers={"If-Match": tags}).status_code == 412


@pytest.mark.parametrize(
    ("name", "body"),
    [("x" * 201, {}), (" ", {}), ("a", {"name": "b"}), ("a", {"name": 1})],
)
def test_a_wrong_name_is_refused(caller: Caller, name: str, body: dict[str, object]) -> None:
    assert "name" in errors_of(caller.put(named(name), {"payload": WEBHOOK, **DAILY, **body}))


def audited(caller: Caller, subject_ids: set[str]) -> list[tuple[str, str, object]]:
    entries = caller.get("audit?limit=100").json["items"]
    return [
        (each["action"], each["subject_type"], each["details"])
        for each in entries
        if each["subject_id"] in subject_ids
    ]


@pytest.mark.parametrize("action", ["pause", "resume", "delete"])
def test_one_job_changes_as_many_do(caller: Caller, db: Engine, action: str) -> None:
    alone, in_bulk = (caller.create()["id"] for _ in range(2))
    planned = [plan(db, caller, each, [in_seconds(60)]) for each in (alone, in_bulk)]
    if action == "resume":
        for job_id in (alone, in_bulk):
            caller.post(f"jobs/{job_id}/pause")
    changed = (
        caller.delete(f"jobs/{alone}")
        if action == "delete"
        else caller.post(f"jobs/{alone}/{action}")
    )
    assert changed.status_code < 300
    bulk = caller.post(f"jobs/bulk/{action}", {"ids": [in_bulk]})
    assert results(bulk.json) == {in_bulk: "changed"}
    one, other = (stored_job(db, each) for each in (alone, in_bulk))
    assert (one["status"], one["version"]) == (other["status"], other["version"])
    assert (one["deleted_at"] is None) == (other["deleted_at"] is None)
    schedule, another = (stored_schedule(db, each) for each in (alone, in_bulk))
    assert schedule["active"] == another["active"]
    assert (schedule["resumed_at"] is None) == (another["resumed_at"] is None)
    assert fates(db, planned[0]) == fates(db, planned[1])
    assert audited(caller, {alone}) == audited(caller, {in_bulk})
