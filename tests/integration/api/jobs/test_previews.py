"""Previews of schedules: clock changes, and what a new schedule of a job drops and adds."""

from uuid import uuid4

from integration.api.callers import Caller

NIGHTLY = {"schedule_type": "cron", "cron_expression": "30 2 * * *", "timezone": "Europe/Berlin"}


def test_a_preview_tells_the_clock_changes_that_meet_it(caller: Caller) -> None:
    preview = caller.post("schedules/preview", {**NIGHTLY, "after": "2026-12-01T00:00:00Z"}).json
    spring, autumn = preview["clock_changes"]
    assert (spring["kind"], spring["at"]) == ("skipped", "2027-03-28T01:00:00.000Z")
    assert spring["readings"] == ["2027-03-28T02:30:00"]
    (run,) = spring["runs"]
    assert run == {"at": "2027-03-28T01:00:00.000Z", "local": "2027-03-28T03:00:00+02:00"}
    assert "02:30 does not exist" in spring["description"]
    assert [each["local"] for each in autumn["runs"]] == ["2027-10-31T02:30:00+02:00"]
    assert preview["replacement"] is None


def test_the_instant_of_a_clock_change_is_the_one_that_runs(caller: Caller) -> None:
    just_before = {**NIGHTLY, "after": "2060-03-28T00:59:00Z", "count": 1}
    preview = caller.post("schedules/preview", just_before).json
    assert preview["next_runs"] == preview["clock_changes"][0]["runs"]
    job = caller.create(**NIGHTLY, starts_at="2060-03-28T00:59:00Z")
    assert job["next_run_at"] == preview["next_runs"][0]["at"]


def test_a_preview_for_a_job_compares_with_its_schedule(caller: Caller, stranger: Caller) -> None:
    job = caller.create(**NIGHTLY)
    # On the day of a clock change the local times would be others.
    nightly = {**NIGHTLY, "job_id": job["id"], "after": "2026-12-01T00:00:00Z"}
    wanted = {**nightly, "cron_expression": "30 2 * * MON-FRI"}
    found = caller.post("schedules/preview", wanted).json["replacement"]
    assert len(found["dropped"]) + found["kept"] == 100
    assert (found["added"], found["dropped"][0]["local"][11:16]) == ([], "02:30")
    same = caller.post("schedules/preview", nightly).json["replacement"]
    assert (same["dropped"], same["added"], same["kept"]) == ([], [], 100)
    assert stranger.post("schedules/preview", wanted).status_code == 404
    unknown = caller.post("schedules/preview", {**NIGHTLY, "job_id": str(uuid4())})
    assert unknown.status_code == 404


def test_a_preview_counts_the_other_jobs_of_its_first_second(caller: Caller) -> None:
    made = [caller.create(**NIGHTLY)["id"] for _ in range(3)]
    caller.create(**NIGHTLY | {"cron_expression": "31 2 * * *"})
    caller.post(f"jobs/{made[0]}/pause")
    found = caller.post("schedules/preview", NIGHTLY).json
    assert found["also_due"]["at"] == found["next_runs"][0]["at"]
    assert (found["also_due"]["jobs"], found["also_due"]["is_exact"]) == (2, True)
    own = caller.post("schedules/preview", {**NIGHTLY, "job_id": made[1]}).json
    assert own["also_due"]["jobs"] == 1
    paused = caller.post("schedules/preview", {**NIGHTLY, "job_id": made[0]}).json
    assert paused["also_due"]["jobs"] == 2
