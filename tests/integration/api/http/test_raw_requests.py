"""Bytes that are no good HTTP are the client's error, whatever they are."""

import json
import random

import pytest

from integration.api.api_process import Server

pytestmark = pytest.mark.xdist_group("api-process")

HEAD = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"

METRICS = GET.replace(b"health", b"metrics")

WRONG = {
    "a negative chunk": CHUNKED + b"-2\r\nxx\r\n0\r\n\r\n",
    "a negative chunk later": CHUNKED + b"1\r\n{\r\n-2\r\n}\r\n0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk size with an underscore": CHUNKED + b"1_0\r\n{}\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk that is longer": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    "a chunk size without an end": CHUNKED + b"2" * 9000,
    "an endless extension": CHUNKED + b"2;" + b"x" * 9000 + b"\r\n{}\r\n0\r\n\r\n",
    "a wrong extension": CHUNKED + b"2;\x00\r\n{}\r\n0\r\n\r\n",
    "a wrong trailer": CHUNKED + b"2\r\n{}\r\n0\r\nno trailer\r\n\r\n",
    "a forbidden trailer": CHUNKED + b"2\r\n{}\r\n0\r\nHost: a\r\n\r\n",
    "a large body": HEAD + b"Content-Length: 1048577\r\n\r\n{",
    "a large chunk": CHUNKED + b"100001\r\n{",
    "a huge chunk": CHUNKED + b"2\r\n{}\r\n" + b"f" * 15 + b"\r\n{",
    "an impossible chunk": CHUNKED + b"f" * 16 + b"\r\n{",
    "very many chunks": CHUNKED + b"1\r\n \r\n" * 30_000 + b"0\r\n\r\n",
    "two framings": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "a negative length": HEAD + b"Content-Length: -2\r\n\r\n{}",
    "a length in other digits": HEAD + "Content-Length: ²\r\n\r\n{}".encode("latin-1"),
    "a huge length": HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    "not chunked at last": HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}",
    "a variable of the server": METRICS + b"SCRIPT_NAME: /metrics\r\n\r\n",
    "another path": GET + b"SCRIPT_NAME: /other\r\n\r\n",
    "the path as a header": GET + b"PATH_INFO: /metrics\r\n\r\n",
    "a header with an underscore": GET + b"X_Forwarded_For: 10.0.0.1\r\n\r\n",
    "an endless line": b"GET /" + b"x" * 100_000,
    "an endless head": GET + b"X-Long: " + b"x" * 100_000,
    "bare line feeds": GET.replace(b"\r\n", b"\n") + b"\n",
    "a bare line feed in a header": GET + b"X-A: b\nX-C: d\r\n\r\n",
    "a NUL in a header": GET + b"X-A: \x00\r\n\r\n",
    "an escape in a header": GET + b"X-A: \x1b[31m\r\n\r\n",
    "a folded header": GET + b"X-A: b\r\n c\r\n\r\n",
    "a header without a colon": GET + b"X-A\r\n\r\n",
    "an empty name": GET + b": b\r\n\r\n",
    "two hosts": GET + b"Host: 127.0.0.1\r\n\r\n",
    "a path in Latin-1": b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "empty lines first": b"\r\n\r\n" + GET + b"\r\n",
    "a greeting of TLS": bytes.fromhex("16030100a5010000a10303") + b"\n" * 9,
    "a preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a wrong expectation of a proxy": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n" + GET + b"\r\n",
}


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("sent", WRONG.values(), ids=WRONG.keys())
def test_wrong_bytes_are_refused_with_a_problem(server: Server, sent: bytes) -> None:
    head, _, body = server.speak(sent).partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert 400 <= problem["status"] < 500 or problem["status"] == 501
    assert status_of(head) == problem["status"]
    assert b"application/problem+json" in head


@pytest.mark.parametrize("scheme", [b"X-Forwarded-Proto: https", b"X-Forwarded-Ssl: on"])
def test_headers_of_a_proxy_that_is_not_trusted_change_nothing(
    server: Server, scheme: bytes
) -> None:
    answer = server.speak(GET.replace(b"/health", b"/") + scheme + b"\r\n\r\n")
    assert b"https" not in answer.partition(b"\r\n\r\n")[0]


def damaged(good: bytes, chance: random.Random) -> bytes:
    """Return a request with a few bytes replaced, left out, doubled or put in."""
    sent = bytearray(good)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(sent))
        part = bytes([chance.choice(b"\r\n\0\x1b :;,-/\xff0f{"), chance.randrange(256)])
        sent[place : place + chance.randint(0, 2)] = part[: chance.randint(0, 2)] * chance.choice(
            [1, 1, 1, 40]
        )
    return bytes(sent)


GOOD = [
    CHUNKED + b"2;a=b\r\n{}\r\n0\r\nX-Trailer: a\r\n\r\n",
    HEAD + b"Content-Length: 2\r\n\r\n{}",
    GET + b"X-Request-ID: abc\r\nAccept-Encoding: gzip, br\r\nCookie: a=b\r\n\r\n",
    b"GET /api/v1/jobs?limit=5&name=%41&tag=a HTTP/1.1\r\nHost: [::1]:80\r\nRange: a=0-1\r\n\r\n",
]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_requests_are_never_an_error_of_the_server(server: Server, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same bytes each time
    for _ in range(150):
        sent = damaged(chance.choice(GOOD), chance)
        answer = server.speak(sent)
        assert not answer or status_of(answer) < 500 or status_of(answer) == 501, sent
    assert "Traceback" not in server.log.read_text()
    assert server.is_up()
