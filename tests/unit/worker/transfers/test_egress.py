from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_worker.transfers.egress import EgressGuard

GUARD = EgressGuard()


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:830::200e", "11.0.0.1"],
)
def test_public_addresses_are_permitted(address: str) -> None:
    assert GUARD.permits(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:db8::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not GUARD.permits(address)


@pytest.mark.parametrize(
    "form",
    ["::ffff:{dotted}", "64:ff9b::{dotted}", "2002:{high}:{low}::1"],
)
def test_addresses_that_stand_for_another_are_judged_by_it(form: str) -> None:
    assert GUARD.permits(_embed(form, "1.1.1.1"))
    for inside in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "224.0.0.1"):
        assert not GUARD.permits(_embed(form, inside))


def test_a_teredo_address_is_judged_by_both_that_it_holds() -> None:
    # Server and client, the latter with its bits inverted (RFC 4380, section 4).
    assert GUARD.permits("2001:0:101:101:0:0:fefe:fefe")
    assert not GUARD.permits("2001:0:101:101:0:0:80ff:fffe")
    assert not GUARD.permits("2001:0:7f00:1:0:0:fefe:fefe")


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "::ffff:", "127.0.0.1:80", "a%b%c"])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    assert not GUARD.permits(text)


def test_the_operator_may_allow_networks() -> None:
    guard = EgressGuard([ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")])
    assert guard.permits("10.1.2.3")
    assert guard.permits("::ffff:10.1.2.3")
    assert guard.permits("fd00:1::5")
    assert guard.permits("1.1.1.1")
    assert not guard.permits("10.2.0.1")
    assert not guard.permits("::ffff:10.2.0.1")
    assert not guard.permits("fd00:2::5")


def test_allowing_ipv6_as_a_whole_does_not_allow_private_ipv4() -> None:
    guard = EgressGuard([ip_network("fd00::/8")])
    assert not guard.permits("::ffff:10.0.0.1")
    assert not guard.permits("10.0.0.1")


def test_the_refusal_names_the_address_and_the_remedy() -> None:
    assert EgressGuard.refusal("10.0.0.1") == (
        "10.0.0.1 is not a public address; the operator can allow it with CHRONOS_EGRESS_ALLOW."
    )


@given(st.ip_addresses(v=4))
def test_no_private_ipv4_address_hides_in_ipv6(address: IPv4Address) -> None:
    mapped = str(IPv6Address(0xFFFF << 32 | int(address)))
    assert GUARD.permits(mapped) == GUARD.permits(str(address))
    if address.is_private or address.is_multicast or not address.is_global:
        assert not GUARD.permits(mapped)


@given(st.ip_addresses(v=6))
def test_any_ipv6_address_is_judged(address: IPv6Address) -> None:
    if GUARD.permits(str(address)):
        assert not address.is_private
        assert not address.is_multicast


def _embed(form: str, address: str) -> str:
    high, low = divmod(int(IPv4Address(address)), 1 << 16)
    return form.format(dotted=address, high=f"{high:x}", low=f"{low:x}")
