"""What an apply finds: each row of the table of verdicts."""

from uuid import uuid4

from sqlalchemy import Engine

from integration.api.callers import Caller, errors_of, job
from integration.api.scopes.files import SCOPE, applied, differences, entry, send, told

NOON = "0 12 * * *"


def test_new_jobs_are_created_and_the_same_file_changes_nothing(caller: Caller) -> None:
    first = applied(caller, entry("a"), entry("b", key="second"))
    assert told(first) == {"a": ("create", "create"), "second": ("create", "create")}
    made = caller.get("jobs", query_string={"sort": "name"}).json["items"]
    assert [(each["scope"], each["scope_key"]) for each in made] == [
        (SCOPE, "a"),
        (SCOPE, "second"),
    ]
    second = applied(caller, entry("a"), entry("b", key="second"))
    assert told(second) == {"a": ("unchanged", "keep"), "second": ("unchanged", "keep")}
    assert caller.get("jobs", query_string={"sort": "name"}).json["items"] == made


def test_a_changed_file_updates_and_another_name_renames(caller: Caller) -> None:
    applied(caller, entry("a", key="k"))
    plan = applied(caller, entry("b", key="k", cron_expression=NOON))
    assert told(plan) == {"k": ("update", "update")}
    assert differences(plan, "k") == {
        "name": ("a", "b"),
        "cron_expression": ("0 9 * * *", NOON),
    }
    [made] = caller.get("jobs").json["items"]
    assert (made["name"], made["cron_expression"], made["version"]) == ("b", NOON, 2)


def test_a_job_of_that_name_is_adopted_with_one_entry_in_the_audit_log(caller: Caller) -> None:
    made = caller.create(name="a")
    plan = applied(caller, entry("a", cron_expression=NOON))
    assert told(plan) == {"a": ("adopt", "adopt")}
    assert plan["items"][0]["id"] == made["id"]
    [log] = [
        each
        for each in caller.get(f"jobs/{made['id']}/changes").json["items"]
        if each["action"] == "job.update"
    ]
    assert log["details"]["after"] == {
        "cron_expression": NOON,
        "scope": SCOPE,
        "scope_key": "a",
        "version": 3,
    }


def test_an_adoption_alone_is_in_the_audit_log_and_keeps_the_next_run(caller: Caller) -> None:
    made = caller.create(
        name="a", schedule_type="interval", interval_seconds=600, cron_expression=...
    )
    applied(
        caller, entry("a", schedule_type="interval", interval_seconds=600, cron_expression=...)
    )
    live = caller.get(f"jobs/{made['id']}").json
    assert (live["scope"], live["version"]) == (SCOPE, 2)
    assert live["next_run_at"] == made["next_run_at"]
    latest = caller.get(f"jobs/{made['id']}/changes").json["items"][0]
    assert latest["details"]["after"] == {"scope": SCOPE, "scope_key": "a", "version": 2}


def test_several_jobs_of_that_name_are_a_conflict_until_the_file_gives_an_id(
    caller: Caller,
) -> None:
    caller.create(name="a")
    wanted = caller.create(name="a")["id"]
    unclear = applied(caller, entry("a"), dry_run=True)
    assert told(unclear) == {"a": ("conflict", "refuse")}
    assert "Give the 'id'" in unclear["items"][0]["reason"]
    assert "Give the 'id'" in send(caller, entry("a")).json["detail"]
    plan = applied(caller, entry("a", id=wanted))
    assert (told(plan), plan["items"][0]["id"]) == ({"a": ("adopt", "adopt")}, wanted)


def test_an_id_of_another_workspace_is_no_job_here(caller: Caller) -> None:
    plan = applied(caller, entry("a", id=str(uuid4())))
    assert told(plan) == {"a": ("create", "create")}


def test_a_job_of_another_scope_is_a_conflict_until_it_is_taken_over(caller: Caller) -> None:
    applied(caller, entry("a"))
    answer = send(caller, entry("a"), scope="other")
    assert (answer.status_code, "'from_scope'" in answer.json["detail"]) == (409, True)
    plan = applied(caller, entry("a"), scope="other", from_scope=SCOPE)
    assert told(plan) == {"a": ("adopt", "adopt")}
    [made] = caller.get("jobs").json["items"]
    assert made["scope"] == "other"


