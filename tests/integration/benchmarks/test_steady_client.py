"""The benchmark's client sends at its instants, and counts from them."""

import socket

import pytest

import targets
from benchmarks.steady_client import CONNECTIONS, Request, SteadyClient
from targets import Target


def test_requests_leave_at_their_instants_whatever_became_of_the_others(target: Target) -> None:
    target.answer = targets.by_path({"/slow": targets.after(1.5), "/quick": targets.reply(201)})
    wanted = [Request("slow", f"{target.url}/slow")]
    wanted += [Request("quick", f"{target.url}/quick", f'{{"n": {n}}}') for n in range(9)]
    answers = SteadyClient(["X-Own: 1"]).send(wanted, per_second=20)
    *quick, slow = answers
    assert {(each.kind, each.status) for each in quick} == {("quick", 201)}
    assert (slow.kind, slow.status) == ("slow", 200)
    assert slow.milliseconds >= 1500 > max(each.milliseconds for each in quick)
    arrived = sorted(target.received, key=lambda each: each.arrived_at)
    assert [each.method for each in arrived] == ["GET"] + ["POST"] * 9
    assert [each.body for each in arrived[1:]] == [f'{{"n": {n}}}'.encode() for n in range(9)]
    assert {each.headers["x-own"] for each in arrived} == {"1"}
    assert arrived[-1].arrived_at - arrived[0].arrived_at >= 9 / 20 - 0.04


def test_waiting_for_a_connection_counts(target: Target) -> None:
    target.answer = targets.after(0.3)
    wanted = [Request("kind", target.url) for _ in range(2 * CONNECTIONS)]
    answers = SteadyClient([]).send(wanted, per_second=10_000)
    times = sorted(each.milliseconds for each in answers)
    assert target.connections == CONNECTIONS
    assert len(times) == 2 * CONNECTIONS
    assert times[0] >= 290
    assert times[CONNECTIONS] >= 590


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345"])
def test_an_answer_that_breaks_off_is_none(target: Target, head: bytes) -> None:
    target.answer = targets.raw(head)
    (answer,) = SteadyClient([]).send([Request("kind", target.url)], per_second=10)
    assert answer.status == 0
    assert answer.milliseconds >= 10_000


def test_what_gets_no_answer_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (answer,) = SteadyClient([]).send(
        [Request("kind", f"http://127.0.0.1:{port}/")], per_second=10
    )
    assert (answer.kind, answer.status) == ("kind", 0)
    assert answer.milliseconds >= 10_000
