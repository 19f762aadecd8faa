"""The instants of a job in a span: recorded, missed, paused or to come."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, update

from chronos_common import clock
from chronos_common.storage.tables import executions, jobs, schedules
from integration.api.callers import Caller, errors_of
from integration.api.rows import plan

MINUTE = timedelta(minutes=1)


def occurrences(caller: Caller, job_id: str, since: Any, until: Any) -> Any:
    span = {"since": clock.rfc3339(since), "until": clock.rfc3339(until)}
    return caller.get(f"jobs/{job_id}/occurrences", query_string=span)


def states(answer: Any) -> list[tuple[str, str]]:
    return [(each["at"][14:19], each["state"]) for each in answer.json["items"]]


def test_each_instant_of_a_span_has_its_state(caller: Caller, db: Engine) -> None:
    made = caller.create(cron_expression="0 * * * * *")
    now = clock.now().replace(second=0, microsecond=0)
    before = [now - number * MINUTE for number in range(5, 0, -1)]
    with db.begin() as connection:
        where = jobs.c.id == made["id"]
        connection.execute(update(jobs).where(where).values(created_at=before[0]))
    recorded, covering, _ = plan(db, caller, made["id"], [before[0], before[1], before[4]])
    with db.begin() as connection:
        connection.execute(
            update(executions)
            .where(executions.c.id == covering)
            .values(
                status="skipped",
                reason="misfire",
                finished_at=now,
                missed_count=2,
                missed_until=before[2],
            )
        )
        where = schedules.c.job_id == made["id"]
        connection.execute(update(schedules).where(where).values(next_run_at=now + MINUTE))
    answer = occurrences(caller, made["id"], before[0] - MINUTE, now + 3 * MINUTE)
    found = [each["state"] for each in answer.json["items"]]
    assert found[:5] == ["recorded", "recorded", "missed", "unrecorded", "recorded"]
    assert found[-2:] == ["to_come", "to_come"]
    items = answer.json["items"]
    assert items[0]["execution"]["id"] == str(recorded)
    assert items[2]["execution"]["id"] == str(covering)
    assert answer.json["next_since"] is None
    until = clock.rfc3339(now + 3 * MINUTE)
    caller.post(f"jobs/{made['id']}/pause", {"until": until})
    answer = occurrences(caller, made["id"], now + MINUTE, now + 5 * MINUTE)
    assert [each["state"] for each in answer.json["items"]] == [
        "paused",
        "paused",
        "to_come",
        "to_come",
    ]


def test_a_long_span_comes_in_parts(caller: Caller, stranger: Caller) -> None:
    made = caller.create(cron_expression="* * * * * *", max_runs=1500)
    since = clock.now() + MINUTE
    first = occurrences(caller, made["id"], since, since + 60 * MINUTE)
    assert len(first.json["items"]) == 1000
    rest = caller.get(
        f"jobs/{made['id']}/occurrences",
        query_string={
            "since": first.json["next_since"],
            "until": clock.rfc3339(since + 60 * MINUTE),
        },
    ).json
    # Of the runs that are left, those of the first minute are not in the span.
    assert 420 <= len(rest["items"]) <= 442
    assert rest["items"][0]["at"] == first.json["next_since"]
    assert rest["next_since"] is None
    assert occurrences(stranger, made["id"], since, since + MINUTE).status_code == 404
    wrong = occurrences(caller, made["id"], since, since + timedelta(days=367))
    assert errors_of(wrong).keys() == {"until"}
