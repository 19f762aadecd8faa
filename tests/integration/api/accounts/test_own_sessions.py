"""One's own logins: listed with where they came from, and ended one by one."""

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from chronos_common.storage.tables import refresh_tokens
from integration.api.callers import Caller

PASSWORD = "a long enough password"


@pytest.fixture
def email(nobody: Caller) -> str:
    address = f"{uuid4()}@example.com"
    made = nobody.post("auth/register", {"email": address, "password": PASSWORD})
    assert made.status_code == 201, made.text
    return address


def log_in(app: Flask, email: str, program: str) -> Caller:
    answer = app.test_client().post(
        "/api/v1/auth/login",
        json={"email": email, "password": PASSWORD},
        headers={"User-Agent": program},
    )
    assert answer.status_code == 200, answer.text
    return Caller(app, answer.json["access_token"])


def test_a_login_is_listed_with_its_program_and_ended_alone(app: Flask, email: str) -> None:
    phone, laptop = log_in(app, email, "Phone/1.0"), log_in(app, email, f"Laptop\t{'x' * 400}")
    listed = laptop.get("auth/sessions").json["items"]
    programs = [each["user_agent"] for each in listed]
    assert programs[1] == "Phone/1.0"
    assert programs[0].startswith("Laptop")
    assert len(programs[0]) <= 300
    assert [each["is_current"] for each in listed] == [True, False, False]
    assert {each["address"] for each in listed} == {"127.0.0.1"}
    assert laptop.delete(f"auth/sessions/{listed[1]['id']}").status_code == 204
    assert phone.get("auth/me").status_code == 401
    assert laptop.get("auth/me").status_code == 200
    assert len(laptop.get("auth/sessions").json["items"]) == 2
    assert laptop.delete(f"auth/sessions/{listed[1]['id']}").status_code == 404


def test_a_refresh_says_from_where_the_login_is_used_now(app: Flask, email: str) -> None:
    client = app.test_client()
    body = {"email": email, "password": PASSWORD}
    login = client.post("/api/v1/auth/login", json=body, headers={"User-Agent": "Old"}).json
    renewed = client.post(
        "/api/v1/auth/refresh",
        json={"refresh_token": login["refresh_token"]},
        headers={"User-Agent": "New"},
    ).json
    listed = Caller(app, renewed["access_token"]).get("auth/sessions").json["items"]
    (current,) = [each for each in listed if each["is_current"]]
    assert current["user_agent"] == "New"
    assert current["last_used_at"] > current["started_at"]


def test_nobody_ends_or_sees_the_login_of_somebody_else(caller: Caller, stranger: Caller) -> None:
    (mine,) = caller.get("auth/sessions").json["items"]
    assert stranger.delete(f"auth/sessions/{mine['id']}").status_code == 404
    assert mine["id"] not in str(stranger.get("auth/sessions").json)
    assert caller.get("auth/me").status_code == 200


def test_a_login_that_has_expired_is_not_listed(caller: Caller, db: Engine) -> None:
    with db.begin() as connection:
        rows = update(refresh_tokens).where(refresh_tokens.c.user_id == caller.user_id)
        connection.execute(rows.values(expires_at=refresh_tokens.c.issued_at))
    assert caller.get("auth/sessions").json["items"] == []
