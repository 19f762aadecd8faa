"""The web server that the demo's sample jobs call."""

from collections.abc import Iterator

import pytest
import requests

from chronos_common.embedded.demo import echo
from chronos_common.embedded.processes import ports


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with echo.serve(ports.free()) as started:
        yield started


def test_it_answers_with_what_it_was_sent(address: str) -> None:
    answer = requests.post(f"{address}/echo?a=1&a=2", json={"x": 1}, timeout=5)
    assert answer.status_code == 200
    echoed = answer.json()
    assert (echoed["method"], echoed["path"]) == ("POST", "/echo")
    assert echoed["params"] == {"a": ["1", "2"]}
    assert echoed["body"] == '{"x": 1}'
    assert echoed["headers"]["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_it_takes_every_method_on_one_connection(address: str, method: str) -> None:
    with requests.Session() as session:
        answers = [session.request(method, f"{address}/echo", timeout=5) for _ in range(3)]
    assert [answer.json()["method"] for answer in answers] == [method] * 3


@pytest.mark.parametrize(
    ("path", "status"),
    [("/status/503", 503), ("/status/404", 404), ("/nothing", 404), ("/status/999", 404)],
)
def test_it_fails_as_asked(address: str, path: str, status: int) -> None:
    assert requests.post(address + path, timeout=5).status_code == status


def test_flaky_fails_twice_for_each_webhook_id(address: str) -> None:
    def call(webhook_id: str) -> int:
        headers = {"webhook-id": webhook_id}
        return requests.post(f"{address}/flaky", headers=headers, timeout=5).status_code

    assert [call("a"), call("a"), call("b"), call("a"), call("b"), call("b")] == [
        *[500, 500, 500],
        *[200, 500, 200],
    ]


def test_a_body_beyond_the_bound_is_refused(address: str) -> None:
    headers = {"Content-Length": str(2 << 20)}
    with requests.Session() as session:
        request = requests.Request("POST", f"{address}/echo", headers=headers).prepare()
        request.headers["Content-Length"] = headers["Content-Length"]
        assert session.send(request, timeout=5).status_code == 413


def test_it_takes_another_port_when_the_preferred_one_is_in_use(address: str) -> None:
    taken = int(address.rpartition(":")[2])
    with echo.serve(taken) as other:
        assert other != address
        assert requests.get(f"{other}/echo", timeout=5).ok
    assert requests.get(f"{address}/echo", timeout=5).ok
