"""Accounts and logins."""

import base64
from datetime import timedelta
from unittest.mock import Mock

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select

from chronos_api import context
from chronos_api.app import create_app
from chronos_api.security import tokens
from chronos_common import clock, ids
from chronos_common.embedded.servers.servers import Servers
from chronos_common.storage.tables import refresh_tokens, users
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, errors_of
from rigs import wait_until

PASSWORD = "SecurePass123!"


@pytest.fixture
def email() -> str:
    return f"User.{ids.new_id(clock.now())}@Example.com"


def logged_in(nobody: Caller, email: str) -> Caller:
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD})
    assert answer.status_code == 201
    return Caller(nobody.app, answer.json["access_token"])


def test_registering_makes_an_account_with_a_workspace_and_logs_in(
    nobody: Caller, email: str
) -> None:
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD})
    assert answer.status_code == 201
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 900)
    assert answer.json["user"]["email"] == email
    me = Caller(nobody.app, answer.json["access_token"]).get("auth/me").json
    assert me["user"] == answer.json["user"]
    assert me["workspace"]["role"] == "owner"
    prefix, _, secret = me["workspace"]["signing_secret"].partition("_")
    assert prefix == "whsec"
    assert len(base64.b64decode(secret)) == 32


def test_a_password_is_stored_as_argon2id(nobody: Caller, email: str, db: Engine) -> None:
    logged_in(nobody, email)
    with db.connect() as connection:
        query = select(users.c.password_hash).where(users.c.email == email)
        assert connection.execute(query).scalar_one().startswith("$argon2id$")


def test_an_address_has_one_account_in_whatever_case(nobody: Caller, email: str) -> None:
    logged_in(nobody, email)
    again = nobody.post("auth/register", {"email": email.lower(), "password": PASSWORD})
    assert again.status_code == 409
    login = nobody.post("auth/login", {"email": email.upper(), "password": PASSWORD})
    assert login.status_code == 200


def test_an_address_has_one_account_however_its_domain_is_written(nobody: Caller) -> None:
    local = f"u{ids.new_id(clock.now())}"
    made = nobody.post("auth/register", {"email": f"{local}@Bücher.example", "password": PASSWORD})
    assert made.json["user"]["email"] == f"{local}@xn--bcher-kva.example"
    for domain in ("bücher.EXAMPLE", "XN--BCHER-KVA.example", "bu\u0308cher。example"):
        body = {"email": f"{local}@{domain}", "password": PASSWORD}
        assert nobody.post("auth/register", body).status_code == 409
        assert nobody.post("auth/login", body).status_code == 200
    refused = nobody.post("auth/register", {"email": f"ü@{domain}", "password": PASSWORD})
    assert "before the @" in errors_of(refused)["email"]


def test_a_wrong_login_does_not_tell_what_was_wrong(nobody: Caller, email: str) -> None:
    logged_in(nobody, email)
    wrong = nobody.post("auth/login", {"email": email, "password": "SecurePass123?"})
    unknown = nobody.post("auth/login", {"email": f"x{email}", "password": PASSWORD})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json["detail"] == unknown.json["detail"]


