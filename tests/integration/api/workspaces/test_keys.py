"""API keys."""

import hashlib
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select, text, update

from chronos_api.security.access import Scope
from chronos_common import clock
from chronos_common.storage.tables import api_keys, memberships, users
from integration.api.callers import Caller, errors_of

KEY = re.compile(r"chr_[a-z0-9]{10}_[A-Za-z0-9]{40}")


def make(owner: Caller, *scopes: str, **changes: Any) -> dict[str, Any]:
    made = owner.post("keys", {"name": "CI", "scopes": scopes or list(Scope), **changes})
    assert made.status_code == 201, made.text
    return dict(made.json)


def caller_with(owner: Caller, key: str) -> Caller:
    return Caller(owner.app, key, owner.user_id, owner.workspace_id)


def last_used(db: Engine, key_id: str) -> datetime | None:
    with db.connect() as connection:
        query = select(api_keys.c.last_used_at).where(api_keys.c.id == key_id)
        found: datetime | None = connection.execute(query).scalar_one()
        return found


def test_a_key_is_shown_once_and_stored_as_a_hash(caller: Caller, db: Engine) -> None:
    made = make(caller, "jobs:write", "jobs:read", "jobs:read")
    text_of_key = made.pop("key")
    assert KEY.fullmatch(text_of_key)
    assert text_of_key.startswith(f"{made['prefix']}_")
    assert made["scopes"] == ["jobs:read", "jobs:write"]
    assert caller.get(f"keys/{made['id']}").json == made
    assert caller.get("keys").json["items"] == [made]
    with db.connect() as connection:
        stored = connection.execute(
            text("SELECT CAST(k AS text) FROM api_keys k WHERE id = :id"), {"id": made["id"]}
        ).scalar_one()
    assert text_of_key.rpartition("_")[2] not in stored
    assert hashlib.sha256(text_of_key.encode()).hexdigest() in stored


def test_a_key_comes_as_a_bearer_token_or_in_its_header(caller: Caller, nobody: Caller) -> None:
    caller.create()
    key = make(caller)["key"]
    assert caller_with(caller, key).get("jobs").json["total"] == 1
    assert nobody.get("jobs", headers={"X-API-Key": key}).json["total"] == 1
    me = nobody.get("auth/me", headers={"X-API-Key": key}).json
    assert me["user"]["id"] == str(caller.user_id)
    # What signs webhooks is not for whoever holds a key that reads.
    assert me["workspace"]["signing_secret"] is None


def test_a_key_in_the_query_or_the_body_serves_only_where_that_is_declared(
    caller: Caller, nobody: Caller
) -> None:
    key = make(caller)["key"]
    job_id = caller.create()["id"]
    assert nobody.get(f"/api/jobs/{job_id}?api_key={key}").status_code == 200
    body = {"name": "Renamed", "api_key": key}
    assert nobody.put(f"/api/jobs/{job_id}", body).status_code == 200
    assert nobody.get(f"jobs/{job_id}?api_key={key}").status_code == 401
    assert nobody.get(f"/api/jobs/{job_id}?api_key={key[:-1]}").status_code == 401
    # A login that is shown decides alone.
    other = {"Authorization": "Bearer x.y.z"}
    assert nobody.get(f"/api/jobs/{job_id}?api_key={key}", headers=other).status_code == 401


