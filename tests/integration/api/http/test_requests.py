"""What requests and answers carry: idempotency keys, conditions, compression, other origins."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, update

from chronos_api.app import create_app
from chronos_api.jobs import service as services
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage import idempotency
from chronos_common.storage.tables import idempotency_keys, schedules
from integration.api.api_settings import settings_for
from integration.api.callers import WEBHOOK, Caller, errors_of, job
from integration.api.rows import in_seconds


def key(text: str = "") -> dict[str, str]:
    return {"Idempotency-Key": text or uuid4().hex}


def total(caller: Caller) -> int:
    return int(caller.get("jobs?limit=1").json["total"])


def test_a_request_that_is_sent_again_has_its_effect_once(caller: Caller) -> None:
    sent = key()
    first = caller.post("jobs", job(), headers=sent)
    again = caller.post("jobs", job(), headers=sent)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    for name in ("Location", "ETag", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert total(caller) == 1
    run = key()
    path = f"jobs/{first.json['id']}/execute"
    assert caller.post(path, headers=run).json == caller.post(path, headers=run).json
    assert caller.get("executions").json["total"] == 1


def test_a_key_is_its_users_own(caller: Caller, stranger: Caller, db: Engine) -> None:
    sent = key()
    colleague = caller.me_in("editor", db)
    made = [each.post("jobs", job(), headers=sent) for each in (caller, stranger, colleague)]
    assert [each.status_code for each in made] == [201] * 3
    assert len({each.json["id"] for each in made}) == 3


def test_a_key_goes_with_one_request_only(caller: Caller) -> None:
    sent = key()
    made = caller.post("jobs", job(), headers=sent).json
    assert (
        "another request"
        in errors_of(caller.post("jobs", job(name="B"), headers=sent))["Idempotency-Key"]
    )
    elsewhere = caller.post(f"jobs/{made['id']}/execute", headers=sent)
    assert "Idempotency-Key" in errors_of(elsewhere)
    assert total(caller) == 1


def test_a_kept_answer_is_only_for_those_who_may_send_the_request(caller: Caller) -> None:
    """Fails if the answer is repeated before scopes and the end of keys are checked."""
    sent = key()
    assert caller.post("jobs", job(), headers=sent).status_code == 201

    def again(scope: str, *, revoked: bool = False) -> int:
        made = caller.post("keys", {"name": "k", "scopes": [scope]}).json
        if revoked:
            caller.delete(f"keys/{made['id']}")
        return Caller(caller.app, made["key"]).post("jobs", job(), headers=sent).status_code

    assert again("jobs:write") == 201
    assert again("jobs:read") == 403
    assert again("jobs:write", revoked=True) == 401


@pytest.mark.parametrize("text", ["", " ", "a b", "x" * 256, "\xe9"])
def test_a_strange_key_is_refused(caller: Caller, text: str) -> None:
    answer = caller.post("jobs", job(), headers={"Idempotency-Key": text})
    assert "Idempotency-Key" in errors_of(answer)


def test_a_request_that_failed_may_be_sent_again(caller: Caller) -> None:
    sent = key()
    assert caller.post("jobs", job(name=""), headers=sent).status_code == 422
    assert caller.post("jobs", job(), headers=sent).status_code == 201


def test_of_two_at_once_one_is_told_to_wait(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = Event(), Event()
    real = services.create

    def slowly(*arguments: object, **options: object) -> object:
        entered.set()
        assert go_on.wait(20)
        return real(*arguments, **options)

    monkeypatch.setattr(services, "create", slowly)
    sent = key()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(caller.post, "jobs", job(), headers=sent)
        assert entered.wait(20)
        second = caller.post("jobs", job(), headers=sent)
        go_on.set()
        assert first.result(20).status_code == 201
    assert second.status_code == 409
    assert "has not ended" in second.json["detail"]
    assert total(caller) == 1


def test_a_key_is_free_again_after_a_day(caller: Caller, db: Engine) -> None:
    sent = key()
    first = caller.post("jobs", job(), headers=sent).json
    its = idempotency_keys.c.key == sent["Idempotency-Key"]
    with db.begin() as connection:
        earlier = clock.now() - idempotency.RETENTION - timedelta(seconds=1)
        connection.execute(update(idempotency_keys).where(its).values(created_at=earlier))
    assert caller.post("jobs", job(), headers=sent).json["id"] != first["id"]
    with db.begin() as connection:
        idempotency.prune(connection, now=clock.now() + idempotency.RETENTION)
        count = connection.execute(select(func.count()).where(its)).scalar_one()
    assert count == 0


def test_no_secret_is_kept_with_a_key(caller: Caller, db: Engine) -> None:
    sent = key()
    body = {"name": "ci", "scopes": ["jobs:read"]}
    made = caller.post("keys", body, headers=sent)
    assert made.status_code == 201
    again = caller.post("keys", body, headers=sent)
    assert again.status_code == 409
    assert "was not kept" in again.json["detail"]
    with db.connect() as connection:
        its = idempotency_keys.c.key == sent["Idempotency-Key"]
        row = connection.execute(select(idempotency_keys).where(its)).one()
    assert (row.status, row.body) == (201, None)


def test_a_key_does_not_open_what_a_role_forbids(caller: Caller, db: Engine) -> None:
    viewer, sent = caller.me_in("viewer", db), key()
    assert [viewer.post("jobs", job(), headers=sent).status_code for _ in "ab"] == [403, 403]


# Conditions -------------------------------------------------------------------------------------


def test_a_job_that_is_known_is_not_sent_again(caller: Caller) -> None:
    made = caller.post("jobs", job())
    path, tag = made.headers["Location"], made.headers["ETag"]
    same = caller.get(path, headers={"If-None-Match": tag})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag)
    assert caller.get(path, headers={"If-None-Match": f'W/{tag}, "x"'}).status_code == 304
    assert caller.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
    caller.patch(path, {"description": "new"})
    assert caller.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_next_run_that_moved_is_sent_again_and_needs_no_new_version(
    caller: Caller, db: Engine
) -> None:
    made = caller.post("jobs", job())
    path, tag = made.headers["Location"], made.headers["ETag"]
    with db.begin() as connection:
        its = schedules.c.job_id == made.json["id"]
        connection.execute(update(schedules).where(its).values(next_run_at=in_seconds(3600)))
    moved = caller.get(path, headers={"If-None-Match": tag})
    assert (moved.status_code, moved.json["version"]) == (200, 1)
    changed = caller.patch(path, {"name": "New"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    stale = caller.patch(path, {"name": "Old"}, headers={"If-Match": tag})
    assert (stale.status_code, stale.json["type"]) == (412, "/docs#problem-version-conflict")
    plain = f'"{changed.json["version"]}"'
    assert caller.delete(path, headers={"If-Match": plain}).status_code == 204


# Compression ------------------------------------------------------------------------------------


def test_a_long_answer_is_compressed_for_those_who_read_it(caller: Caller) -> None:
    path = f"jobs/{caller.create(payload={**WEBHOOK, 'body': 'x' * 5000})['id']}"
    plain = caller.get(path)
    packed = caller.app.test_client().get(
        f"/api/v1/{path}",
        headers={"Authorization": f"Bearer {caller.token}", "Accept-Encoding": "br, gzip"},
    )
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.data)) == plain.json
    assert len(packed.data) < len(plain.data) / 3
    assert int(packed.headers["Content-Length"]) == len(packed.data)
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    # The forms differ byte by byte, so their strong tags may not be the same.
    tag = packed.headers["ETag"]
    assert tag == f"W/{plain.headers['ETag']}"
    known = caller.get(path, headers={"If-None-Match": tag})
    assert known.status_code == 304
    changed = caller.patch(path, {"name": "New"}, headers={"If-Match": tag})
    assert changed.status_code == 200


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br"])
def test_who_does_not_read_gzip_gets_none(caller: Caller, accepted: str) -> None:
    caller.create(payload={**WEBHOOK, "body": "x" * 5000})
    answer = caller.get("jobs", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers


def test_a_short_answer_is_left_as_it_is(caller: Caller) -> None:
    answer = caller.get("/health", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers


# Other origins ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_app(db: Engine, servers: Servers) -> Flask:
    url = db.url.render_as_string(hide_password=False)
    origins = ("https://ui.example.com",)
    return create_app(settings_for(url, servers.redis_url, cors_origins=origins), db)


def test_an_origin_that_is_listed_may_call(caller: Caller, open_app: Flask) -> None:
    origin = "https://ui.example.com"
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization, if-match",
    }
    asked = open_app.test_client().options("/api/v1/jobs", headers=preflight)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == origin
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    allowed = asked.headers["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "if-match", "idempotency-key"} <= set(allowed.split(", "))
    called = Caller(open_app, caller.token).get("jobs", headers={"Origin": origin})
    assert called.headers["Access-Control-Allow-Origin"] == origin
    assert "ETag" in called.headers["Access-Control-Expose-Headers"]
    assert "Origin" in called.headers["Vary"]
    refused = Caller(open_app).get("jobs", headers={"Origin": origin})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == origin
    assert "Access-Control-Allow-Credentials" not in refused.headers


def test_other_origins_may_not(caller: Caller, open_app: Flask) -> None:
    origin = {"Origin": "https://evil.example.com"}
    for app in (open_app, caller.app):
        answer = Caller(app, caller.token).get("jobs", headers=origin)
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Access-Control-Allow-Origin" not in caller.get("jobs").headers


def test_every_origin_may_if_the_operator_says_so(db: Engine, servers: Servers) -> None:
    url = db.url.render_as_string(hide_password=False)
    app = create_app(settings_for(url, servers.redis_url, cors_origins=("*",)), db)
    answer = Caller(app).get("/health", headers={"Origin": "https://any.example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://any.example.com"
