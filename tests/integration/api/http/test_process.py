"""``chronos api`` as a process: what only a real server shows."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import Engine

from child_processes import inherited_environment
from chronos_api import server as server_module
from chronos_common import clock
from chronos_common.embedded.servers.servers import Servers
from integration.api.callers import Caller, job
from rigs import wait_until

_CLI = "from chronos_common import cli; cli.main()"
SECRET_KEY = "a key of the tests, with 32 bytes or more"


class Server:
    """A running ``chronos api``."""

    def __init__(self, environment: dict[str, str], log: Path, code: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"{code}\n{_CLI}", "api"],
                env=environment | {"CHRONOS_API_PORT": str(self.port)},
                stderr=output,
            )

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return requests.get(f"{self.url}/health", timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    def speak(self, request: bytes) -> bytes:
        """Send bytes as they are, and return the whole answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def environment(api_database_url: str, servers: Servers) -> dict[str, str]:
    return inherited_environment() | {
        "CHRONOS_DATABASE_URL": api_database_url,
        "CHRONOS_REDIS_URL": servers.redis_url,
        "CHRONOS_SECRET_KEY": SECRET_KEY,
        "CHRONOS_API_THREADS": "4",
        "CHRONOS_RATE_LIMIT": "1000000 per minute",
    }


@pytest.fixture(scope="module")
def server(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(environment, tmp_path_factory.mktemp("api") / "api.log")
    try:
        wait_until(server.is_up, within=60)
        yield server
        assert server.stop() == 0, server.log.read_text()
    finally:
        server.process.kill()
        server.process.wait()


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
    environment: dict[str, str], tmp_path: Path
) -> None:
    sleeping = "from chronos_api import server; server._REST_SECONDS = 3600"
    killed = Server(environment, tmp_path / "api.log", sleeping)
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
