"""A pause has a note and an end."""

from datetime import timedelta

from sqlalchemy import Engine, select, update

from chronos_common import clock
from chronos_common.storage.tables import audit_log, jobs
from integration.api.callers import Caller, errors_of
from integration.api.rows import in_seconds, stored_schedule

LATER = "2031-01-01T00:00:00.000Z"


def test_a_pause_says_who_why_and_until_when(caller: Caller) -> None:
    made = caller.create()
    assert made["paused_at"] is made["paused_by"] is made["pause_note"] is None
    body = {"note": "  The shop moves ", "until": LATER}
    paused = caller.post(f"jobs/{made['id']}/pause", body).json
    assert (paused["pause_note"], paused["paused_until"]) == ("The shop moves", LATER)
    assert paused["paused_by"] == str(caller.user_id)
    assert paused["paused_at"] == paused["updated_at"]
    assert caller.get(f"jobs/{made['id']}").json == paused
    assert caller.get("jobs").json["items"][0]["pause_note"] == "The shop moves"
    resumed = caller.post(f"jobs/{made['id']}/resume").json
    shown = {name: resumed[name] for name in ("paused_at", "paused_by", "pause_note")}
    assert set(shown.values()) == {None}
    assert resumed["paused_until"] is None


def test_a_paused_job_gets_another_note_and_keeps_the_beginning_of_its_pause(
    caller: Caller, db: Engine
) -> None:
    made = caller.create()
    first = caller.post(f"jobs/{made['id']}/pause", {"note": "One"}).json
    same = caller.post(f"jobs/{made['id']}/pause", {"note": "One"}).json
    assert same == first
    second = caller.post(f"jobs/{made['id']}/pause", {"note": "Two", "until": LATER}).json
    assert (second["pause_note"], second["paused_until"]) == ("Two", LATER)
    assert second["paused_at"] == first["paused_at"]
    assert second["version"] == first["version"] + 1
    with db.connect() as connection:
        query = select(audit_log.c.action, audit_log.c.details).where(
            audit_log.c.subject_id == made["id"]
        )
        log = connection.execute(query.order_by(audit_log.c.id.desc())).all()
    assert log[0].action == "job.update"
    assert log[0].details["after"] == {"pause_note": "Two", "paused_until": LATER}
    assert log[1].details == {"name": "Ping", "note": "One"}


def test_a_pause_ends_in_the_future(caller: Caller) -> None:
    made = caller.create()
    past = clock.rfc3339(clock.now() - timedelta(seconds=5))
    for until in (past, "2090-01-01T00:00:00Z"):
        refused = caller.post(f"jobs/{made['id']}/pause", {"until": until})
        assert "until" in errors_of(refused)
    refused = caller.post(f"jobs/{made['id']}/pause", {"note": "x" * 501, "why": 1})
    assert errors_of(refused).keys() == {"note", "why"}
    assert caller.get(f"jobs/{made['id']}").json["status"] == "active"


def test_a_pause_of_a_completed_job_is_refused(caller: Caller, db: Engine) -> None:
    made = caller.create()
    with db.begin() as connection:
        connection.execute(update(jobs).where(jobs.c.id == made["id"]).values(status="completed"))
    assert caller.post(f"jobs/{made['id']}/pause", {"note": "Why"}).status_code == 409


def test_many_jobs_are_paused_with_one_note(caller: Caller) -> None:
    active, paused = caller.create(), caller.create(status="paused")
    assert paused["paused_by"] == str(caller.user_id)
    body = {"ids": [active["id"], paused["id"]], "note": "Moving", "until": LATER}
    dry = caller.post("jobs/bulk/pause", {**body, "dry_run": True}).json
    done = caller.post("jobs/bulk/pause", body).json
    assert (dry["changed"], done["changed"]) == (2, 2)
    for job_id in body["ids"]:
        job = caller.get(f"jobs/{job_id}").json
        assert (job["pause_note"], job["paused_until"]) == ("Moving", LATER)
    again = caller.post("jobs/bulk/pause", body).json
    assert again["changed"] == 0
    without = caller.post("jobs/bulk/pause", {"ids": body["ids"]}).json
    assert without["changed"] == 0
    past = {**body, "until": clock.rfc3339(clock.now())}
    assert errors_of(caller.post("jobs/bulk/pause", past)).keys() == {"until"}


def test_an_instant_behind_the_end_of_a_pause_is_to_come(caller: Caller, db: Engine) -> None:
    made = caller.create(cron_expression="0 * * * * *")
    until = in_seconds(3600).replace(microsecond=0, second=0)
    body = {"note": "Moving", "until": clock.rfc3339(until)}
    caller.post(f"jobs/{made['id']}/pause", body)
    during = clock.rfc3339(until - timedelta(minutes=1))
    found = caller.get(f"jobs/{made['id']}/why?at={during}").json
    assert found["verdict"] == "paused"
    assert "Moving" in found["explanation"]
    assert " until " in found["explanation"]
    after = clock.rfc3339(until + timedelta(minutes=1))
    assert caller.get(f"jobs/{made['id']}/why?at={after}").json["verdict"] == "to_come"
    assert not stored_schedule(db, made["id"])["active"]
