"""The operator of an installation, and its accounts."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import Engine, update

import chronos_api.context
import factories
from chronos_api.accounts.command import admin
from chronos_api.accounts.service import EmailTaken
from chronos_api.app import create_app
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from chronos_common.errors import Invalid
from chronos_common.storage import workers
from chronos_common.storage.postgres.database import connect
from chronos_common.storage.tables import users
from integration.api.api_settings import settings_for
from integration.api.callers import Caller, register

PASSWORD = "SecurePass123!"


@pytest.fixture
def empty(
    new_database: Callable[[], AbstractContextManager[str]], servers: Servers
) -> Iterator[Caller]:
    """Nobody, at an installation without accounts."""
    with new_database() as url:
        engine = connect(url, name="test-admin", pool_size=10)
        yield Caller(create_app(settings_for(url, servers.redis_url), engine))
        engine.dispose()


@pytest.fixture
def operator(app: Flask, db: Engine) -> Caller:
    """An operator of the installation that the tests share."""
    caller = register(app, db)
    with db.begin() as connection:
        query = update(users).where(users.c.id == caller.user_id)
        connection.execute(query.values(is_operator=True))
    return caller


def test_the_first_account_is_the_operator_and_no_other(empty: Caller) -> None:
    accounts = [{"email": f"{uuid4()}@example.com", "password": PASSWORD} for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda each: empty.post("auth/register", each), accounts))
    assert [each.status_code for each in answers] == [201] * 4
    assert sum(each.json["user"]["is_operator"] for each in answers) == 1


def test_where_others_reach_the_api_the_first_account_is_no_operator(
    empty: Caller,
) -> None:
    context = chronos_api.context.of(empty.app)
    settings = replace(context.settings, api_host="0.0.0.0", registration_open=True)  # noqa: S104
    reached = Caller(create_app(settings, context.engine))
    answer = reached.post("auth/register", {"email": "a@example.com", "password": PASSWORD})
    assert answer.json["user"]["is_operator"] is False


def test_the_command_makes_an_operator_also_where_registration_is_closed(
    empty: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = chronos_api.context.of(empty.app).engine
    url = engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("CHRONOS_DATABASE_URL", url)
    monkeypatch.setenv("CHRONOS_REGISTRATION_OPEN", "false")
    words = ["create", "Admin@example.com", "--password-file", "-"]
    made = CliRunner().invoke(admin, words, input=f"{PASSWORD}\n", catch_exceptions=False)
    assert made.output.startswith("Admin@example.com is an operator now.")
    account = {"email": "admin@example.com", "password": PASSWORD}
    user = empty.post("auth/login", account).json["user"]
    assert (user["is_operator"], user["email_verified"]) == (True, True)
    again = CliRunner().invoke(admin, words, input=f"{PASSWORD}\n")
    assert isinstance(again.exception, EmailTaken)
    for refused in ["short", "Password123!"]:
        wrong = CliRunner().invoke(admin, words, input=f"{refused}\n")
        assert isinstance(wrong.exception, Invalid)
        assert wrong.exception.fields.keys() == {"password"}


def test_disabling_an_account_ends_its_logins_and_keys_at_once(
    operator: Caller, nobody: Caller
) -> None:
    account = {"email": f"{uuid4()}@example.com", "password": PASSWORD}
    made = nobody.post("auth/register", account).json
    caller = Caller(nobody.app, made["access_token"])
    key = caller.post("keys", {"name": "CI", "scopes": ["jobs:read"]}).json["key"]
    program = Caller(nobody.app, key)
    assert program.get("jobs").status_code == 200

    user_id = made["user"]["id"]
    disabled = operator.post(f"admin/accounts/{user_id}/disable")
    assert disabled.status_code == 200
    assert disabled.json["disabled_at"] is not None
    assert caller.get("auth/me").status_code == program.get("jobs").status_code == 401
    assert nobody.post("auth/login", account).status_code == 401
    refresh = {"refresh_token": made["refresh_token"]}
    assert nobody.post("auth/refresh", refresh).status_code == 401

    enabled = operator.post(f"admin/accounts/{user_id}/enable")
    assert enabled.json["disabled_at"] is None
    # Logins ended for good; keys were only refused meanwhile.
    assert caller.get("auth/me").status_code == 401
    assert nobody.post("auth/refresh", refresh).status_code == 401
    assert nobody.post("auth/login", account).status_code == 200
    assert program.get("jobs").status_code == 200
    noted = operator.get(f"admin/audit?subject_id={user_id}").json["items"]
    assert [each["action"] for each in noted] == ["account.enable", "account.disable"]
    assert noted[0]["user_id"] == str(operator.user_id)
    # That is not the business of a workspace.
    assert operator.get("audit").json["total"] == 0


def test_an_operator_does_not_lock_themselves_out(operator: Caller) -> None:
    assert operator.post(f"admin/accounts/{operator.user_id}/disable").status_code == 409
    assert operator.post(f"admin/accounts/{uuid4()}/disable").status_code == 404
    assert operator.post(f"admin/accounts/{uuid4()}/enable").status_code == 404


def test_accounts_are_listed_and_searched(operator: Caller, app: Flask, db: Engine) -> None:
    marked = [register(app, db) for _ in range(3)]
    mark = uuid4().hex
    with db.begin() as connection:
        for number, each in enumerate(marked):
            query = update(users).where(users.c.id == each.user_id)
            connection.execute(query.values(email=f"{number}_%{mark}@example.com"))
    first = operator.get(f"admin/accounts?search=_%25{mark.upper()}&limit=2").json
    assert (first["total"], len(first["items"])) == (3, 2)
    cursor = first["next_cursor"]
    second = operator.get(f"admin/accounts?search={mark}&limit=2&cursor={cursor}").json
    found = [each["id"] for page in (first, second) for each in page["items"]]
    assert found == [str(each.user_id) for each in marked]
    assert operator.get(f"admin/accounts?search=x%25{mark}").json["total"] == 0


def test_an_operator_sees_the_processes_and_queues(operator: Caller, db: Engine) -> None:
    now = clock.now()
    with db.begin() as connection:
        alive = factories.worker(connection, now=now)
        lost = factories.worker(connection, now=now, silent_for=timedelta(minutes=5))
    found = operator.get("admin/processes").json
    states = {each["id"]: (each["kind"], each["alive"]) for each in found["items"]}
    assert states[str(alive)] == ("worker", True)
    assert states[str(lost)] == ("worker", False)
    assert {"webhooks", "emails"} <= {each["name"] for each in found["queues"]}
    with db.begin() as connection:
        for each in (alive, lost):
            workers.remove(connection, each)
