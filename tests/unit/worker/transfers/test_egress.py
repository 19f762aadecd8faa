from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_common.setting_types import ports
from chronos_worker.transfers.egress import EgressGuard

GUARD = EgressGuard()


def permits(guard: EgressGuard, address: str) -> bool:
    return guard.permits(address, 443)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:830::200e", "11.0.0.1"],
)
def test_public_addresses_are_permitted(address: str) -> None:
    assert permits(GUARD, address)


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
    assert not permits(GUARD, address)


@pytest.mark.parametrize(
    "form",
    ["::ffff:{dotted}", "64:ff9b::{dotted}", "2002:{high}:{low}::1"],
)
def test_addresses_that_stand_for_another_are_judged_by_it(form: str) -> None:
    assert permits(GUARD, _embed(form, "1.1.1.1"))
    for inside in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "224.0.0.1"):
        assert not permits(GUARD, _embed(form, inside))


def test_a_teredo_address_is_judged_by_both_that_it_holds() -> None:
    # Server and client, the latter with its bits inverted (RFC 4380, section 4).
    assert permits(GUARD, "2001:0:101:101:0:0:fefe:fefe")
    assert not permits(GUARD, "2001:0:101:101:0:0:80ff:fffe")
    assert not permits(GUARD, "2001:0:7f00:1:0:0:fefe:fefe")


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "::ffff:", "127.0.0.1:80", "a%b%c"])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    assert not permits(GUARD, text)


def test_the_operator_may_allow_networks() -> None:
    guard = EgressGuard([ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")])
    assert permits(guard, "10.1.2.3")
    assert permits(guard, "::ffff:10.1.2.3")
    assert permits(guard, "fd00:1::5")
    assert permits(guard, "1.1.1.1")
    assert not permits(guard, "10.2.0.1")
    assert not permits(guard, "::ffff:10.2.0.1")
    assert not permits(guard, "fd00:2::5")


def test_allowing_ipv6_as_a_whole_does_not_allow_private_ipv4() -> None:
    guard = EgressGuard([ip_network("fd00::/8")])
    assert not permits(guard, "::ffff:10.0.0.1")
    assert not permits(guard, "10.0.0.1")


@pytest.mark.parametrize("address", ["1.1.1.1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "10.1.0.1"])
def test_what_the_operator_denies_is_refused_in_every_form(address: str) -> None:
    deny = [ip_network("1.1.1.0/24"), ip_network("10.1.0.0/24")]
    guard = EgressGuard([ip_network("10.1.0.0/16"), ip_network("64:ff9b::/96")], deny=deny)
    assert not permits(guard, address)
    assert permits(guard, "10.1.1.1")
    assert permits(guard, "1.1.2.1")


def test_only_the_listed_ports_are_permitted() -> None:
    guard = EgressGuard([ip_network("10.0.0.0/8")], ports=ports("80,443,1024-65535"))
    for port in (80, 443, 1024, 8080, 65535):
        assert guard.permits("1.1.1.1", port), port
        assert guard.permits("10.0.0.1", port), port
    for port in (0, 1, 22, 25, 81, 587, 5432, 6379, 11211):
        assert not guard.permits("1.1.1.1", port), port
        assert not guard.permits("10.0.0.1", port), port


def test_the_refusal_names_the_remedy_and_no_address() -> None:
    guard = EgressGuard(ports=ports("443"))
    assert guard.refusal(443) == (
        "The host of the URL or of a redirect has an address that webhooks may not call; the "
        "operator can allow its network with CHRONOS_EGRESS_ALLOW."
    )
    assert guard.refusal(25) == (
        "Webhooks may not call port 25; the operator can permit it with CHRONOS_EGRESS_PORTS."
    )


@given(st.ip_addresses(v=4))
def test_no_private_ipv4_address_hides_in_ipv6(address: IPv4Address) -> None:
    mapped = str(IPv6Address(0xFFFF << 32 | int(address)))
    assert permits(GUARD, mapped) == permits(GUARD, str(address))
    if address.is_private or address.is_multicast or not address.is_global:
        assert not permits(GUARD, mapped)


@given(st.ip_addresses(v=6))
def test_any_ipv6_address_is_judged(address: IPv6Address) -> None:
    if permits(GUARD, str(address)):
        assert not address.is_private
        assert not address.is_multicast


def _embed(form: str, address: str) -> str:
    high, low = divmod(int(IPv4Address(address)), 1 << 16)
    return form.format(dotted=address, high=f"{high:x}", low=f"{low:x}")
