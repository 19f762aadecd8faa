"""One attempt is one request on the wire, whatever becomes of the connection under it."""

from collections.abc import Iterator
from ipaddress import ip_network
from itertools import product
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rigs
import wires
from chronos_common.domain.outcomes import Failed
from chronos_worker.actions import webhook
from chronos_worker.transfers import curl_handle, kept_connections
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.limiter import Limits
from chronos_worker.transfers.results import ErrorKind
from rigs import Rig, kind_of
from wires import Ending, Reads, Wire

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
ENDINGS: tuple[Ending, ...] = get_args(Ending)
READS: tuple[Reads, ...] = get_args(Reads)
LARGE = "x" * (1 << 20)


@pytest.fixture(scope="module")
def shared_rig() -> Iterator[Rig]:
    """Give all tests one engine: what one leaves behind must not harm the next.

    On a slow machine, too, the connections that they keep are used again.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        rigs.running(EgressGuard([ip_network("127.0.0.0/8")]), Limits(100, 50)) as rig,
    ):
        patch.setattr(kept_connections, "MAX_IDLE_SECONDS", 60)
        patch.setattr(curl_handle, "_MAX_IDLE_SECONDS", 60)
        yield rig


def _attempt(rig: Rig, wire: Wire, *, method: str, body: str | None = None) -> Failed:
    """Send a request that gets no answer, and return what its attempt became."""
    result = rig.send(wire.url, method=method, body=body, verify_tls=False)
    assert kind_of(result) is ErrorKind.CONNECT
    request = rig.done[-1][0]
    assert wire.requests[str(request.execution.id), 1] == 1
    outcome, _ = webhook.outcome(request, result)
    assert isinstance(outcome, Failed)
    return outcome


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("ending", "reads"), list(product(ENDINGS, READS)))
@pytest.mark.parametrize("answered", [0, 1, 3], ids=["fresh", "reused", "long-kept"])
def test_a_request_without_an_answer_is_sent_once(
    shared_rig: Rig, ending: Ending, reads: Reads, answered: int, method: str
) -> None:
    with wires.running(ending, reads, answered=answered) as wire:
        for _ in range(answered):
            assert shared_rig.send(wire.url).http_status == 200
        assert wire.connections <= 1
        outcome = _attempt(shared_rig, wire, method=method)
        assert not outcome.permanent
        assert wire.connections == 1
        assert set(wire.requests.values()) == {1}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("answered", [0, 1])
def test_so_is_one_over_tls(shared_rig: Rig, ending: Ending, answered: int) -> None:
    with wires.running(ending, answered=answered, tls=True) as wire:
        for _ in range(answered):
            assert shared_rig.send(wire.url, verify_tls=False).http_status == 200
        _attempt(shared_rig, wire, method="POST")
        assert wire.connections == 1


@pytest.mark.parametrize(("ending", "reads"), list(product(ENDINGS, READS)))
@pytest.mark.parametrize("answered", [0, 1])
def test_so_is_one_whose_body_fills_every_buffer(
    shared_rig: Rig, ending: Ending, reads: Reads, answered: int
) -> None:
    with wires.running(ending, reads, answered=answered) as wire:
        for _ in range(answered):
            assert shared_rig.send(wire.url).http_status == 200
        _attempt(shared_rig, wire, method="PUT", body=LARGE)


def test_the_failure_over_tls_says_so_in_words(shared_rig: Rig) -> None:
    with wires.running("close", tls=True) as wire:
        assert _attempt(shared_rig, wire, method="POST") == Failed(
            "The target closed the connection before the end of its answer."
        )


def test_the_failure_says_what_happened(shared_rig: Rig) -> None:
    with wires.running("close", answered=1) as wire:
        assert shared_rig.send(wire.url).http_status == 200
        assert _attempt(shared_rig, wire, method="POST") == Failed(
            "The target closed the connection without an answer."
        )


@settings(max_examples=25, deadline=None)
@given(
    plans=st.lists(
        st.tuples(
            st.sampled_from(ENDINGS),
            st.sampled_from(READS),
            st.integers(0, 3),
            st.lists(st.sampled_from(METHODS), min_size=1, max_size=6),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_no_attempt_is_ever_on_the_wire_twice(
    plans: list[tuple[Ending, Reads, int, list[str]]],
) -> None:
    """Several targets at once, and requests to each at once: connections are shared and die."""
    with rigs.running(EgressGuard([ip_network("127.0.0.0/8")]), Limits(100, 3)) as rig:
        for ending, reads, answered, methods in plans:
            with wires.running(ending, reads, answered=answered) as wire:
                requests = [rigs.request_to(wire.url, method=method) for method in methods]
                rig.engine.submit(requests)
                for request in requests:
                    rig.result_of(request)
                assert all(count == 1 for count in wire.requests.values())
                sent = {(str(request.execution.id), 1) for request in requests}
                assert wire.requests.keys() == sent
