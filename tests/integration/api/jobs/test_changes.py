"""Changes of jobs: PATCH, PUT, versions, and secrets that stay."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine

from chronos_common.domain.cron.dates import DayMatch
from chronos_common.storage.jobs.schedules import find as schedules_of
from chronos_common.storage.tables import jobs, schedules
from integration.api.callers import WEBHOOK, Caller, errors_of, job
from integration.api.rows import fates, in_seconds, plan, stored_job, stored_schedule

SECRET = {**WEBHOOK, "headers": {"Authorization": "Bearer hidden", "X-Team": "mail"}}


def test_a_patch_changes_what_it_gives(caller: Caller) -> None:
    made = caller.create(description="old", tags=["a"], max_runs=5)
    answer = caller.patch(f"jobs/{made['id']}", {"name": "New", "tags": ["b"]})
    assert answer.status_code == 200
    assert answer.headers["ETag"].startswith('"2.')
    changed = {"name": "New", "tags": ["b"], "version": 2, "updated_at": answer.json["updated_at"]}
    assert answer.json == {**made, **changed}
    assert caller.get(f"jobs/{made['id']}").json == answer.json


def test_null_resets_a_field_to_its_default(caller: Caller) -> None:
    made = caller.create(max_attempts=7, description="x", timezone="Europe/Berlin")
    reset = {"max_attempts": None, "description": None, "timezone": None}
    changed = caller.patch(f"jobs/{made['id']}", reset).json
    assert (changed["max_attempts"], changed["description"], changed["timezone"]) == (4, "", "UTC")


def test_another_day_match_begins_the_schedule_anew(caller: Caller, db: Engine) -> None:
    made = caller.create(cron_expression="0 0 13 * FRI", day_match="all")
    assert made["schedule_description"].startswith("At 00:00 on day 13 of the month, but only on")
    with db.begin() as connection:
        stored = schedules_of(connection, UUID(made["id"]))
    assert stored is not None
    assert stored.day_match is DayMatch.ALL
    assert all(each[8:10] == "13" for each in made["next_runs"])
    changed = caller.patch(f"jobs/{made['id']}", {"day_match": None}).json
    assert (changed["day_match"], "also on" in changed["schedule_description"]) == ("any", True)
    assert changed["next_run_at"] < made["next_runs"][1]


def test_only_a_cron_schedule_has_days_that_match(caller: Caller) -> None:
    made = caller.create(cron_expression="0 0 13 * FRI", day_match="all")
    interval = {"schedule_type": "interval", "interval_seconds": 60}
    refused = caller.patch(f"jobs/{made['id']}", {**interval, "day_match": "all"})
    assert "day_match" in errors_of(refused)
    changed = caller.patch(f"jobs/{made['id']}", interval).json
    assert (changed["schedule_type"], changed["day_match"]) == ("interval", "any")
    assert "day_match" in errors_of(caller.patch(f"jobs/{made['id']}", {"day_match": "some"}))


def test_the_patch_of_the_seeds_renames_and_pauses(caller: Caller) -> None:
    made = caller.create()
    change = {"name": "Updated Job Name", "status": "paused"}
    changed = caller.patch(f"jobs/{made['id']}", change).json
    assert (changed["name"], changed["status"]) == ("Updated Job Name", "paused")
    resumed = caller.patch(f"jobs/{made['id']}", {"status": "active"}).json
    assert (resumed["status"], resumed["next_run_at"]) == ("active", made["next_run_at"])
    assert "status" in errors_of(caller.patch(f"jobs/{made['id']}", {"status": "completed"}))


def test_an_unchanged_schedule_goes_on_where_it_was(caller: Caller, db: Engine) -> None:
    made = caller.create(
        schedule_type="interval", interval_seconds=7, cron_expression=..., max_runs=9
    )
    with db.begin() as connection:
        connection.execute(
            schedules.update().where(schedules.c.job_id == made["id"]).values(runs_left=4)
        )
    before = stored_schedule(db, made["id"])
    read = caller.get(f"jobs/{made['id']}").json
    assert caller.patch(f"jobs/{made['id']}", {"name": "Other"}).status_code == 200
    assert caller.put(f"jobs/{made['id']}", read).status_code == 200
    assert stored_schedule(db, made["id"]) == before


def test_a_past_one_time_job_can_still_be_renamed(caller: Caller, db: Engine) -> None:
    made = caller.create(
        schedule_type="once", run_at=in_seconds(3600).isoformat(), cron_expression=...
    )
    past = in_seconds(-3600)
    with db.begin() as connection:
        connection.execute(
            schedules.update()
            .where(schedules.c.job_id == made["id"])
            .values(anchor=past, next_run_at=None)
        )
    assert caller.patch(f"jobs/{made['id']}", {"name": "Other"}).status_code == 200
    wrong = caller.patch(f"jobs/{made['id']}", {"run_at": in_seconds(-7200).isoformat()})
    assert "past" in errors_of(wrong)["run_at"]


def test_another_kind_of_schedule_replaces_the_fields_of_the_former(caller: Caller) -> None:
    made = caller.create(job_type="recurring")
    hourly = {"schedule_type": "interval", "interval_seconds": 3600}
    changed = caller.patch(f"jobs/{made['id']}", hourly).json
    assert (changed["cron_expression"], changed["interval_seconds"]) == (None, 3600)
    once = {"schedule_type": "once", "run_at": "2031-01-01T00:00:00Z"}
    assert caller.patch(f"jobs/{made['id']}", once).json["job_type"] == "one_time"
    wrong = caller.patch(f"jobs/{made['id']}", {"interval_seconds": 5})
    assert "interval_seconds" in errors_of(wrong)


def test_another_way_to_space_retries_replaces_the_former(caller: Caller) -> None:
    job_id = caller.create(retry_delays=[1, 2])["id"]
    changed = caller.patch(f"jobs/{job_id}", {"backoff_seconds": 9}).json
    assert (changed["retry_delays"], changed["backoff_seconds"]) == ([], 9)
    changed = caller.patch(f"jobs/{job_id}", {"retry_delays": [3]}).json
    assert (changed["retry_delays"], changed["backoff_seconds"]) == ([3], None)
    both = errors_of(caller.patch(f"jobs/{job_id}", {"retry_delays": [3], "backoff_seconds": 9}))
    assert "backoff_seconds" in both


def test_a_new_schedule_starts_now_and_drops_what_was_planned_ahead(
    caller: Caller, db: Engine
) -> None:
    made = caller.create(
        schedule_type="interval", interval_seconds=2, cron_expression=..., max_runs=5
    )
    wanted = in_seconds(30)
    late, ahead, also_new = in_seconds(-1), in_seconds(31), wanted
    planned = plan(db, caller, made["id"], [late, ahead, also_new])
    with db.begin() as connection:
        mine = schedules.update().where(schedules.c.job_id == made["id"])
        connection.execute(mine.values(runs_left=2))
    starts = {"interval_seconds": 60, "starts_at": wanted.isoformat()}
    changed = caller.patch(f"jobs/{made['id']}", starts).json
    # The overdue one is still owed. The last one is an instant of the new schedule too, which goes
    # on behind it: it has its row.
    following = wanted + timedelta(seconds=60)
    assert changed["next_run_at"] == f"{following.isoformat(timespec='milliseconds')[:-6]}Z"
    assert fates(db, planned) == [
        ("queued", None),
        ("cancelled", "rescheduled"),
        ("queued", None),
    ]
    # The one that was cancelled has not used up its run.
    assert stored_schedule(db, made["id"])["runs_left"] == 3


def test_max_runs_counts_the_runs_that_were(caller: Caller, db: Engine) -> None:
    made = caller.create(max_runs=5)
    with db.begin() as connection:
        mine = schedules.update().where(schedules.c.job_id == made["id"])
        connection.execute(mine.values(runs_left=2))
    caller.patch(f"jobs/{made['id']}", {"max_runs": 9})
    assert stored_schedule(db, made["id"])["runs_left"] == 6
    caller.patch(f"jobs/{made['id']}", {"max_runs": 3})
    spent = stored_schedule(db, made["id"])
    assert (spent["runs_left"], spent["next_run_at"]) == (0, None)
    changed = caller.patch(f"jobs/{made['id']}", {"max_runs": 4}).json
    assert changed["next_runs"] == [made["next_run_at"]]


def test_a_completed_job_with_a_new_schedule_is_active_again(caller: Caller, db: Engine) -> None:
    made = caller.create()
    with db.begin() as connection:
        connection.execute(jobs.update().where(jobs.c.id == made["id"]).values(status="completed"))
        connection.execute(
            schedules.update()
            .where(schedules.c.job_id == made["id"])
            .values(active=False, next_run_at=None)
        )
    assert caller.patch(f"jobs/{made['id']}", {"name": "Other"}).json["status"] == "completed"
    for action in ("pause", "resume"):
        assert caller.post(f"jobs/{made['id']}/{action}").status_code == 409
    read = caller.get(f"jobs/{made['id']}").json
    assert caller.put(f"jobs/{made['id']}", read).json["status"] == "completed"
    changed = caller.patch(f"jobs/{made['id']}", {"cron_expression": "5 5 * * *"}).json
    assert (changed["status"], bool(changed["next_run_at"])) == ("active", True)
    assert stored_schedule(db, made["id"])["active"]


def test_what_was_read_can_be_put_back(caller: Caller, db: Engine) -> None:
    made = caller.create(
        payload={**SECRET, "url": "https://example.com/hook?token=t0k3n", "params": {"key": "k"}},
        starts_at="2031-01-01T00:00:00.123456Z",
        jitter_seconds=30,
        notify=[],
        tags=["a"],
    )
    before = stored_job(db, made["id"])
    read = caller.get(f"jobs/{made['id']}").json
    written = caller.put(f"jobs/{made['id']}", read)
    assert written.status_code == 200
    changed = {"version": 2, "updated_at": written.json["updated_at"]}
    assert written.json == {**read, **changed}
    after = stored_job(db, made["id"])
    assert {**after} == {**before, "version": 2, "updated_at": after["updated_at"]}


def test_a_put_replaces_the_whole_definition(caller: Caller) -> None:
    made = caller.create(description="old", tags=["a"], max_attempts=9)
    replaced = caller.put(f"jobs/{made['id']}", job(name="New")).json
    assert (replaced["name"], replaced["description"], replaced["tags"]) == ("New", "", [])
    assert replaced["max_attempts"] == 4
    assert errors_of(caller.put(f"jobs/{made['id']}", {"name": "New"})).keys() == {
        "payload",
        "schedule_type",
    }


def test_secrets_are_never_answered(caller: Caller) -> None:
    headers = {"X-Api-Key": "hidden", "X-Team": "mail"}
    url = "https://u:hidden@example.com/?key=hidden"
    made = caller.create(payload={"url": url, "headers": headers})
    assert made["payload"]["headers"] == {"X-Api-Key": "[redacted]", "X-Team": "mail"}
    for path in (f"jobs/{made['id']}", "jobs"):
        assert "hidden" not in caller.get(path).text


def test_a_redacted_secret_is_not_sent_to_another_server(caller: Caller, db: Engine) -> None:
    made = caller.create(payload=SECRET)
    shown = made["payload"]
    elsewhere = {**shown, "url": "https://elsewhere.example/hook"}
    wrong = errors_of(caller.patch(f"jobs/{made['id']}", {"payload": elsewhere}))
    assert wrong.keys() == {"payload.headers.Authorization"}
    same_server = {**shown, "url": "https://example.com/other"}
    assert caller.patch(f"jobs/{made['id']}", {"payload": same_server}).status_code == 200
    headers = stored_job(db, made["id"])["payload"]["headers"]
    assert headers["Authorization"] == "Bearer hidden"
    assert "payload.headers.Authorization" in errors_of(caller.post("jobs", job(payload=shown)))


def test_a_stale_version_is_refused(caller: Caller) -> None:
    made = caller.create()
    path = f"jobs/{made['id']}"
    stale, current = {"If-Match": '"1"'}, {"If-Match": '"7", W/"2"'}
    assert caller.patch(path, {"name": "A"}, headers=stale).status_code == 200
    assert caller.patch(path, {"name": "B"}, headers=stale).status_code == 412
    assert caller.put(path, job(), headers=stale).status_code == 412
    assert caller.delete(path, headers=stale).status_code == 412
    assert caller.patch(path, {"name": "B"}, headers={"If-Match": '"abc"'}).status_code == 412
    assert caller.get(path).json["name"] == "A"
    assert caller.patch(path, {"name": "B"}, headers=current).status_code == 200
    assert caller.delete(path, headers={"If-Match": "*"}).status_code == 204


def test_of_changes_based_on_one_version_one_wins(caller: Caller) -> None:
    path = f"jobs/{caller.create()['id']}"

    def change(number: int) -> int:
        tag = {"If-Match": '"1"'}
        return caller.patch(path, {"name": str(number)}, headers=tag).status_code

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(change, range(6))) == [200, 412, 412, 412, 412, 412]
    assert caller.get(path).json["version"] == 2


def test_a_type_cannot_be_changed(caller: Caller) -> None:
    made = caller.create()
    mail = {"type": "email", "payload": {"to": ["a@example.com"], "subject": "s"}}
    assert errors_of(caller.patch(f"jobs/{made['id']}", mail)).keys() == {"type"}
    assert caller.patch(f"jobs/{made['id']}", {"type": "webhook"}).status_code == 200


def test_an_empty_patch_changes_nothing(caller: Caller) -> None:
    made = caller.create()
    assert caller.patch(f"jobs/{made['id']}", {}).json == made