def test_a_change_elsewhere_is_a_drift_that_names_who_made_it(caller: Caller, db: Engine) -> None:
    [item] = applied(caller, entry("a"))["items"]
    [made] = caller.get("jobs").json["items"]
    colleague = caller.me_in("editor", db)
    colleague.patch(f"jobs/{made['id']}", {"cron_expression": NOON})
    assert item["id"] is None
    plan = applied(caller, entry("a"), dry_run=True)
    assert told(plan) == {"a": ("drift", "refuse")}
    assert plan["items"][0]["changed_by"] == f"{colleague.user_id}@example.com"
    assert plan["items"][0]["changed_at"] is not None
    answer = send(caller, entry("a"))
    assert (answer.status_code, "on_drift: overwrite" in answer.json["detail"]) == (409, True)
    assert told(applied(caller, entry("a"), on_drift="keep")) == {"a": ("drift", "keep")}
    assert caller.get(f"jobs/{made['id']}").json["cron_expression"] == NOON
    assert told(applied(caller, entry("a"), on_drift="overwrite")) == {"a": ("drift", "update")}
    assert caller.get(f"jobs/{made['id']}").json["cron_expression"] == "0 9 * * *"
    assert told(applied(caller, entry("a"))) == {"a": ("unchanged", "keep")}


def test_changes_of_one_field_here_and_elsewhere_are_a_conflict(caller: Caller) -> None:
    applied(caller, entry("a"))
    [made] = caller.get("jobs").json["items"]
    caller.patch(f"jobs/{made['id']}", {"cron_expression": NOON})
    other = applied(caller, entry("a", tags=["x"]), dry_run=True)
    same = applied(caller, entry("a", cron_expression="0 7 * * *"), dry_run=True)
    assert (told(other)["a"][0], told(same)["a"][0]) == ("drift", "conflict")
    agreed = applied(caller, entry("a", cron_expression=NOON))
    assert told(agreed) == {"a": ("unchanged", "keep")}
    later = applied(caller, entry("a", cron_expression="0 7 * * *"))
    assert told(later) == {"a": ("update", "update")}


def test_another_secret_is_a_difference_and_a_redacted_one_is_none(caller: Caller) -> None:
    def payload(token: str) -> dict[str, object]:
        return {"url": "https://example.com/hook", "headers": {"Authorization": token}}

    applied(caller, entry("a", payload=payload("one")))
    redacted = applied(caller, entry("a", payload=payload("[redacted]")))
    assert told(redacted) == {"a": ("unchanged", "keep")}
    plan = applied(caller, entry("a", payload=payload("two")))
    assert told(plan) == {"a": ("update", "update")}
    assert differences(plan, "a") == {"payload": ("[redacted]", "[redacted]")}
    unknown = send(caller, entry("b", payload=payload("[redacted]")))
    assert errors_of(unknown) == {
        "payload.headers.Authorization": "Give the secret itself; none is stored."
    }


def test_a_pause_is_kept_unless_the_file_gives_the_status(caller: Caller) -> None:
    applied(caller, entry("a"))
    [made] = caller.get("jobs").json["items"]
    caller.post(f"jobs/{made['id']}/pause")
    assert told(applied(caller, entry("a"))) == {"a": ("unchanged", "keep")}
    applied(caller, entry("a", cron_expression=NOON))
    assert caller.get(f"jobs/{made['id']}").json["status"] == "paused"
    plan = applied(caller, entry("a", cron_expression=NOON, status="active"))
    assert differences(plan, "a") == {"status": ("paused", "active")}
    assert caller.get(f"jobs/{made['id']}").json["status"] == "active"
    caller.post(f"jobs/{made['id']}/pause")
    drift = applied(caller, entry("a", cron_expression=NOON, status="active"), dry_run=True)
    assert told(drift) == {"a": ("drift", "refuse")}


def test_a_job_that_has_run_its_course_is_unchanged(caller: Caller, db: Engine) -> None:
    applied(caller, entry("a", status="active"))
    with db.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET status = 'completed'")
        connection.exec_driver_sql("UPDATE schedules SET active = false, next_run_at = NULL")
    plan = applied(caller, entry("a", status="active"))
    assert told(plan) == {"a": ("unchanged", "keep")}


def test_every_wrong_field_is_named_with_the_index_of_its_job(caller: Caller) -> None:
    wrong = send(caller, entry("a"), entry("b", cron_expression="never"), job(name=..., key="c"))
    assert [(each["index"], each["field"]) for each in wrong.json["errors"]] == [(2, "name")]
    wrong = send(caller, entry("a"), entry("b", cron_expression="never", jobs=1), entry("c", x=1))
    named = {(each["index"], each["field"]) for each in wrong.json["errors"]}
    assert named == {(1, "cron_expression"), (1, "jobs"), (2, "x")}
    twice = send(caller, entry("a"), entry("b", key="a"))
    assert [(each["index"], each["field"]) for each in twice.json["errors"]] == [(1, "key")]
    assert caller.get("jobs").json["items"] == []
