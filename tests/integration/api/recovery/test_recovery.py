"""The recovery desk: open failures, their groups, and actions on many executions."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, update

from chronos_common.storage.tables import executions
from integration.api.callers import Caller, errors_of
from integration.api.rows import fates, in_seconds, plan

Ids = list[UUID]


def ended(
    caller: Caller, db: Engine, job_id: str, seconds: list[float], status: str, **values: Any
) -> Ids:
    """Store executions of a job that ended so, at these instants from now."""
    found = plan(db, caller, job_id, [in_seconds(each) for each in seconds])
    changes = {
        "status": status,
        "started_at": in_seconds(-1),
        "finished_at": in_seconds(-1),
        "error": "503 Service Unavailable" if status == "failed" else None,
        **values,
    }
    with db.begin() as connection:
        connection.execute(update(executions).where(executions.c.id.in_(found)).values(changes))
    return found


def ids_of(caller: Caller, query: str) -> set[UUID]:
    answer = caller.get(f"executions?limit=100&{query}")
    assert answer.status_code == 200, answer.text
    return {UUID(each["id"]) for each in answer.json["items"]}


@pytest.fixture
def job_id(caller: Caller) -> str:
    return str(caller.create(tags=["mail"])["id"])


def test_a_failure_is_open_until_the_job_succeeds_or_somebody_resolves_it(
    caller: Caller, db: Engine, job_id: str
) -> None:
    healed = ended(caller, db, job_id, [-50, -40], "failed")
    ended(caller, db, job_id, [-30], "succeeded")
    later = ended(caller, db, job_id, [-20, -10], "failed")
    other = ended(caller, db, caller.create()["id"], [-45], "failed")
    ended(caller, db, caller.create()["id"], [-5], "cancelled", reason="cancelled")
    assert ids_of(caller, "open_failures=true") == {*later, *other}
    assert ids_of(caller, "open_failures=false") > {*healed}
    done = caller.post("executions/bulk/discard", {"ids": [str(later[0]), str(healed[0])]}).json
    assert (done["matched"], done["changed"]) == (2, 2)
    assert ids_of(caller, f"open_failures=true&job_id={job_id}") == {later[1]}
    shown = caller.get(f"executions/{later[0]}").json
    assert (shown["resolution"], shown["resolved_by"]) == ("discarded", str(caller.user_id))
    again = caller.post("executions/bulk/discard", {"ids": [str(later[0])]}).json
    assert (again["matched"], again["changed"]) == (1, 0)


def test_lists_have_filters_for_causes(caller: Caller, db: Engine, job_id: str) -> None:
    failed = ended(caller, db, job_id, [-40], "failed", http_status=503)
    skipped = ended(caller, db, job_id, [-30], "skipped", reason="overlap")
    late = ended(caller, db, job_id, [-20], "succeeded", started_at=in_seconds(-10))
    url = "https://User@Other.example.com:8443/hook"
    elsewhere = caller.create(payload={"url": url})
    other = ended(caller, db, elsewhere["id"], [-10], "failed", error="Timeout after 31000 ms")
    assert ids_of(caller, "status=failed,skipped") == {*failed, *skipped, *other}
    assert ids_of(caller, "reason=overlap") == {*skipped}
    assert ids_of(caller, "tag=mail&status=failed") == {*failed}
    assert ids_of(caller, "host=other.example.com") == {*other}
    assert ids_of(caller, "min_drift_ms=9000&status=succeeded") == {*late}
    assert ids_of(caller, "cause=Timeout%20after%20%23%20ms") == {*other}
    wrong = errors_of(caller.get("executions?status=failed,gone&open_failures=yes"))
    assert wrong.keys() == {"status", "open_failures"}


def test_failures_are_grouped_by_their_cause(caller: Caller, db: Engine, job_id: str) -> None:
    for seconds, ms in ((-40, 31_000), (-30, 29_999), (-20, 5)):
        ended(caller, db, job_id, [seconds], "failed", error=f"Timeout after {ms} ms")
    other = caller.create(name="Other", payload={"url": "http://b.example.com/"})
    [latest] = ended(caller, db, other["id"], [-10], "failed", http_status=500)
    found = caller.get("executions/failures/groups").json
    assert [(each["key"], each["executions"], each["jobs"]) for each in found["items"]] == [
        ("Timeout after # ms", 3, 1),
        ("# Service Unavailable", 1, 1),
    ]
    assert (found["by"], found["looked_at"], found["is_exact"]) == ("error", 4, True)
    assert found["items"][1]["latest_id"] == str(latest)
    errors = [each["latest_error"] for each in found["items"]]
    assert errors == ["Timeout after 5 ms", "503 Service Unavailable"]
    keys = {}
    for by in ("job", "host", "http_status"):
        items = caller.get(f"executions/failures/groups?by={by}&open_failures=true").json["items"]
        keys[by] = [(each["key"], each["name"]) for each in items]
    assert keys["job"] == [(job_id, "Ping"), (other["id"], "Other")]
    assert keys["host"] == [("example.com", None), ("b.example.com", None)]
    assert keys["http_status"] == [(None, None), ("500", None)]


def test_a_request_acts_upon_what_its_dry_run_counted(
    caller: Caller, db: Engine, job_id: str
) -> None:
    counted = ended(caller, db, job_id, [-40, -30], "failed", finished_at=in_seconds(-20))
    body: dict[str, Any] = {"filter": {"open_failures": True, "tag": "mail"}}
    dry = caller.post("executions/bulk/discard", {**body, "dry_run": True}).json
    assert (dry["matched"], dry["matched_is_exact"], dry["changed"]) == (2, True, 0)
    assert {UUID(each["id"]) for each in dry["sample"]} == {*counted}
    # Meanwhile another one fails, which had been scheduled before.
    later = ended(caller, db, job_id, [-35], "failed", finished_at=in_seconds(5))
    done = caller.post("executions/bulk/discard", {**body, "as_of": dry["as_of"]}).json
    assert (done["matched"], done["changed"]) == (2, 2)
    assert ids_of(caller, "open_failures=true") == {*later}


def test_unfinished_executions_are_cancelled_together(
    caller: Caller, db: Engine, job_id: str
) -> None:
    waiting = plan(db, caller, job_id, [in_seconds(-3), in_seconds(-2)])
    [failed] = ended(caller, db, job_id, [-1], "failed")
    other = plan(db, caller, caller.create()["id"], [in_seconds(-3)])
    done = caller.post("executions/bulk/cancel", {"filter": {"job_id": job_id}}).json
    assert (done["matched"], done["changed"]) == (2, 2)
    assert fates(db, [*waiting, failed, *other]) == [
        ("cancelled", "cancelled"),
        ("cancelled", "cancelled"),
        ("failed", None),
        ("queued", None),
    ]
    log = caller.get("audit?action=execution.cancel").json["items"]
    assert {UUID(each["subject_id"]) for each in log} == {*waiting}


@pytest.mark.parametrize("action", ["retry", "discard", "cancel"])
def test_a_request_names_executions_of_its_workspace_and_kind(
    caller: Caller, stranger: Caller, db: Engine, job_id: str, action: str
) -> None:
    found = ended(caller, db, job_id, [-3], "failed") + plan(db, caller, job_id, [in_seconds(-2)])
    body = {"ids": [str(each) for each in found], "dry_run": True}
    assert stranger.post(f"executions/bulk/{action}", body).json["matched"] == 0
    assert caller.post(f"executions/bulk/{action}", body).json["matched"] == 1
    unfit = "failed" if action == "cancel" else "queued"
    wrong = {"filter": {"status": unfit}}
    assert "filter.status" in errors_of(caller.post(f"executions/bulk/{action}", wrong))
    both = {"ids": body["ids"], "filter": {}}
    assert "ids" in errors_of(caller.post(f"executions/bulk/{action}", both))
    old = {"filter": {}, "as_of": "2026-01-01T00:00:00Z"}
    assert "as_of" in errors_of(caller.post(f"executions/bulk/{action}", old))
    viewer = caller.me_in("viewer", db)
    assert viewer.post(f"executions/bulk/{action}", body).status_code == 403


def test_a_replay_is_started_and_steered(
    caller: Caller, stranger: Caller, db: Engine, job_id: str
) -> None:
    ended(caller, db, job_id, [-3, -2], "failed")
    body = {"filter": {"http_status": "5xx"}, "rate_per_second": 0.5}
    assert "filter" in errors_of(caller.post("executions/bulk/retry", body))
    body = {"filter": {"job_id": job_id}, "rate_per_second": 0.5, "note": "Again"}
    answer = caller.post("executions/bulk/retry", body)
    made = answer.json
    assert (answer.status_code, made["state"], made["matched"]) == (202, "running", 2)
    assert (made["filter"]["statuses"], made["note"]) == (["failed"], "Again")
    place = answer.headers["Location"]
    assert stranger.get(place).status_code == 404
    assert caller.get(place).json["outcomes"] == {}
    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        for _ in range(2):
            assert caller.post(f"{place}/{verb}").json["state"] == state
    assert caller.post(f"{place}/resume").status_code == 409
    assert [each["id"] for each in caller.get("replays").json["items"]] == [made["id"]]
    actions = [each["action"] for each in caller.get("audit?action=replay.*").json["items"]]
    assert actions == ["replay.cancel", "replay.resume", "replay.pause", "replay.create"]
    for _ in range(5):
        assert caller.post("executions/bulk/retry", body).status_code == 202
    assert caller.post("executions/bulk/retry", body).status_code == 409
