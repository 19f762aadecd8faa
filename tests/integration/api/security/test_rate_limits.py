"""Rate limits, with Redis and without it."""

import re
import socket
from collections.abc import Iterator
from functools import partial
from time import monotonic

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import Engine

from chronos_api.app import create_app
from chronos_api.security.rate_limit_storage import SCHEME, Counts
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, join, register

LOGIN = {"email": "nobody@example.com", "password": "x"}


def limited(db: Engine, redis_url: str) -> Flask:
    """An application with limits that a test can meet."""
    url = db.url.render_as_string(hide_password=False)
    return create_app(
        settings_for(url, redis_url, rate_limit="5 per minute", login_rate_limit="2 per minute"),
        db,
    )


def app_with(db: Engine, redis_url: str, **changes: str) -> Flask:
    url = db.url.render_as_string(hide_password=False)
    return create_app(settings_for(url, redis_url, **changes), db)


@pytest.fixture
def closed_url() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{reserved.getsockname()[1]}/0"


@pytest.fixture
def silent_url() -> Iterator[str]:
    """An address at which somebody takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


def test_each_user_has_a_limit_over_all_routes(db: Engine, redis_url: str) -> None:
    app = limited(db, redis_url)
    caller, other = register(app, db), register(app, db)
    paths = ["jobs", "executions", "auth/me", "jobs", "jobs"]
    assert [caller.get(path).status_code for path in paths] == [200] * 5
    refused = caller.get("executions")
    assert refused.status_code == 429
    assert refused.mimetype == "application/problem+json"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert other.get("jobs").status_code == 200


def test_answers_say_what_is_left(db: Engine, redis_url: str) -> None:
    """In the words of draft-ietf-httpapi-ratelimit-headers."""
    app = limited(db, redis_url)
    caller = register(app, db)
    left = [int(LEFT.match(_header(caller, "jobs"))["left"]) for _ in range(6)]  # type: ignore[index]
    assert left == [4, 3, 2, 1, 0, 0]
    assert register(app, db).get("jobs").headers["RateLimit-Policy"] == (
        '"requests-60s";q=5;w=60, "user-requests-60s";q=1000000;w=60, '
        '"workspace-requests-60s";q=1000000;w=60'
    )
    login = Caller(app).post("auth/login", LOGIN)
    assert login.headers["RateLimit-Policy"] == '"requests-60s";q=5;w=60, "logins-60s";q=2;w=60'
    assert "RateLimit" not in caller.get("/health").headers


def test_a_request_asks_redis_once(
    db: Engine, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves that the answer does not ask Redis for the rest of the limit again.

    Fails without ``chronos_api.security.rate_limit_storage``.
    """
    app = limited(db, redis_url)
    caller = register(app, db)
    caller.get("jobs")
    asked: list[object] = []
    execute = Redis.execute_command

    def noted(self: Redis, *args: object, **options: object) -> object:
        asked.append(args[0])
        return execute(self, *args, **options)

    monkeypatch.setattr(Redis, "execute_command", noted)
    caller.get("auth/me")
    assert asked == ["EVALSHA"]


def test_a_count_is_what_redis_has_and_ends_with_it(db: Engine, redis_url: str) -> None:
    app = limited(db, redis_url)
    counted = Counts(SCHEME + redis_url)
    with app.app_context():
        assert [counted.incr("key", 60), counted.incr("key", 60)] == [1, 2]
        assert counted.get("key") == 2
        end = counted.get_expiry("key")
    with app.app_context():  # another request, which has counted nothing yet
        assert counted.get("key") == 2
        assert abs(counted.get_expiry("key") - end) <= 1
        assert counted.incr("key", 60) == 3
        counted.clear("key")
        assert counted.get("key") == 0


LEFT = re.compile(r'"requests-60s";r=(?P<left>\d+);t=([1-9]|[1-5]\d|60)')


def _header(caller: Caller, path: str) -> str:
    return caller.get(path).headers["RateLimit"]


def test_each_key_has_a_limit_of_its_own(db: Engine, redis_url: str) -> None:
    app = limited(db, redis_url)
    owner = register(app, db)
    keys = [
        Caller(app, owner.post("keys", {"name": "CI", "scopes": ["jobs:read"]}).json["key"])
        for _ in range(2)
    ]
    assert [keys[0].get("jobs").status_code for _ in range(6)] == [200] * 5 + [429]
    assert keys[1].get("jobs").status_code == 200
    assert owner.get("jobs").status_code == 200


