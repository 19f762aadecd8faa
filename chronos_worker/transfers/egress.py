"""The egress guard: a user's URL may reach public addresses, and those that the operator allows.

Names, redirects and odd spellings cannot evade it: it is asked about each address and port just
before a connection, after name resolution. The order of its rules:

1. Networks of ``CHRONOS_EGRESS_DENY`` and ports that ``CHRONOS_EGRESS_PORTS`` lacks are refused.
2. Networks of ``CHRONOS_EGRESS_ALLOW`` are permitted.
3. Addresses of this host are refused, and all that are not public.
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final, Self

import psutil

from chronos_common.settings import Settings

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# In addition to addresses that ``ipaddress`` calls not global, which depends on Python's version.
_REFUSED_V4 = (
    IPv4Network("192.0.0.0/24"),  # RFC 6890: protocol assignments, a metadata service among them
    IPv4Network("192.88.99.0/24"),  # RFC 7526: 6to4 relays, deprecated
    IPv4Network("224.0.0.0/4"),  # multicast
    IPv4Network("240.0.0.0/4"),  # reserved, and broadcast
    IPv4Network("168.63.129.16/32"),  # Azure's host agent: a public address inside every machine
)
# All public IPv6 addresses are in this block (RFC 4291, section 2.4).
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = (
    IPv6Network("2001::/23"),  # RFC 2928: protocol assignments
    IPv6Network("2001:db8::/32"),  # RFC 3849: documentation
    IPv6Network("3fff::/20"),  # RFC 9637: documentation
)
# Addresses that stand for IPv4 addresses. With NAT64, these are the public ones.
_NAT64 = IPv6Network("64:ff9b::/96")

#: The addresses of this host may change, and reading them takes as long as some requests.
_OWN_ADDRESSES_SECONDS: Final = 5


class EgressGuard:
    """Permits connections to public addresses and to the networks in ``allow``."""

    def __init__(
        self,
        allow: Sequence[Network] = (),
        *,
        deny: Sequence[Network] = (),
        ports: Sequence[range] = (range(65536),),
    ) -> None:
        self._allow = tuple(allow)
        self._deny = tuple(deny)
        self._ports = tuple(ports)
        self.permits = lru_cache(maxsize=4096)(self._permits)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the guard of this installation."""
        return cls(settings.egress_allow, deny=settings.egress_deny, ports=settings.egress_ports)

    def _permits(self, address: str, port: int) -> bool:
        """Return whether the rules permit a connection, this host's addresses apart."""
        return self._is_open(port) and self._judges(address, _is_public)

    def permits_new(self, address: str, port: int) -> bool:
        """Return whether a connection to ``address`` may be opened now.

        The answer may change with the addresses of this host.
        """
        return self.permits(address, port) and self._judges(address, _is_elsewhere)

    def refusal(self, port: int) -> str:
        """Return the reason of a refusal and the remedy, for the job's owner.

        It names no address, because the name of a URL may resolve to an internal one.
        """
        if not self._is_open(port):
            return (
                f"Webhooks may not call port {port}; the operator can permit it with "
                "CHRONOS_EGRESS_PORTS."
            )
        return (
            "The host of the URL or of a redirect has an address that webhooks may not call; the "
            "operator can allow its network with CHRONOS_EGRESS_ALLOW."
        )

    def _is_open(self, port: int) -> bool:
        return any(port in each for each in self._ports)

    def _judges(self, text: str, may_reach: Callable[[Address], bool]) -> bool:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        return self._may_reach(address, may_reach)

    def _may_reach(self, address: Address, may_reach: Callable[[Address], bool]) -> bool:
        """Return whether packets to ``address`` reach only what the rules permit."""
        embedded = list(_embedded_in(address)) if isinstance(address, IPv6Address) else []
        if _is_in(self._deny, address) or any(_is_in(self._deny, each) for each in embedded):
            return False
        if _is_in(self._allow, address):
            return True
        if embedded:
            return all(self._may_reach(each, may_reach) for each in embedded)
        return may_reach(address)


def _is_in(networks: Sequence[Network], address: Address) -> bool:
    return any(address in network for network in networks)


def _is_elsewhere(address: Address) -> bool:
    """Return whether no interface of this host has the address."""
    return address not in _own_addresses(int(time.monotonic() / _OWN_ADDRESSES_SECONDS))


@lru_cache(maxsize=1)
def _own_addresses(_span: int) -> frozenset[Address]:
    """Return the addresses of this host's interfaces, read once in a span of seconds."""
    return frozenset(
        ip_address(each.address.partition("%")[0])
        for interface in psutil.net_if_addrs().values()
        for each in interface
        if each.family in {socket.AF_INET, socket.AF_INET6}
    )


def _is_public(address: Address) -> bool:
    return _is_public_v4(address) if isinstance(address, IPv4Address) else _is_public_v6(address)


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in _REFUSED_V4)


def _is_public_v6(address: IPv6Address) -> bool:
    return (
        address in _GLOBAL_V6
        and address.is_global
        and not any(address in network for network in _REFUSED_V6)
    )


def _embedded_in(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that packets to ``address`` may reach."""
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
