"""The history: filters, and exports that stream."""

import csv
import io
import json
import zlib
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from chronos_api.executions import exports
from integration.api.callers import Caller, errors_of
from integration.api.rows import in_seconds, plan

CSV = {"Accept": "text/csv"}
NDJSON = {"Accept": "application/x-ndjson"}


@pytest.fixture
def start() -> datetime:
    return in_seconds(-3600)


@pytest.fixture
def five(caller: Caller, db: Engine, start: datetime) -> list[str]:
    """Executions a minute apart, which ended in different ways; the earliest first."""
    job_id = caller.create(name='=Report, "daily" 2')["id"]
    planned = plan(db, caller, job_id, [start + timedelta(minutes=n) for n in range(5)])
    ends = [(200, 10), (204, 200), (404, 3000), (500, 40), (503, 900)]
    with db.begin() as connection:
        for identifier, (http_status, duration_ms) in zip(planned, ends, strict=True):
            connection.execute(
                text(
                    "UPDATE executions SET status = 'failed', finished_at = now(), error = '-x', "
                    "http_status = :http_status, duration_ms = :duration_ms WHERE id = :id"
                ),
                {"id": identifier, "http_status": http_status, "duration_ms": duration_ms},
            )
    return [str(each) for each in planned]


def test_the_history_is_filtered(caller: Caller, five: list[str], start: datetime) -> None:
    def found(**query: object) -> list[int]:
        page = caller.get("executions", query_string=query).json
        assert page["total"] == len(page["items"])
        return sorted(five.index(each["id"]) for each in page["items"])

    def minutes(count: float) -> str:
        return (start + timedelta(minutes=count)).isoformat()

    assert found() == [0, 1, 2, 3, 4]
    assert found(since=minutes(1)) == [1, 2, 3, 4]
    assert found(until=minutes(1)) == [0]
    assert found(since=minutes(1), until=minutes(3)) == [1, 2]
    assert found(http_status="503") == [4]
    assert found(http_status="5xx") == [3, 4]
    assert found(http_status="2xx", since=minutes(0.5)) == [1]
    assert found(min_duration_ms=200) == [1, 2, 4]
    assert found(as_of=minutes(2)) == [0, 1, 2]
    assert found(min_duration_ms=1, status="succeeded") == []
    for query in ("http_status=6xx", "http_status=20", "since=yesterday", "min_duration_ms=-1"):
        assert caller.get(f"executions?{query}").status_code == 422