def test_a_key_is_never_logged(
    caller: Caller, nobody: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    key = make(caller)["key"]
    assert nobody.get(f"/api/jobs?api_key={key}").status_code == 200
    assert nobody.get(f"/api/jobs?api_key={key}&limit=nonsense").status_code == 422
    assert nobody.get("jobs", headers={"X-API-Key": key}).status_code == 200
    written = "".join(capsys.readouterr())
    assert "path=/api/jobs" in written
    assert key not in written
    assert key.rpartition("_")[2] not in written


def test_a_revoked_key_is_refused_at_once(caller: Caller) -> None:
    made = make(caller)
    program = caller_with(caller, made["key"])
    assert program.get("jobs").status_code == 200
    assert caller.delete(f"keys/{made['id']}").status_code == 204
    assert program.get("jobs").status_code == 401
    assert caller.get("keys").json["items"] == []
    assert caller.get(f"keys/{made['id']}").status_code == 404
    assert caller.delete(f"keys/{made['id']}").status_code == 404


def test_an_expired_key_is_refused(caller: Caller, db: Engine) -> None:
    later = (clock.now() + timedelta(hours=1)).isoformat()
    made = make(caller, expires_at=later)
    program = caller_with(caller, made["key"])
    assert program.get("jobs").status_code == 200
    with db.begin() as connection:
        past = clock.now() - timedelta(seconds=1)
        connection.execute(
            update(api_keys).where(api_keys.c.id == made["id"]).values(expires_at=past)
        )
    assert program.get("jobs").status_code == 401
    # It stays in the list until it is revoked: somebody wonders why their program fails.
    assert caller.get("keys").json["total"] == 1


def test_keys_that_are_not_ours_are_refused(caller: Caller) -> None:
    key = make(caller)["key"]
    prefix = key.rpartition("_")[0]
    strange = [
        f"{prefix}_{'x' * 40}",
        f"chr_{'a' * 10}_{'x' * 40}",
        key[:-1],
        f"{key}x",
        "chr_",
        "chr_\u00e9",
        key.upper(),
    ]
    for each in strange:
        assert caller_with(caller, each.encode().decode("latin-1")).get("jobs").status_code == 401


def test_last_use_is_written_once_a_minute(caller: Caller, db: Engine) -> None:
    made = make(caller)
    assert made["last_used_at"] is None
    program = caller_with(caller, made["key"])
    program.get("jobs")
    first = last_used(db, made["id"])
    assert first is not None
    program.get("jobs")
    assert last_used(db, made["id"]) == first
    long_ago = first - timedelta(seconds=61)
    with db.begin() as connection:
        query = update(api_keys).where(api_keys.c.id == made["id"])
        connection.execute(query.values(last_used_at=long_ago))
    program.get("jobs")
    now_used = last_used(db, made["id"])
    assert now_used is not None
    assert now_used >= first


def test_a_key_acts_with_its_creators_role_of_now(caller: Caller, db: Engine) -> None:
    other = caller.me_in("owner", db)
    program = caller_with(other, make(other)["key"])
    assert program.patch("workspace", {"name": "Mine"}).status_code == 200
    caller.patch(f"members/{other.user_id}", {"role": "editor"})
    refused = program.patch("workspace", {"name": "Mine"})
    assert refused.status_code == 403
    assert "'owner'" in refused.json["detail"]
    assert program.post("jobs", caller_job()).status_code == 201
    with db.begin() as connection:
        connection.execute(memberships.delete().where(memberships.c.user_id == other.user_id))
    assert program.get("jobs").status_code == 401


def caller_job() -> dict[str, Any]:
    return {
        "name": "Ping",
        "payload": {"url": "https://example.com/hook"},
        "schedule_type": "interval",
        "interval_seconds": 60,
    }


def test_a_key_of_a_disabled_account_is_refused(caller: Caller, db: Engine) -> None:
    program = caller_with(caller, make(caller)["key"])
    with db.begin() as connection:
        query = update(users).where(users.c.id == caller.user_id)
        connection.execute(query.values(disabled_at=clock.now()))
    assert program.get("jobs").status_code == 401


def test_a_key_serves_its_workspace_only(caller: Caller) -> None:
    program = caller_with(caller, make(caller)["key"])
    other = caller.post("workspaces", {"name": "Another"}).json["id"]
    here = {"X-Workspace": str(caller.workspace_id)}
    assert program.get("jobs", headers=here).status_code == 200
    for elsewhere in (other, str(uuid4()), "none"):
        answer = program.get("jobs", headers={"X-Workspace": elsewhere})
        assert answer.status_code == 404


def test_a_key_makes_no_keys(caller: Caller) -> None:
    """Otherwise one with few scopes could give itself more."""
    program = caller_with(caller, make(caller)["key"])
    refused = program.post("keys", {"name": "More", "scopes": ["jobs:read"]})
    assert refused.status_code == 403
    assert "log in" in refused.json["detail"]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"name": ""}, {"name"}),
        ({"scopes": []}, {"scopes"}),
        ({"scopes": ["jobs:read"] * 9}, {"scopes"}),
        ({"scopes": ["everything"]}, {"scopes.0"}),
        ({"scopes": None}, {"scopes"}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at"}),
        ({"expires_at": "tomorrow"}, {"expires_at"}),
        ({"role": "owner"}, {"role"}),
    ],
)
def test_a_wrong_key_names_its_fields(
    caller: Caller, changes: dict[str, object], wrong: set[str]
) -> None:
    body = {"name": "CI", "scopes": ["jobs:read"], **changes}
    assert errors_of(caller.post("keys", body)).keys() == wrong


def test_keys_are_listed_page_by_page(caller: Caller) -> None:
    made = [make(caller, "jobs:read", name=f"Key {number}")["id"] for number in range(5)]
    first = caller.get("keys?limit=2").json
    assert [each["id"] for each in first["items"]] == made[:2:-1]
    assert first["total"] == 5
    second = caller.get(f"keys?limit=2&cursor={first['next_cursor']}").json
    assert [each["id"] for each in second["items"]] == [made[2], made[1]]
    last = caller.get("keys?limit=2&page=3").json
    assert ([each["id"] for each in last["items"]], last["next_cursor"]) == ([made[0]], None)


def test_the_number_of_keys_is_bounded(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronos_api.workspaces.keys.MAX_KEYS", 1)
    make(caller)
    assert caller.post("keys", {"name": "Two", "scopes": ["jobs:read"]}).status_code == 409


def test_a_key_shows_no_other_workspace_of_its_maker(caller: Caller) -> None:
    other = caller.post("workspaces", {"name": "Another"}).json["id"]
    made = caller.post("keys", {"name": "CI", "scopes": ["workspace:read"]}).json["key"]
    program = Caller(caller.app, made)
    found = program.get("auth/me").json
    assert [each["id"] for each in found["workspaces"]] == [str(caller.workspace_id)]
    assert program.get("auth/me", headers={"X-Workspace": other}).status_code == 404
    assert len(caller.get("auth/me").json["workspaces"]) == 2
