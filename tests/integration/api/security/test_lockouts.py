"""Lockouts: whoever fails to log in waits, longer each time, whatever the account."""

import socket
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from redis import Redis
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from chronos_api.app import create_app
from chronos_api.security import lockouts
from chronos_api.security.lockouts import (
    FREE_FAILURES,
    FREE_FAILURES_OF_ACCOUNT,
    LONGEST_WAIT_SECONDS,
    wait_after,
)
from chronos_common.storage.audit import MAX_FAILED_LOGINS
from integration.api.api_settings import settings_for
from integration.api.callers import Caller
from integration.api.inbox import Inbox

PASSWORD = "SecurePass123!"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare passwords without the tenth of a second that argon2 takes."""
    monkeypatch.setattr(
        "chronos_api.security.password_hashing.matches", lambda given, stored: given == stored
    )
    monkeypatch.setattr("chronos_api.security.password_hashing.hash_of", str)


@pytest.fixture
def email() -> str:
    return f"{uuid4()}@example.com"


@pytest.fixture
def closed_url() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{reserved.getsockname()[1]}/0"


def try_to_log_in(nobody: Caller, email: str, password: str, address: str) -> TestResponse:
    return nobody.post(
        "auth/login",
        {"email": email, "password": password},
        environ_base={"REMOTE_ADDR": address},
    )


def fail(nobody: Caller, email: str, times: int, address: str = "198.51.100.1") -> list[int]:
    return [try_to_log_in(nobody, email, "wrong", address).status_code for _ in range(times)]


def test_the_wait_grows_up_to_a_bound() -> None:
    waits = [wait_after(failures) for failures in range(FREE_FAILURES + 20)]
    assert waits[:FREE_FAILURES] == [0] * FREE_FAILURES
    assert waits[FREE_FAILURES : FREE_FAILURES + 4] == [2, 4, 8, 16]
    assert waits[-1] == LONGEST_WAIT_SECONDS
    assert waits == sorted(waits)


@pytest.mark.parametrize("redis", ["redis_url", "closed_url"])
def test_after_some_failures_even_the_right_password_waits(
    db: Engine, redis: str, email: str, request: pytest.FixtureRequest
) -> None:
    """With Redis, and without it."""
    url = db.url.render_as_string(hide_password=False)
    nobody = Caller(create_app(settings_for(url, request.getfixturevalue(redis)), db))
    nobody.post("auth/register", {"email": email, "password": PASSWORD})
    assert fail(nobody, email, FREE_FAILURES) == [401] * FREE_FAILURES
    refused = try_to_log_in(nobody, email, PASSWORD, "198.51.100.1")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 2
    # Somebody elsewhere cannot be locked out by that.
    assert try_to_log_in(nobody, email, PASSWORD, "198.51.100.2").status_code == 200


def test_an_address_without_an_account_is_treated_alike(nobody: Caller, email: str) -> None:
    nobody.post("auth/register", {"email": email, "password": PASSWORD})
    answers = {}
    for each in (email, f"x{email}"):
        fail(nobody, each, FREE_FAILURES, "198.51.100.3")
        last = try_to_log_in(nobody, each.upper(), "wrong", "198.51.100.3")
        answers[each] = (last.status_code, last.json["title"], last.json["detail"][:23])
    assert answers[email] == answers[f"x{email}"]
    assert answers[email][0] == 429


def test_a_success_forgets_the_failures(nobody: Caller, email: str) -> None:
    nobody.post("auth/register", {"email": email, "password": PASSWORD})
    for _ in range(2):
        assert fail(nobody, email, FREE_FAILURES - 1, "198.51.100.4") == [401] * (
            FREE_FAILURES - 1
        )
        assert try_to_log_in(nobody, email, PASSWORD, "198.51.100.4").status_code == 200


def networks(count: int) -> list[str]:
    return [f"2001:db8:{each:x}::1" for each in range(1, count + 1)]


def test_one_customer_of_ipv6_is_one_network(nobody: Caller, email: str) -> None:
    nobody.post("auth/register", {"email": email, "password": PASSWORD})
    for each in range(FREE_FAILURES):
        assert fail(nobody, email, 1, f"2001:db8::{each:x}") == [401]
    assert fail(nobody, email, 1, "2001:db8::ffff:1") == [429]
    assert fail(nobody, email, 1, "2001:db8:0:1::1") == [401]


def test_an_ipv4_address_is_one_network_however_it_is_written(nobody: Caller, email: str) -> None:
    assert fail(nobody, email, FREE_FAILURES, "198.51.100.9") == [401] * FREE_FAILURES
    assert fail(nobody, email, 1, "::ffff:198.51.100.9") == [429]


def test_guesses_from_many_networks_wait_but_the_owner_at_home_does_not(
    nobody: Caller, email: str, inbox: Inbox
) -> None:
    nobody.post("auth/register", {"email": email, "password": PASSWORD})
    home, elsewhere = "198.51.100.10", "198.51.100.11"
    assert try_to_log_in(nobody, email, PASSWORD, home).status_code == 200
    answers = [fail(nobody, email, 1, each)[0] for each in networks(FREE_FAILURES_OF_ACCOUNT)]
    assert answers == [401] * FREE_FAILURES_OF_ACCOUNT
    assert fail(nobody, email, 1, "2001:db8:ffff::1") == [429]
    assert try_to_log_in(nobody, email, PASSWORD, elsewhere).status_code == 429
    assert try_to_log_in(nobody, email, PASSWORD, home).status_code == 200
    # Elsewhere, the mail of the account opens the door.
    there = {"REMOTE_ADDR": elsewhere}
    nobody.post("auth/password/forgot", {"email": email}, environ_base=there)
    reset = {"token": inbox.token_of(email), "password": "Another password"}
    assert nobody.post("auth/password/reset", reset, environ_base=there).status_code == 204
    assert try_to_log_in(nobody, email, "Another password", elsewhere).status_code == 200


def test_an_account_that_does_not_exist_has_the_same_bound(nobody: Caller, email: str) -> None:
    for each in networks(FREE_FAILURES_OF_ACCOUNT):
        assert fail(nobody, email, 1, each) == [401]
    assert fail(nobody, email, 1, "2001:db8:ffff::1") == [429]


def test_a_bounded_number_of_failed_logins_is_in_the_audit_log(
    nobody: Caller, email: str, db: Engine
) -> None:
    made = nobody.post("auth/register", {"email": email, "password": PASSWORD}).json
    owner = Caller(nobody.app, made["access_token"])
    assert fail(nobody, email, FREE_FAILURES) == [401] * FREE_FAILURES
    found = owner.get("audit?action=user.login_failed").json
    assert found["total"] == FREE_FAILURES
    assert found["items"][0]["details"] == {
        "secret": "password",
        "network": "198.51.100.1",
        "wait_seconds": 2,
    }
    for each in networks(MAX_FAILED_LOGINS):
        fail(nobody, email, 1, each)
    assert owner.get("audit?action=user.login_failed").json["total"] == MAX_FAILED_LOGINS
    # Addresses without an account share one bound, in the log of the installation.
    for each in range(MAX_FAILED_LOGINS + 1):
        fail(nobody, f"{each}{email}", 1)
    count = text("SELECT count(*) FROM audit_log WHERE subject_id = :nobody")
    with db.connect() as connection:
        found = connection.execute(count, {"nobody": UUID(int=0)}).scalar_one()
    assert found == MAX_FAILED_LOGINS


def test_a_wrong_current_password_counts_too(nobody: Caller, email: str) -> None:
    made = nobody.post("auth/register", {"email": email, "password": PASSWORD}).json
    caller = Caller(nobody.app, made["access_token"])
    body = {"current_password": "wrong", "new_password": PASSWORD}
    answers = [caller.post("auth/password", body).status_code for _ in range(FREE_FAILURES + 1)]
    assert answers == [401] * FREE_FAILURES + [429]


def test_processes_share_the_failures_and_redis_learns_no_address(
    db: Engine, redis_url: str, email: str
) -> None:
    url = db.url.render_as_string(hide_password=False)
    one, other = (Caller(create_app(settings_for(url, redis_url), db)) for _ in range(2))
    fail(one, email, FREE_FAILURES)
    assert fail(other, email, 1) == [429]
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        names = list(redis.scan_iter(count=1000))
    assert any("failures" in name for name in names)
    assert not any(email in name for name in names)
    assert lockouts.MEMORY_SECONDS == 3600