def test_an_unknown_address_costs_a_hash_too(
    nobody: Caller, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured by what is computed: clock times prove nothing on a busy machine."""
    compared: list[str] = []

    class Spy:
        def verify(self, stored: str, _password: str) -> bool:
            compared.append(stored)
            return True

    monkeypatch.setattr("chronos_api.security.password_hashing._hasher", Spy())
    answer = nobody.post("auth/login", {"email": email, "password": PASSWORD})
    assert answer.status_code == 401
    assert [stored.startswith("$argon2id$") for stored in compared] == [True]


def test_a_disabled_account_is_out_at_once(nobody: Caller, email: str, db: Engine) -> None:
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD}).json
    caller = Caller(nobody.app, answer["access_token"])
    with db.begin() as connection:
        connection.execute(
            users.update().where(users.c.email == email).values(disabled_at=clock.now())
        )
    assert caller.get("auth/me").status_code == 401
    refresh = nobody.post("auth/refresh", {"refresh_token": answer["refresh_token"]})
    assert refresh.status_code == 401
    login = nobody.post("auth/login", {"email": email, "password": PASSWORD})
    assert login.status_code == 401


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"email", "password"}),
        ({"email": "nobody", "password": PASSWORD}, {"email"}),
        ({"email": "a@example.com\r\nBcc: b@example.com", "password": PASSWORD}, {"email"}),
        ({"email": "a" * 250 + "@example.com", "password": PASSWORD}, {"email"}),
        ({"email": "a@example.com", "password": "short"}, {"password"}),
        ({"email": "a@example.com", "password": "x" * 129}, {"password"}),
        ({"email": "a@example.com", "password": "NUL\x00NUL\x00"}, {"password"}),
        ({"email": 1, "password": None, "role": "owner"}, {"email", "password", "role"}),
    ],
)
def test_a_wrong_registration_names_its_fields(
    nobody: Caller, body: dict[str, object], wrong: set[str]
) -> None:
    assert errors_of(nobody.post("auth/register", body)).keys() == wrong


def test_registration_can_be_closed(db: Engine, servers: Servers) -> None:
    url = db.url.render_as_string(hide_password=False)
    closed = create_app(settings_for(url, servers.redis_url, registration_open=False), db)
    answer = Caller(closed).post(
        "auth/register", {"email": "late@example.com", "password": PASSWORD}
    )
    assert answer.status_code == 403


def test_refreshing_gives_new_tokens_of_the_same_login(nobody: Caller, email: str) -> None:
    first = nobody.post("auth/register", {"email": email, "password": PASSWORD}).json
    second = nobody.post("auth/refresh", {"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    assert second.json["refresh_token"] != first["refresh_token"]
    for answer in (first, second.json):
        assert Caller(nobody.app, answer["access_token"]).get("auth/me").status_code == 200


def test_using_a_refresh_token_twice_ends_the_login(nobody: Caller, email: str) -> None:
    stolen = nobody.post("auth/register", {"email": email, "password": PASSWORD}).json
    other_login = nobody.post("auth/login", {"email": email, "password": PASSWORD}).json
    thief = nobody.post("auth/refresh", {"refresh_token": stolen["refresh_token"]}).json
    owner = nobody.post("auth/refresh", {"refresh_token": stolen["refresh_token"]})
    assert owner.status_code == 401
    again = nobody.post("auth/refresh", {"refresh_token": thief["refresh_token"]})
    assert again.status_code == 401
    for answer in (stolen, thief):
        assert Caller(nobody.app, answer["access_token"]).get("auth/me").status_code == 401
    assert Caller(nobody.app, other_login["access_token"]).get("auth/me").status_code == 200


def test_a_login_keeps_few_tokens_however_often_it_is_refreshed(
    nobody: Caller, email: str, db: Engine
) -> None:
    """Every request of the login reads them all."""
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD}).json
    early = answer = nobody.post("auth/refresh", {"refresh_token": answer["refresh_token"]}).json
    for _ in range(4):
        answer = nobody.post("auth/refresh", {"refresh_token": answer["refresh_token"]}).json
    with nobody.app.app_context():
        family_id = tokens.read(answer["refresh_token"], tokens.REFRESH).family_id
    with db.connect() as connection:
        kept = connection.execute(
            select(func.count()).where(refresh_tokens.c.family_id == family_id)
        ).scalar_one()
    assert kept == 3
    thief = nobody.post("auth/refresh", {"refresh_token": early["refresh_token"]})
    assert thief.status_code == 401
    ended = nobody.post("auth/refresh", {"refresh_token": answer["refresh_token"]})
    assert ended.status_code == 401


def test_a_token_stored_while_its_login_was_ended_does_not_refresh(
    nobody: Caller, email: str, db: Engine
) -> None:
    """A rotation that ran beside a logout leaves a token that is not marked itself."""
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD}).json
    with nobody.app.app_context():
        claims = tokens.read(answer["refresh_token"], tokens.REFRESH)
    Caller(nobody.app, answer["access_token"]).post("auth/logout")
    late = ids.new_id(clock.now())
    with db.begin() as connection:
        connection.execute(
            refresh_tokens.insert().values(
                id=late,
                user_id=claims.user_id,
                family_id=claims.family_id,
                issued_at=clock.now(),
                expires_at=clock.now() + timedelta(days=1),
            )
        )
    with nobody.app.app_context():
        token = tokens.refresh_token(late, claims.user_id, claims.family_id)
    assert nobody.post("auth/refresh", {"refresh_token": token}).status_code == 401


def test_logging_out_refuses_the_access_token_at_once(nobody: Caller, email: str) -> None:
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD}).json
    caller = Caller(nobody.app, answer["access_token"])
    assert caller.post("auth/logout").status_code == 204
    assert caller.get("auth/me").status_code == 401
    assert caller.post("auth/logout").status_code == 401
    refresh = nobody.post("auth/refresh", {"refresh_token": answer["refresh_token"]})
    assert refresh.status_code == 401


def test_a_token_serves_only_its_own_purpose(nobody: Caller, email: str) -> None:
    answer = nobody.post("auth/register", {"email": email, "password": PASSWORD}).json
    assert Caller(nobody.app, answer["refresh_token"]).get("auth/me").status_code == 401
    refresh = nobody.post("auth/refresh", {"refresh_token": answer["access_token"]})
    assert refresh.status_code == 401


def test_tokens_that_are_not_ours_are_refused(nobody: Caller, caller: Caller, app: Flask) -> None:
    assert caller.token is not None
    head, body, signature = caller.token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    for token in (
        "",
        "x",
        "a.b.c",
        f"{head}.{body}.",
        f"{none}.{body}.",
        f"{head}.{body}.{signature[::-1]}",
    ):
        answer = Caller(app, token or "%").get("auth/me")
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for header in ("", "Bearer", "Bearer  ", "Basic dTpw", f"Token {caller.token}", "Bearer é"):
        assert nobody.get("auth/me", headers={"Authorization": header}).status_code == 401
    lower = {"Authorization": f"bearer {caller.token}"}
    assert nobody.get("auth/me", headers=lower).status_code == 200


def _lasting(caller: Caller, lifetime: timedelta) -> Caller:
    """Return the caller with a token whose end is so far away; ten seconds more are allowed."""
    brief = create_app(context.of(caller.app).settings, context.of(caller.app).engine)
    brief.config["JWT_ACCESS_TOKEN_EXPIRES"] = lifetime
    with caller.app.app_context():
        claims = tokens.read(str(caller.token), tokens.ACCESS)
    with brief.app_context():
        return Caller(caller.app, tokens.access_token(claims.user_id, claims.family_id))


def test_an_expired_token_is_refused(caller: Caller) -> None:
    assert _lasting(caller, timedelta(minutes=-1)).get("auth/me").status_code == 401


def test_a_token_that_was_accepted_is_refused_once_it_expires(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was verified is remembered, but not for longer than it holds."""
    decode = Mock(side_effect=tokens.decode_token)
    monkeypatch.setattr(tokens, "decode_token", decode)
    brief = _lasting(caller, timedelta(seconds=-6))
    decode.reset_mock()
    for _ in range(2):
        assert brief.get("auth/me").status_code == 200
    wait_until(lambda: brief.get("auth/me").status_code == 401)
    assert decode.call_count == 1


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\x00", "x" * 5000])
def test_a_wrong_refresh_token_is_refused(nobody: Caller, token: str) -> None:
    assert nobody.post("auth/refresh", {"refresh_token": token}).status_code in {401, 422}
