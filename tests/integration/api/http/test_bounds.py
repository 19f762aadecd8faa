"""Every answer has a bound: the table of docs/api.md, held against the largest answers."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text, update

from chronos_api.bulk.runner import MAX_REASON_LENGTH, MAX_REASONS, MAX_SAMPLE
from chronos_api.executions import attempts
from chronos_common import clock, ids
from chronos_common.domain.executions import MAX_ERROR_LENGTH
from chronos_common.domain.jobs import MAX_ATTEMPTS
from chronos_common.storage.jobs.lists import MAX_LISTED_PAYLOAD_BYTES
from chronos_common.storage.tables import executions, users
from integration.api.callers import Caller, document_of, job, register
from repository import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text()
ROW = re.compile(r"^\| (.+) \| .+ \| (\d+) MiB \|$", re.MULTILINE)
NAMED = re.compile(r"`(GET|POST) (/\S+)`")

#: The character of one JSON text that takes the most bytes for its length.
WIDE = "\U0001f552"
#: The characters of a body in a payload that has nearly as many bytes as it may.
LONG = 260_000
LONG_ERROR = "\x01" * MAX_ERROR_LENGTH
#: An attempt of the largest that a worker records, with what its job may send.
ATTEMPT = {
    "started_at": "2026-11-20T09:00:00.000Z",
    "duration_ms": 12,
    "status": "retrying",
    "error": LONG_ERROR,
    "worker": str(uuid4()),
    "request": {
        "method": "POST",
        "url": "u" * 8192,
        "headers": {f"h{n}": "v" * 4096 for n in range(64)},
    },
    "response": {
        "status": 500,
        "headers": {"h": "v" * (16 << 10)},
        "body": "\x01" * (64 << 10),
        "body_truncated": True,
        "redirects": ["u" * 8192] * 5,
    },
}


def bounds() -> dict[tuple[str, str], int]:
    """Return the bound, in bytes, of each answer that the documentation names, by its route."""
    section = PAGE.split("\n## How large an answer may be\n")[1]
    return {
        named: int(size) << 20
        for answers, size in ROW.findall(section)
        for named in NAMED.findall(answers)
    }


EVERY_OTHER = 1 << 20


class Crowded:
    """A workspace in which everything is as long, and as much, as it may be."""

    def __init__(self, owner: Caller, db: Engine) -> None:
        self.owner = owner
        self._db = db
        self._rename_self()
        self.job_id = self._job("x" * LONG)
        short = self._job("x" * (MAX_LISTED_PAYLOAD_BYTES - 200))
        self._clone("jobs", self.job_id, 49)
        self._clone("jobs", short, 49)
        self._schedules()
        owner.patch(f"jobs/{short}", {"description": WIDE * 1999, "tags": ["other"]})
        self._clone("audit_log", self._latest("audit_log"), 99)
        self.execution_id = self._execution()
        self._clone("executions", self.execution_id, 99)
        self._replay_id = self._replay()
        self._clone("replays", self._replay_id, 99)
        self._change_id = self._bulk_change()
        self._clone("bulk_changes", self._change_id, 99)
        self._clone("workspaces", str(owner.workspace_id), 99)
        self._members()
        self._key_id = owner.post("keys", {"name": "k" * 100, "scopes": ["jobs:read"]}).json["id"]
        self._clone("api_keys", self._key_id, 99, prefix="md5(n || '-' || :id)")

    @property
    def places(self) -> dict[str, str]:
        """Return what the parameters of paths are replaced by."""
        return {
            "job_id": self.job_id,
            "execution_id": self.execution_id,
            "key_id": self._key_id,
            "replay_id": self._replay_id,
            "change_id": self._change_id,
            "workspace_id": str(self.owner.workspace_id),
        }

    def _run(self, statement: str, **parameters: Any) -> None:
        with self._db.begin() as connection:
            connection.execute(text(statement), parameters)

    def _rename_self(self) -> None:
        with self._db.begin() as connection:
            connection.execute(
                update(users).where(users.c.id == self.owner.user_id).values(is_operator=True)
            )
        assert self.owner.patch("workspace", {"name": WIDE * 100}).status_code == 200

    def _job(self, filling: str) -> str:
        body = job(
            name=WIDE * 200,
            description=WIDE * 2000,
            tags=[f"{n:02}" + WIDE * 48 for n in range(20)],
            notify=[f"{n:02}{'a' * 60}@{'b' * 60}.example.com" for n in range(20)],
            payload={"url": "https://example.com", "body": filling},
            schedule_type="interval",
            cron_expression=...,
            interval_seconds=1,
        )
        answer = self.owner.post("jobs", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])

    def _clone(self, table: str, identifier: str, times: int, **changes: str) -> None:
        """Store copies of a row, each with an id of its own and what SQL says of ``changes``."""
        new = ", ".join(f"'{name}', {value}" for name, value in changes.items())
        self._run(
            f"INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object("  # noqa: S608 - constants
            # An id that sorts by the same moment.
            "  'id', left(t.id::text, 14) || '7' || right(gen_random_uuid()::text, 21)"
            f"  {', ' if new else ''}{new}))).*"
            f"  FROM {table} t, generate_series(1, :times) AS n"
            "  WHERE t.id = CAST(:id AS uuid)",
            times=times,
            id=identifier,
        )

    def _schedules(self) -> None:
        self._run(
            "INSERT INTO schedules SELECT (jsonb_populate_record(s,"
            " jsonb_build_object('job_id', j.id))).* FROM schedules s, jobs j"
            " WHERE s.job_id = CAST(:id AS uuid) AND j.workspace_id = :workspace"
            " AND j.id NOT IN (SELECT job_id FROM schedules)",
            id=self.job_id,
            workspace=self.owner.workspace_id,
        )

    def _execution(self) -> str:
        made = self.owner.post(f"jobs/{self.job_id}/execute").json["id"]
        with self._db.begin() as connection:
            connection.execute(
                update(executions)
                .where(executions.c.id == made)
                .values(
                    status="failed",
                    started_at=clock.now(),
                    finished_at=clock.now(),
                    error=LONG_ERROR,
                    attempts=[ATTEMPT | {"number": n + 1} for n in range(MAX_ATTEMPTS)],
                )
            )
        return str(made)

    def _replay(self) -> str:
        selection = {"job_id": self.job_id}
        body = {"filter": selection, "note": WIDE * 500}
        answer = self.owner.post("executions/bulk/retry", body)
        assert answer.status_code == 202, answer.text
        return str(answer.json["id"])

    def _bulk_change(self) -> str:
        identifier = str(ids.new_id(clock.now()))
        reason = WIDE * MAX_REASON_LENGTH
        self._run(
            "INSERT INTO bulk_changes (id, workspace_id, created_by, created_at, action, options,"
            " filter, job_ids, matched, handled, results, reasons, sample, state, next_at,"
            " updated_at, finished_at)"
            " VALUES (:id, :workspace, :id, now(), 'pause', '{}', CAST(:filter AS json), '{}', 0,"
            " 0, '{}', CAST(:reasons AS jsonb), CAST(:sample AS jsonb), 'done', now(), now(),"
            " now())",
            id=identifier,
            workspace=self.owner.workspace_id,
            filter=json.dumps({"search": WIDE * 200, "tag": WIDE * 50, "name": WIDE * 200}),
            reasons=json.dumps({f"{n:02}{reason}": 1 for n in range(MAX_REASONS + 1)}),
            sample=json.dumps([{"id": identifier, "reason": reason}] * MAX_SAMPLE),
        )
        return identifier

    def _latest(self, table: str) -> str:
        with self._db.connect() as connection:
            statement = f"SELECT id FROM {table} WHERE workspace_id = :id ORDER BY id DESC"  # noqa: S608 - a constant
            found = connection.execute(text(statement), {"id": self.owner.workspace_id})
            return str(found.scalars().first())

    def _members(self) -> None:
        self._run(
            "WITH made AS (INSERT INTO users (id, email, password_hash, created_at)"
            " SELECT gen_random_uuid(), repeat('a', 230) || n || '@' || :id, '-', now()"
            " FROM generate_series(1, 499) AS n RETURNING id)"
            " INSERT INTO memberships (workspace_id, user_id, role, created_at)"
            " SELECT :workspace, id, 'viewer', now() FROM made",
            id=str(self.owner.user_id)[:8],
            workspace=self.owner.workspace_id,
        )
        self._run(
            "INSERT INTO memberships (workspace_id, user_id, role, created_at)"
            " SELECT id, :user, 'viewer', now() FROM workspaces WHERE name = :name AND id <> :own",
            user=self.owner.user_id,
            name=WIDE * 100,
            own=self.owner.workspace_id,
        )


@pytest.fixture(scope="module")
def crowded(app: Flask, db: Engine) -> Crowded:
    return Crowded(register(app, db), db)


QUERIES = {
    "/api/v1/upcoming": "?hours=168&bucket_minutes=21",
    "/api/v1/upcoming/agenda": "?since=2029-01-01T00:00:00Z&until=2029-01-02T00:00:00Z&limit=100",
    "/api/v1/jobs/{job_id}/why": "?at=2026-11-20T09:00:00Z",
    "/api/v1/jobs/{job_id}/occurrences": "?since=2029-01-01T00:00:00Z&until=2029-01-02T00:00:00Z",
    "/api/v1/dashboard/trend": "?period=7d",
}
ENDLESS = {"/api/v1/events"}
#: Streams of everything that there is.
EXPORTS = {"/api/v1/workspace/export", "/api/v1/auth/me/export"}


def test_every_answer_that_is_read_keeps_to_its_bound(crowded: Crowded, app: Flask) -> None:
    headers = {"X-Workspace": str(crowded.owner.workspace_id)}
    sizes: dict[tuple[str, str], int] = {}
    for rule, operations in document_of(app)["paths"].items():
        if "get" not in operations or rule in ENDLESS | EXPORTS:
            continue
        path = rule.format_map(crowded.places) if "{" in rule else rule
        names = {each["name"] for each in operations["get"].get("parameters", [])}
        query = QUERIES.get(rule, "?limit=100" if "limit" in names else "")
        answer = crowded.owner.get(path + query, headers=headers)
        assert answer.status_code < 400 or rule.endswith("/ready"), (rule, answer.text[:500])
        sizes["GET", rule] = len(answer.data)
    known = bounds()
    too_long = {each: size for each, size in sizes.items() if size > known.get(each, EVERY_OTHER)}
    assert too_long == {}
    # The workspace is crowded indeed: what is bounded would be longer.
    large = {each for each, size in sizes.items() if size > EVERY_OTHER}
    assert {("GET", "/api/v1/jobs"), ("GET", "/api/v1/executions/{execution_id}")} <= large
    named = {each for each in known if each[0] == "GET"}
    assert named <= sizes.keys()


def test_a_list_leaves_a_long_payload_out_and_the_job_has_it(crowded: Crowded) -> None:
    items = crowded.owner.get("jobs?limit=100").json["items"]
    payloads = {each["id"]: each["payload"] for each in items}
    assert len(payloads) == 100
    assert list(payloads.values()).count(None) == 50
    assert payloads[crowded.job_id] is None
    compat = crowded.owner.get("/api/jobs?limit=100").json["jobs"]
    assert [each["payload"] for each in compat].count(None) == 50
    whole = crowded.owner.get(f"jobs/{crowded.job_id}").json["payload"]
    assert len(whole["body"]) == LONG


def test_an_earlier_attempt_is_shortened_and_whole_by_its_number(crowded: Crowded) -> None:
    path = f"executions/{crowded.execution_id}"
    *earlier, last = crowded.owner.get(path).json["attempts"]
    assert [each["number"] for each in earlier] == list(range(1, MAX_ATTEMPTS))
    assert last == ATTEMPT | {"number": MAX_ATTEMPTS}
    for each in earlier:
        assert each["shortened"]
        assert each["response"] == {"status": 500, "body": "\x01" * 1000, "body_truncated": True}
        assert each["request"] == {"method": "POST", "url": "u" * 1000}
    (seventh,) = crowded.owner.get(f"{path}?attempt=7").json["attempts"]
    assert seventh == ATTEMPT | {"number": 7}


@pytest.mark.parametrize(
    ("query", "status"),
    [("attempt=2", 404), ("attempt=0", 422), ("attempt=x", 422), ("attempt=51", 422)],
)
def test_an_attempt_that_there_is_not_is_an_error(caller: Caller, query: str, status: int) -> None:
    job_id = caller.create()["id"]
    execution_id = caller.post(f"jobs/{job_id}/execute").json["id"]
    assert caller.get(f"executions/{execution_id}?{query}").status_code == status


def test_bulk_requests_and_previews_keep_to_the_bound(crowded: Crowded) -> None:
    owner = crowded.owner
    ids = [str(uuid4()) for _ in range(1000)]
    for action in ("pause", "resume", "execute", "delete"):
        answer = owner.post(f"jobs/bulk/{action}", {"ids": ids, "dry_run": True})
        assert answer.status_code == 200
        assert len(answer.data) < EVERY_OTHER
    preview = {"schedule_type": "interval", "interval_seconds": 1, "count": 100}
    assert len(owner.post("schedules/preview", preview).data) < EVERY_OTHER


@pytest.mark.parametrize(
    "body",
    [
        job(**{f"f{n}": 1 for n in range(60_000)}),
        job(**{"x" * LONG: 1}),
        job(tags=[""] * 200_000),
        job(timezone="x" * LONG),
        {"jobs": [{f"f{n}": 1} for n in range(1000)]},
    ],
    ids=["many fields", "a long field", "many items", "a long value", "many jobs"],
)
def test_an_error_about_a_large_body_is_short(caller: Caller, body: dict[str, Any]) -> None:
    answer = caller.post("jobs/bulk" if "jobs" in body else "jobs", body)
    assert answer.status_code == 422
    assert 1 <= len(answer.json["errors"]) <= 50
    assert len(answer.data) < 200_000


TEXTS = st.text(max_size=3000) | st.lists(st.text(max_size=300), max_size=20) | st.integers()
MESSAGES = st.dictionaries(
    st.sampled_from(["url", "body", "headers", "status", "subject", "to"]), TEXTS
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"error": st.text(max_size=MAX_ERROR_LENGTH)},
            optional={"request": MESSAGES, "response": MESSAGES},
        ),
        max_size=4,
    )
)
def test_no_attempts_make_an_answer_long(found: list[dict[str, Any]]) -> None:
    numbered = [each | {"number": n} for n, each in enumerate(found, 1)]
    shown = attempts.shown(numbered)
    assert [each["number"] for each in shown] == [each["number"] for each in numbered]
    assert shown[-1:] == numbered[-1:]
    for each, whole in zip(shown[:-1], numbered, strict=False):
        if len(json.dumps(whole)) <= attempts.MAX_EARLIER_BYTES:
            assert each == whole
        else:
            assert each["shortened"]
            assert len(json.dumps(each)) < 12 * 7 * attempts.MAX_SHORT
