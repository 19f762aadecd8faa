"""``chronos api`` as a process: what only a real server shows."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import Engine

from chronos_api.server import server as server_module
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from integration.api.api_process import Server, environment
from integration.api.callers import Caller, job
from rigs import wait_until

pytestmark = pytest.mark.xdist_group("api-process")


@pytest.fixture
def headers(caller: Caller) -> dict[str, str]:
    return {"Authorization": f"Bearer {caller.token}", "Content-Type": "application/json"}


def test_a_job_is_created_through_the_wire(server: Server, headers: dict[str, str]) -> None:
    answer = requests.post(f"{server.url}/api/v1/jobs", json=job(), headers=headers, timeout=10)
    assert answer.status_code == 201
    found = requests.get(server.url + answer.headers["Location"], headers=headers, timeout=10)
    assert found.json()["name"] == "Ping"
    assert "gunicorn" not in str(answer.headers).lower()


@pytest.mark.parametrize("size", [2 << 20, 20 << 20])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_gets_its_answer(
    server: Server, headers: dict[str, str], size: int, *, chunked: bool
) -> None:
    body = b'{"name": "' + b"x" * size + b'"}'
    content = (body[start : start + 65536] for start in range(0, size, 65536)) if chunked else body
    answer = requests.post(f"{server.url}/api/v1/jobs", data=content, headers=headers, timeout=30)
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_body_in_chunks_is_read(server: Server, headers: dict[str, str]) -> None:
    content = json.dumps(job()).encode()
    pieces = (content[start : start + 10] for start in range(0, len(content), 10))
    answer = requests.post(f"{server.url}/api/v1/jobs", data=pieces, headers=headers, timeout=10)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: b\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 200 + b"\r\n", b"431"),
        (
            b"GET / HTTP/1.1\r\nHost:a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400",
        ),
    ],
)
def test_what_is_not_http_gets_a_problem(server: Server, request_: bytes, status: bytes) -> None:
    head, _, body = server.speak(request_).partition(b"\r\n\r\n")
    assert head.split()[1] == status
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == int(status)


def test_many_requests_at_once_are_all_answered(server: Server, headers: dict[str, str]) -> None:
    def ask(_: int) -> int:
        return requests.get(f"{server.url}/api/v1/jobs", headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(ask, range(64))) == {200}


def test_a_connection_that_broke_in_the_pool_is_not_noticed(
    server: Server, headers: dict[str, str], db: Engine
) -> None:
    def status() -> int:
        return requests.get(f"{server.url}/api/v1/jobs", headers=headers, timeout=30).status_code

    assert status() == 200
    with db.begin() as connection:
        # With a time-out it waits for their end: it only asks for it otherwise.
        ended = connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'chronos-api' AND datname = current_database()"
        ).scalars()
        assert set(ended) == {True}
    assert status() == 200


def test_each_request_is_one_line_of_the_log(server: Server, headers: dict[str, str]) -> None:
    sent = headers | {"X-Request-ID": "find-me"}
    requests.get(f"{server.url}/api/v1/auth/me", headers=sent, timeout=10)
    wait_until(lambda: "find-me" in server.log.read_text(), within=5)
    (line,) = [
        json.loads(each) for each in server.log.read_text().splitlines() if "find-me" in each
    ]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/auth/me", 200)
    assert "Bearer" not in server.log.read_text()


def test_metrics_have_a_port_of_their_own_that_shows_nothing_else(server: Server) -> None:
    def status(url: str) -> int:
        return requests.get(url, timeout=10).status_code

    shown = requests.get(f"{server.metrics_url}/metrics", timeout=10).text
    assert 'chronos_up{service="database"} 1.0' in shown
    assert status(f"{server.metrics_url}/health") == 200
    assert {status(server.metrics_url + path) for path in ("/docs", "/api/v1/jobs", "/ui/")} == {
        404
    }
    refused = requests.get(f"{server.url}/metrics", timeout=10)
    assert refused.status_code == 404
    assert "CHRONOS_METRICS_PORT" in refused.json()["detail"]


def test_the_clock_follows_the_database(db: Engine) -> None:
    try:
        clock.correct_by(timedelta(hours=1))
        follower = server_module.Clock(db)
        follower.tick()
        assert abs(clock.now() - clock.host_now()) < timedelta(seconds=5)
        # While nobody asks the database for anything, it is not asked for its clock either.
        clock.correct_by(timedelta(hours=1))
        follower.tick()
        assert clock.now() - clock.host_now() > timedelta(minutes=59)
        with db.connect():
            pass
        follower.tick()
        assert abs(clock.now() - clock.host_now()) < timedelta(seconds=5)
    finally:
        clock.correct_by(timedelta(0))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals the death of a parent")
def test_processes_of_a_killed_server_end_though_they_sleep(
    api_database_url: str, servers: Servers, tmp_path: Path
) -> None:
    sleeping = "from chronos_api.server import worker; worker.REST_SECONDS = 3600"
    url, redis_url = api_database_url, servers.redis_url
    killed = Server(environment(url, redis_url), tmp_path / "api.log", sleeping)
    try:
        wait_until(killed.is_up, within=60)
        children = psutil.Process(killed.process.pid).children()
        assert children
    finally:
        killed.process.kill()
        killed.process.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    for each in alive:
        each.kill()
    assert not alive
