"""Lists of jobs: every order and filter; pages and cursors that stay in step."""

from collections.abc import Callable
from itertools import islice

import pytest
from sqlalchemy import Engine

from chronos_api.executions import service as execution_services
from chronos_api.fields.count_cache import LongLists
from chronos_api.jobs import service as job_services
from chronos_common import clock
from chronos_common.domain.statuses import FINAL
from chronos_common.storage.executions import history
from chronos_common.storage.jobs import lists
from chronos_common.storage.jobs.filters import LastOutcome
from chronos_common.storage.tables import jobs, schedules
from integration.api.callers import Caller, errors_of
from integration.api.rows import end, in_seconds, plan

SORTS = [f"{sign}{name}" for name in lists.SORTS for sign in ("", "-")]


def walk(
    caller: Caller, query: str, *, meanwhile: Callable[[], object] = lambda: None
) -> list[str]:
    """Return the ids of all pages of a list, gone through by cursor."""
    page = caller.get(f"jobs?{query}").json
    seen = [each["id"] for each in page["items"]]
    while page["next_cursor"]:
        meanwhile()
        page = caller.get(f"jobs?{query}&cursor={page['next_cursor']}").json
        seen += [each["id"] for each in page["items"]]
    return seen


def walk_back(caller: Caller, path: str) -> list[str]:
    """Return the ids of all pages of a list, gone through to its end and back again."""
    page = caller.get(path).json
    assert page["prev_cursor"] is None
    while page["next_cursor"]:
        page = caller.get(f"{path}&cursor={page['next_cursor']}").json
    seen = [each["id"] for each in page["items"]]
    while page["prev_cursor"]:
        back = caller.get(f"{path}&cursor={page['prev_cursor']}").json
        again = caller.get(f"{path}&cursor={back['next_cursor']}").json
        assert again["items"] == page["items"]
        page = back
        seen = [each["id"] for each in page["items"]] + seen
    return seen


@pytest.fixture
def seven(caller: Caller, db: Engine) -> list[str]:
    """Jobs of which some share their names and next runs, and some have no next run."""
    made = [
        caller.create(
            name=f"Job {number % 3} \N{SNOWMAN}",
            cron_expression="0 9 * * *" if number % 2 else "0 10 * * *",
            status="paused" if number in {2, 5} else "active",
        )["id"]
        for number in range(7)
    ]
    with db.begin() as connection:
        exhausted = schedules.update().where(schedules.c.job_id == made[4])
        connection.execute(exhausted.values(next_run_at=None))
        same = jobs.update().where(jobs.c.id.in_(made[:4]))
        connection.execute(same.values(updated_at=clock.now()))
    return made


@pytest.mark.parametrize("sort", SORTS)
def test_a_cursor_goes_through_every_order_once(
    caller: Caller, seven: list[str], sort: str
) -> None:
    whole = caller.get(f"jobs?sort={sort}&limit=100").json["items"]
    order = [each["id"] for each in whole]
    assert sorted(order) == sorted(seven)
    assert walk(caller, f"sort={sort}&limit=2") == order
    assert walk(caller, f"sort={sort}&limit=3") == order
    assert walk_back(caller, f"jobs?sort={sort}&limit=2") == order
    pages = [caller.get(f"jobs?sort={sort}&limit=2&page={page}").json for page in range(1, 5)]
    assert [each["id"] for page in pages for each in page["items"]] == order
    name = sort.removeprefix("-")
    keys = [each[name] for each in whole if each[name] is not None]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    if name == "next_run_at":
        assert [each["next_run_at"] for each in whole][-3:] == [None] * 3


@pytest.mark.parametrize("sort", ["-created_at", "name", "-name", "next_run_at"])
def test_what_comes_in_does_not_disturb_a_cursor(
    caller: Caller, seven: list[str], sort: str
) -> None:
    names = iter("AZAZ")

    def meanwhile() -> None:
        for name in islice(names, 2):
            caller.create(name=name)

    seen = walk(caller, f"sort={sort}&limit=2", meanwhile=meanwhile)
    assert len(seen) == len(set(seen))
    assert set(seen) >= set(seven)