def test_processes_share_their_count(db: Engine, redis_url: str) -> None:
    first, second = limited(db, redis_url), limited(db, redis_url)
    caller = register(first, db)
    for _ in range(5):
        assert caller.get("jobs").status_code == 200
    assert Caller(second, caller.token).get("jobs").status_code == 429
    with Redis.from_url(redis_url) as redis:
        assert redis.keys("*")


def test_logging_in_has_a_limit_of_its_own(db: Engine, redis_url: str) -> None:
    app = limited(db, redis_url)
    nobody = Caller(app)
    answers = [nobody.post("auth/login", LOGIN).status_code for _ in range(3)]
    assert answers == [401, 401, 429]
    assert nobody.post("auth/register", {}).status_code == 422
    assert register(app, db).get("jobs").status_code == 200


def test_a_rotation_which_no_quota_refuses_has_the_limit_of_logins(
    db: Engine, redis_url: str
) -> None:
    owner = register(limited(db, redis_url), db)
    rotate = partial(owner.post, "workspace/signing-secret/rotate", {"grace_hours": 0})
    assert [rotate().status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(("proxies", "last"), [(0, 429), (1, 401), (2, 429)])
def test_behind_proxies_the_address_before_them_counts(
    db: Engine, redis_url: str, proxies: int, last: int
) -> None:
    """A client writes what it likes into the header; only what proxies added is believed."""
    url = db.url.render_as_string(hide_password=False)
    settings = settings_for(
        url, redis_url, login_rate_limit="2 per minute", trusted_proxies=proxies
    )
    nobody = Caller(create_app(settings, db))
    answers = [
        nobody.post("auth/login", LOGIN, headers={"X-Forwarded-For": forwarded}).status_code
        for forwarded in ("a, 192.0.2.1", "a, 192.0.2.2", "a, 192.0.2.3")
    ]
    assert answers == [401, 401, last]


def test_requests_without_a_valid_token_count_too(db: Engine, redis_url: str) -> None:
    nobody = Caller(limited(db, redis_url), "x.y.z")
    answers = [nobody.get("jobs").status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]


def test_probes_and_documentation_have_no_limit(db: Engine, redis_url: str) -> None:
    nobody = Caller(limited(db, redis_url))
    for path in ("/health", "/api/v1/health", "/metrics", "/docs", "/openapi.json"):
        assert [nobody.get(path).status_code for _ in range(7)] == [200] * 7


@pytest.mark.parametrize("dead_url", ["closed_url", "silent_url"])
def test_without_redis_each_process_counts_for_itself(
    db: Engine, dead_url: str, request: pytest.FixtureRequest
) -> None:
    app = limited(db, request.getfixturevalue(dead_url))
    caller = register(app, db)
    began = monotonic()
    answers = [caller.get("jobs").status_code for _ in range(6)]
    assert answers == [200] * 5 + [429]
    # One wait for Redis at the first request, and not one at each.
    assert monotonic() - began < 5
    nobody = Caller(app)
    logins = [nobody.post("auth/login", LOGIN).status_code for _ in range(3)]
    assert logins == [401, 401, 429]
    assert join(app, db, caller.workspace_id, "viewer").get("jobs").status_code == 200


def test_a_user_with_several_keys_has_one_limit_over_all(db: Engine, redis_url: str) -> None:
    """M16: five keys were five limits."""
    app = app_with(db, redis_url, user_rate_limit="8 per minute")
    owner = register(app, db)
    keys = [
        Caller(app, owner.post("keys", {"name": "CI", "scopes": ["jobs:read"]}).json["key"])
        for _ in range(3)
    ]
    answers = [keys[number % 3].get("jobs").status_code for number in range(7)]
    assert answers == [200] * 5 + [429] * 2
    assert owner.get("jobs").status_code == 429
    assert register(app, db).get("jobs").status_code == 200


def test_a_workspace_has_one_limit_over_all_members(db: Engine, redis_url: str) -> None:
    app = app_with(db, redis_url, workspace_rate_limit="6 per minute")
    owner = register(app, db)
    members = [owner, *(owner.me_in("viewer", db) for _ in range(3))]
    answers = [members[number % 4].get("jobs").status_code for number in range(8)]
    assert answers == [200] * 6 + [429] * 2
    refused = members[3].get("executions")
    assert '"workspace-requests-60s";r=0' in refused.headers["RateLimit"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert register(app, db).get("jobs").status_code == 200
