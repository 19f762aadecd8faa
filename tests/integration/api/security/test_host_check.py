"""A foreign name that leads to this server gets no answer from it."""

import pytest
from flask import Flask
from sqlalchemy import Engine

from chronos_api.app import create_app
from chronos_common.embedded.servers.servers import Servers
from integration.api.api_settings import settings_for
from integration.api.callers import Caller

ALLOWED = {"api_host": "bound.internal", "public_url": "https://Bücher.example:8443/chronos"}


@pytest.fixture(scope="module")
def guarded(db: Engine, servers: Servers) -> Flask:
    url = db.url.render_as_string(hide_password=False)
    given = ALLOWED | {"allowed_hosts": ("api", "chronos.internal")}
    return create_app(settings_for(url, servers.redis_url, **given), db)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.:8230",
        "127.0.0.1:8080",
        "10.1.2.3",
        "[::1]",
        "[2001:db8::1]:8080",
        "bound.internal:80",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.EXAMPLE:443",
        "api:8080",
        "chronos.internal",
    ],
)
def test_a_name_of_this_server_is_answered(guarded: Flask, host: str) -> None:
    assert Caller(guarded).get("/docs", headers={"Host": host}).status_code == 200


FOREIGN = [
    "evil.example",
    "evil.example:8230",
    "localhost.evil.example",
    "evil.example.localhost.",
    "api.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "evil.example#localhost",
    "localhost:80:80",
    "[::1].evil.example",
    "[::1",
    "[]",
    "0x7f000001",
    "1.2.3",
    "localhost, evil.example",
    "local host",
    "",
    "x" * 5000,
]


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/docs", "/metrics", "/api/v1/auth/register", "/nothing"])
def test_a_foreign_name_is_refused(guarded: Flask, host: str, path: str) -> None:
    answer = Caller(guarded).get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json["type"] == "/docs#problem-misdirected"
    assert "CHRONOS_ALLOWED_HOSTS" in answer.json["detail"]
    assert len(answer.data) < 1000


def test_a_foreign_page_cannot_register(guarded: Flask) -> None:
    foreign = {"Host": "evil.example:8230", "Origin": "http://evil.example:8230"}
    account = {"email": "rebound@example.com", "password": "SecurePass123!"}
    answer = Caller(guarded).post("auth/register", account, headers=foreign)
    assert answer.status_code == 421


@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
def test_a_load_balancer_asks_for_the_health_by_any_name(guarded: Flask, path: str) -> None:
    assert Caller(guarded).get(path, headers={"Host": "lb.example"}).status_code == 200


def test_an_operator_may_allow_every_name(db: Engine, servers: Servers) -> None:
    url = db.url.render_as_string(hide_password=False)
    app = create_app(settings_for(url, servers.redis_url, allowed_hosts=("*",)), db)
    assert Caller(app).get("/docs", headers={"Host": "evil.example"}).status_code == 200