@pytest.mark.parametrize("sort", SORTS)
def test_pages_of_one_instant_are_not_shifted_by_what_comes_in(
    caller: Caller, seven: list[str], sort: str
) -> None:
    first = caller.get(f"jobs?sort={sort}&limit=4").json
    for name in ("A", "Z"):
        caller.create(name=name)
    query = f"jobs?sort={sort}&limit=4&as_of={first['as_of']}"
    second = caller.get(f"{query}&page=2").json
    shown = [each["id"] for each in [*first["items"], *second["items"]]]
    assert sorted(shown) == sorted(seven)
    assert (second["total"], second["total_is_exact"], second["next_cursor"]) == (7, True, None)
    assert second["as_of"] == first["as_of"]


def test_a_cursor_of_another_order_is_refused(caller: Caller, seven: list[str]) -> None:
    assert seven
    cursor = caller.get("jobs?sort=name&limit=1").json["next_cursor"]
    for sort in ("-created_at", "next_run_at", "updated_at"):
        assert "cursor" in errors_of(caller.get(f"jobs?sort={sort}&cursor={cursor}"))
    for strange in ("W10", "eyJhIjoxfQ", "WyJuYW1lIiwgIngiLCAieSJd"):
        assert "cursor" in errors_of(caller.get(f"jobs?sort=name&cursor={strange}"))


def test_jobs_are_found_by_any_part_of_their_words(caller: Caller) -> None:
    first = caller.create(name="Weekly NEWSLETTER", description="Every Monday")["id"]
    second = caller.create(name="x", description="The newsletter's costs: 100%_\\")["id"]

    def found(search: str) -> set[str]:
        answer = caller.get("jobs", query_string={"search": search}).json
        return {each["id"] for each in answer["items"]}

    assert found("newsletter") == {first, second}
    assert found("LETTER'S") == {second}
    assert found("y n") == {first}
    assert found("Ly newSL") == {first}
    assert found("R\nE") == set()
    assert found("0%_\\") == {second}
    assert found("0%") == found("%_") == {second}
    assert found("day") == {first}
    assert found("dayx") == set()
    caller.patch(f"jobs/{first}", {"name": "Other"})
    assert found("newsletter") == {second}


def test_jobs_are_found_by_their_next_run_and_name(caller: Caller, seven: list[str]) -> None:
    for each in caller.get("jobs?limit=100").json["items"]:
        instant = each["next_run_at"]
        if instant:
            break
    query = f"next_run_after={instant}"
    found = caller.get(f"jobs?{query}").json["items"]
    assert found
    assert all(each["next_run_at"] >= instant for each in found)
    before = caller.get(f"jobs?next_run_before={instant}").json["items"]
    assert {each["id"] for each in [*found, *before]} == set(seven) - {
        seven[2],
        seven[4],
        seven[5],
    }
    named = caller.get("jobs", query_string={"name": "Job 1 \N{SNOWMAN}"}).json["items"]
    assert {each["id"] for each in named} == {seven[1], seven[4]}


