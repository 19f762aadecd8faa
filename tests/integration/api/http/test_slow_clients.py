"""Clients that are slow, or that never read, cost nobody else anything."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from uuid import uuid4

import pytest
import requests

from chronos_common.embedded.servers.servers import Servers
from chronos_common.process import startup
from integration.api.api_process import Server, serving
from rigs import wait_until

#: Of each kind. Together they are 1,200.
CLIENTS = 200
#: A request behind 1,200 slow clients takes a few milliseconds. One that waits for any of them
#: takes as long as they like, 20 s at least. A login takes a part of a second of the processor.
SECONDS = 15

POST = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
KINDS = {
    "silent": b"",
    "slow head": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "slow body": POST + b"Content-Length: 100000\r\n\r\n{",
    "slow chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n10000\r\n{",
    "unread answers": b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 40,
    "never closed": b"GET /health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
}
#: These send a byte now and then, which must not keep them for longer.
DRIPPING = {"slow head", "slow body", "slow chunk"}


@pytest.fixture(scope="module")
def server(
    api_database_url: str, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One process, which has all of the clients."""
    folder = tmp_path_factory.mktemp("api")
    url, redis_url = api_database_url, servers.redis_url
    with serving(url, redis_url, folder, CHRONOS_API_WORKERS="1") as running:
        yield running


def connect(server: Server) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(SECONDS)
    client.connect(("127.0.0.1", server.port))
    return client


class SlowClients:
    """Many clients of each kind."""

    def __init__(self, server: Server, clients: int) -> None:
        startup.raise_file_limit()
        self._stack = ExitStack()
        self.sockets = {
            kind: [self._stack.enter_context(connect(server)) for _ in range(clients)]
            for kind in KINDS
        }
        for kind, sent in KINDS.items():
            for each in self.sockets[kind]:
                each.sendall(sent)

    def drip(self) -> None:
        for kind in DRIPPING:
            for each in self.sockets[kind]:
                with suppress(OSError):  # Given up, as it should be.
                    each.send(b" ")

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def slow(server: Server) -> Iterator[SlowClients]:
    clients = SlowClients(server, CLIENTS)
    yield clients
    clients.close()


def is_closed(client: socket.socket) -> bool:
    """Read what there is, and return whether the server has closed the connection."""
    client.settimeout(0)
    try:
        while client.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    return True


def login(server: Server) -> int:
    account = {"email": f"{uuid4()}@example.com", "password": "not the password"}
    url = f"{server.url}/api/v1/auth/login"
    return requests.post(url, json=account, timeout=SECONDS).status_code


def test_a_thousand_slow_clients_delay_nobody(server: Server, slow: SlowClients) -> None:
    for _ in range(10):
        slow.drip()
        assert requests.get(f"{server.url}/health", timeout=SECONDS).status_code == 200
        assert login(server) == 401
    assert "Traceback" not in server.log.read_text()


def test_slow_clients_are_given_up(server: Server) -> None:
    whole = requests.get(f"{server.url}/openapi.json", timeout=SECONDS).content
    slow = SlowClients(server, 2)
    try:
        # The answers that nobody reads fill the buffers of both sides, so they are not read here.
        left = {kind: list(each) for kind, each in slow.sockets.items() if kind[0] != "u"}

        def are_closed() -> bool:
            slow.drip()
            for kind, clients in left.items():
                left[kind] = [each for each in clients if not is_closed(each)]
            return not any(left.values())

        wait_until(are_closed, within=120, every=1)
        for unread in slow.sockets["unread answers"]:
            unread.settimeout(SECONDS)
            received = 0
            while part := unread.recv(65536):
                received += len(part)
            assert received < 40 * len(whole)
    finally:
        slow.close()


def pieces(content: bytes, size: int, pause: float) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
        time.sleep(pause)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_slow_and_honest_request_is_answered(server: Server, framing: str) -> None:
    body = b'{"email": "a@example.com", "password": "' + b"x" * 2000 + b'"}'
    if framing == "length":
        request = POST + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    else:
        chunks = b"".join(b"%X\r\n%b\r\n" % (len(each), each) for each in pieces(body, 99, 0))
        request = POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    with connect(server) as client:
        for piece in pieces(request, 50, 0.02):
            client.sendall(piece)
        assert client.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_a_slow_and_honest_reader_gets_the_whole_answer(server: Server) -> None:
    whole = requests.get(f"{server.url}/openapi.json", timeout=SECONDS).content
    with connect(server) as client:
        client.sendall(
            b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        received = b""
        while part := client.recv(8192):
            received += part
            time.sleep(0.005)
    assert received.endswith(whole)


def test_a_client_that_waits_for_continue_is_told_to_go_on(server: Server) -> None:
    with connect(server) as client:
        client.sendall(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_pipelined_requests_are_answered_in_turn(server: Server) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with connect(server) as client:
        client.sendall(request * 100 + request.replace(b"1.1", b"1.0"))
        received = b""
        while part := client.recv(65536):
            received += part
    assert received.count(b" 200 OK\r\n") == 101


def test_a_client_that_closed_its_side_gets_its_answer(server: Server) -> None:
    assert b" 200 OK" in server.speak(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


def test_the_oldest_of_too_many_connections_gives_way(server: Server) -> None:
    """The process has room for 2,000 connections. One client cannot take it from the others."""
    startup.raise_file_limit()
    with ExitStack() as stack:
        first = stack.enter_context(connect(server))
        first.sendall(KINDS["slow head"])
        for _ in range(2100):
            stack.enter_context(connect(server))
        assert requests.get(f"{server.url}/health", timeout=SECONDS).status_code == 200
        wait_until(lambda: is_closed(first), within=10)