def test_pages_of_one_instant_are_not_shifted(caller: Caller, five: list[str]) -> None:
    first = caller.get("executions?limit=3").json
    caller.post(f"jobs/{first['items'][0]['job_id']}/execute")
    second = caller.get(f"executions?limit=3&page=2&as_of={first['as_of']}").json
    shown = [each["id"] for each in [*first["items"], *second["items"]]]
    assert shown == five[::-1]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_an_export_is_the_whole_list_in_any_pieces(
    caller: Caller, five: list[str], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(exports, "PAGE_SIZE", size)
    whole = caller.get("executions?limit=100").json["items"]
    answer = caller.get("executions?limit=1", headers=NDJSON)
    assert answer.mimetype == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == whole
    table = caller.get("executions", headers=CSV)
    assert table.headers["Content-Disposition"] == "attachment; filename=executions.csv"
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [row["id"] for row in rows] == five[::-1]
    assert set(rows[0]) == set(whole[0])
    assert {row["http_status"] for row in rows} == {"200", "204", "404", "500", "503"}
    assert rows[0]["reason"] == ""


def test_a_spreadsheet_takes_no_text_for_a_formula(caller: Caller, five: list[str]) -> None:
    assert five
    (row, *_) = csv.DictReader(io.StringIO(caller.get("executions", headers=CSV).text, newline=""))
    assert row["job_name"] == '\'=Report, "daily" 2'
    assert row["error"] == "'-x"


def test_an_export_obeys_filters_jobs_and_workspaces(
    caller: Caller, stranger: Caller, five: list[str]
) -> None:
    (job_id,) = {each["job_id"] for each in caller.get("executions").json["items"]}
    lines = caller.get("executions?http_status=5xx", headers=NDJSON).text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [five[4], five[3]]
    of_job = caller.get(f"jobs/{job_id}/executions?min_duration_ms=3000", headers=NDJSON)
    assert json.loads(of_job.text)["id"] == five[2]
    assert stranger.get("executions", headers=NDJSON).text == ""
    assert stranger.get(f"jobs/{job_id}/executions", headers=CSV).status_code == 404
    assert "http_status" in errors_of(caller.get("executions?http_status=x", headers=CSV))


@pytest.mark.parametrize("accepted", ["*/*", "application/json, text/csv;q=0.5", "text/html"])
def test_who_does_not_ask_for_an_export_gets_a_page(caller: Caller, accepted: str) -> None:
    assert caller.get("executions", headers={"Accept": accepted}).mimetype == "application/json"


def test_an_export_streams_in_short_transactions(
    app: Flask,
    caller: Caller,
    db: Engine,
    five: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exports, "PAGE_SIZE", 2)
    client = app.test_client()
    headers = {"Authorization": f"Bearer {caller.token}", **NDJSON}
    answer = client.get("/api/v1/executions", headers=headers, buffered=False)
    pieces = answer.iter_encoded()
    assert len(next(pieces).splitlines()) == 2
    assert db.pool.checkedout() == 0
    # Nothing is held between the pieces: what is removed meanwhile is not shown any more.
    with db.begin() as connection:
        connection.execute(text("DELETE FROM executions WHERE id = :id"), {"id": five[1]})
    rest = [json.loads(line)["id"] for piece in pieces for line in piece.splitlines()]
    assert rest == [five[2], five[0]]
    answer.close()


def test_so_many_exports_of_a_workspace_at_once_and_no_more(
    caller: Caller, stranger: Caller, app: Flask
) -> None:
    def begin(caller: Caller) -> TestResponse:
        headers = {"Authorization": f"Bearer {caller.token}", **CSV}
        return app.test_client().get("/api/v1/executions", headers=headers, buffered=False)

    mine = [begin(caller) for _ in range(2)]
    refused = caller.get("executions", headers=CSV)
    assert (refused.status_code, refused.json["quota"]["name"]) == (429, "exports")
    theirs = [begin(stranger) for _ in range(exports.MAX_AT_ONCE - 2)]
    assert {each.status_code for each in (*mine, *theirs)} == {200}
    # One that nobody reads to its end gives its place back as well.
    mine.pop().close()
    another = begin(caller)
    assert another.status_code == 200
    for each in (*mine, *theirs, another):
        each.close()
    assert caller.get("executions", headers=CSV).status_code == 200


def test_a_process_with_enough_exports_takes_no_more(caller: Caller) -> None:
    for _ in range(exports.MAX_AT_ONCE):
        assert exports._permits.acquire(blocking=False)
    try:
        refused = caller.get("executions", headers=CSV)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    finally:
        for _ in range(exports.MAX_AT_ONCE):
            exports._permits.release()
    for _ in range(5):
        assert caller.get("executions", headers=CSV).status_code == 200


def test_an_export_is_compressed_piece_by_piece(caller: Caller, five: list[str]) -> None:

    answer = caller.app.test_client().get(
        "/api/v1/executions",
        headers={
            "Authorization": f"Bearer {caller.token}",
            "Accept-Encoding": "gzip",
            **NDJSON,
        },
    )
    assert answer.headers["Content-Encoding"] == "gzip"
    lines = zlib.decompress(answer.data, 16 + zlib.MAX_WBITS).decode().splitlines()
    assert [json.loads(line)["id"] for line in lines] == five[::-1]