def test_jobs_are_found_by_their_last_outcome(
    caller: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [caller.create(name=str(number))["id"] for number in range(6)]
    fates = {0: ["succeeded", "failed"], 1: ["failed", "succeeded"], 2: ["failed"], 4: ["failed"]}
    for number, statuses in fates.items():
        instants = [in_seconds(offset - 60) for offset in range(len(statuses) + 1)]
        planned = plan(db, caller, made[number], instants)
        for identifier, status in zip(planned, statuses, strict=False):
            end(db, identifier, status)

    def found(outcome: str, limit: int = 20) -> list[str]:
        return walk(caller, f"last_outcome={outcome}&sort=name&limit={limit}")

    failed = [made[0], made[2], made[4]]
    assert found("failed") == found("failed", 1) == found("failed", 2) == failed
    assert found("succeeded") == [made[1]]
    assert found("none") == [made[3], made[5]]
    page = caller.get("jobs?last_outcome=failed").json
    assert (page["total"], page["total_is_exact"]) == (3, True)
    # However few are looked at for one page, the cursor comes to the end.
    assert walk_back(caller, "jobs?last_outcome=failed&sort=name&limit=2") == failed
    monkeypatch.setattr(lists, "MAX_LOOKED_AT", 2)
    assert found("failed") == found("failed", 1) == failed
    assert not caller.get("jobs?last_outcome=failed").json["total_is_exact"]
    assert "page" in errors_of(caller.get("jobs?last_outcome=failed&page=2"))


def test_every_final_status_can_be_a_last_outcome() -> None:
    assert {each.value for each in LastOutcome} == {each.value for each in FINAL} | {"none"}


def test_counting_stops_where_a_total_would_cost_too_much(
    caller: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_COUNT", 2)
    monkeypatch.setattr(history, "MAX_COUNT", 2)
    made = [caller.create()["id"] for _ in range(3)]
    page = caller.get("jobs?limit=2").json
    assert (page["total"], page["total_is_exact"], len(page["items"])) == (2, False, 2)
    plan(db, caller, made[0], [in_seconds(1), in_seconds(2), in_seconds(3)])
    page = caller.get("executions?limit=2").json
    assert (page["total"], page["total_is_exact"], len(page["items"])) == (2, False, 2)


def test_a_list_found_long_is_not_counted_again_for_some_seconds(
    caller: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails if every page of a long list is counted."""
    for counting, services in ((lists, job_services), (history, execution_services)):
        monkeypatch.setattr(counting, "MAX_COUNT", 2)
        monkeypatch.setattr(services, "_long_lists", LongLists(seconds=3600))
    made = [caller.create()["id"] for _ in range(3)]
    plan(db, caller, made[0], [in_seconds(1), in_seconds(2), in_seconds(3)])
    for name in ("jobs", "executions"):
        first = caller.get(f"{name}?limit=1").json
        assert (first["total"], first["total_is_exact"]) == (2, False)
    caller.delete(f"jobs/{made[1]}")
    with monkeypatch.context() as uncounted:
        uncounted.delattr(history, "count")
        for name in ("jobs", "executions"):
            page = caller.get(f"{name}?limit=1").json
            assert (page["total"], page["total_is_exact"], len(page["items"])) == (2, False, 1)
            assert caller.get(f"{name}?limit=1&cursor={page['next_cursor']}").status_code == 200
    assert caller.get("jobs?limit=1&status=active").json["total_is_exact"] is True
    assert caller.get("executions?limit=1&status=succeeded").json["total_is_exact"] is True


def test_a_page_that_holds_the_whole_list_says_its_total_and_is_not_counted(
    caller: Caller, db: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(db, caller, caller.create()["id"], [in_seconds(1)])
    monkeypatch.delattr(lists, "count")
    monkeypatch.delattr(history, "count")
    for name in ("jobs", "executions"):
        page = caller.get(name).json
        assert (page["total"], page["total_is_exact"], len(page["items"])) == (1, True, 1)


def test_the_last_page_says_the_total_of_the_whole_list(caller: Caller, db: Engine) -> None:
    """Fails if a page that ends the list is taken for all of it."""
    made = [caller.create()["id"] for _ in range(3)]
    plan(db, caller, made[0], [in_seconds(1), in_seconds(2), in_seconds(3)])
    for name in ("jobs", "executions"):
        first = caller.get(f"{name}?limit=2").json
        for way in ("page=2", f"cursor={first['next_cursor']}"):
            last = caller.get(f"{name}?limit=2&{way}").json
            assert (last["total"], len(last["items"]), last["next_cursor"]) == (3, 1, None)


def test_a_history_goes_back_by_cursor(caller: Caller, db: Engine) -> None:
    job_id = caller.create()["id"]
    planned = plan(db, caller, job_id, [in_seconds(-60 + offset) for offset in range(7)])
    for execution_id in planned[::2]:
        end(db, execution_id, "failed")
    latest_first = [str(each) for each in reversed(planned)]
    assert walk_back(caller, "executions?limit=2") == latest_first
    assert walk_back(caller, f"jobs/{job_id}/executions?limit=3") == latest_first
    assert walk_back(caller, "executions?status=failed&limit=2") == latest_first[::2]
    assert walk_back(caller, "executions?status=queued&limit=2") == latest_first[1::2]


@pytest.mark.parametrize("path", ["jobs?limit=2", "executions?limit=2"])
def test_a_page_that_has_not_changed_is_not_sent_again(
    caller: Caller, db: Engine, path: str
) -> None:
    job_id = caller.create(name="Before")["id"]
    [execution_id] = plan(db, caller, job_id, [in_seconds(-5)])
    first = caller.get(path)
    assert first.headers["ETag"].startswith('W/"')
    known = {"If-None-Match": first.headers["ETag"]}
    again = caller.get(path, headers=known)
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    caller.patch(f"jobs/{job_id}", {"name": "After"})
    end(db, execution_id, "failed")
    changed = caller.get(path, headers=known)
    assert (changed.status_code, changed.json["items"] != first.json["items"]) == (200, True)
    assert changed.headers["ETag"] != first.headers["ETag"]
