"""Egress: whatever a URL looks like, no connection is made to an address that is not allowed."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace

import psutil
import pycurl
import pytest

from chronos_common.domain.outcomes import Failed
from chronos_worker.actions import webhook
from chronos_worker.transfers import egress
from chronos_worker.transfers.curl_handle import CurlHandle
from chronos_worker.transfers.egress import EgressGuard
from chronos_worker.transfers.results import ErrorKind
from rigs import Rig, kind_of
from targets import Target, reply


@pytest.fixture
def rig(start_rig: Callable[..., Rig]) -> Rig:
    """Give an engine that may reach what is public."""
    return start_rig(allow="")


class Trap:
    """Sockets that would notice a connection, on one port of several loopback addresses."""

    def __init__(self) -> None:
        self._first = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._first.getsockname()[1]
        self._others = [socket.create_server(("127.0.0.2", self.port))]
        if socket.has_ipv6:
            family = socket.AF_INET6
            self._others.append(socket.create_server(("::1", self.port), family=family))

    def is_untouched(self) -> bool:
        for each in (self._first, *self._others):
            each.settimeout(0)
            with suppress(BlockingIOError):
                each.accept()[0].close()
                return False
        return True

    def close(self) -> None:
        for each in (self._first, *self._others):
            each.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    assert trap.is_untouched()
    trap.close()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "0x7f000001",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
        "0",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "some.localhost",
        "user@127.0.0.1",
        "example.com@127.0.0.1",
    ],
)
def test_no_spelling_of_the_loopback_is_reached(rig: Rig, trap: Trap, host: str) -> None:
    result = rig.send(f"http://{host}:{trap.port}/")
    assert trap.is_untouched()
    assert result.http_status is None
    outcome, _ = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    if kind_of(result) is not ErrorKind.REFUSED_BY_EGRESS:
        # Some resolvers do not take these for an address at all.
        assert kind_of(result) in {ErrorKind.DNS, ErrorKind.INVALID_URL}
        assert host in {"127.0.0.1.", "localhost.", "[64:ff9b::127.0.0.1]", "some.localhost"}


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "100.100.100.200",
        "224.0.0.1",
        "255.255.255.255",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[::ffff:a9fe:a9fe]",
    ],
)
def test_private_addresses_are_refused_for_good(rig: Rig, host: str) -> None:
    outcome = rig.judge(f"http://{host}/latest/meta-data/", method="GET")
    assert outcome == Failed(EgressGuard().refusal(80), permanent=True)


def test_no_text_tells_where_an_internal_name_leads(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolve(monkeypatch, "db.internal:80:10.98.76.54")
    result = rig.send("http://db.internal/")
    outcome, attempt = webhook.outcome(rig.done[-1][0], result)
    assert isinstance(outcome, Failed)
    assert "10.98.76.54" not in f"{outcome}{attempt}{result}"


def test_a_port_of_another_protocol_is_refused(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(allow="127.0.0.1/32", ports=str(target.port + 1))
    assert rig.judge(target.url) == Failed(
        f"Webhooks may not call port {target.port}; the operator can permit it with "
        "CHRONOS_EGRESS_PORTS.",
        permanent=True,
    )
    assert target.connections == 0


def test_an_address_of_this_host_is_refused_even_if_it_is_public(
    rig: Rig, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "_is_public", lambda _: True)
    for host in ("127.0.0.1", "[::ffff:127.0.0.1]"):
        result = rig.send(f"http://{host}:{trap.port}/")
        assert kind_of(result) is ErrorKind.REFUSED_BY_EGRESS, host


def test_the_addresses_of_this_host_are_those_of_its_interfaces_at_the_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guard, now = EgressGuard(), 0.0
    addresses = [address("8.8.8.8", socket.AF_INET), address("fe80::1%eth0", socket.AF_INET6)]
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": addresses})
    monkeypatch.setattr(time, "monotonic", lambda: now)
    egress._own_addresses.cache_clear()
    assert guard.permits_new("9.9.9.9", 443)
    for own in ("8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"):
        assert not guard.permits_new(own, 443), own
    addresses.append(address("9.9.9.9", socket.AF_INET))
    now += 10
    assert not guard.permits_new("9.9.9.9", 443)


def address(text: str, family: int) -> SimpleNamespace:
    return SimpleNamespace(address=text, family=family)


def test_a_name_that_resolves_to_a_private_address_is_refused(
    rig: Rig, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolve(monkeypatch, f"rebinding.example.com:{trap.port}:127.0.0.1,[::1]")
    result = rig.send(f"http://rebinding.example.com:{trap.port}/")
    assert kind_of(result) is ErrorKind.REFUSED_BY_EGRESS


@pytest.mark.parametrize("addresses", ["127.0.0.3,127.0.0.2", "127.0.0.2,127.0.0.3"])
def test_an_allowed_address_that_fails_is_not_blamed_on_egress(
    start_rig: Callable[..., Rig], trap: Trap, monkeypatch: pytest.MonkeyPatch, addresses: str
) -> None:
    _resolve(monkeypatch, f"many.example.com:{trap.port}:{addresses}")
    # Nobody listens at the address that is allowed; the other one is not touched.
    rig = start_rig(allow="127.0.0.3/32")
    assert kind_of(rig.send(f"http://many.example.com:{trap.port}/")) is ErrorKind.CONNECT


def test_what_the_operator_allows_is_reached_and_nothing_else(
    start_rig: Callable[..., Rig], target: Target
) -> None:
    rig = start_rig(allow="127.0.0.1/32")
    assert rig.send(target.url).http_status == 200
    assert rig.send(f"http://[::ffff:127.0.0.1]:{target.port}/").http_status == 200
    assert kind_of(rig.send("http://127.0.0.2/")) is ErrorKind.REFUSED_BY_EGRESS


def test_a_kept_connection_is_looked_at_again(
    start_rig: Callable[..., Rig], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one that was opened while it was allowed, or by an oversight of libcurl's."""
    rig = start_rig(allow="127.0.0.1/32")
    assert rig.send(target.url).http_status == 200
    assert rig.engine.drain(5)
    for handle in rig.engine._transfers._idle_handles:
        monkeypatch.setattr(handle, "_guard", EgressGuard([]))
    assert kind_of(rig.send(target.url)) is ErrorKind.REFUSED_BY_EGRESS
    assert target.connections == 1
    assert len(target.received) == 1


@pytest.mark.parametrize("place", ["[::1]", "127.0.0.2", "0x7f000002", "169.254.169.254"])
def test_a_target_cannot_redirect_inside(
    start_rig: Callable[..., Rig], trap: Trap, target: Target, place: str
) -> None:
    rig = start_rig(allow="127.0.0.1/32")
    target.answer = reply(307, b"", {"Location": f"http://{place}:{trap.port}/"})
    assert kind_of(rig.send(target.url)) is ErrorKind.REFUSED_BY_EGRESS


def _resolve(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    """Let every new handle resolve a name as ``entry`` says, as an attacker's server might."""
    constant_options = CurlHandle._constant_options
    monkeypatch.setattr(
        CurlHandle,
        "_constant_options",
        lambda self: [*constant_options(self), (pycurl.RESOLVE, [entry])],
    )
