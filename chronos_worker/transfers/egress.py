"""The egress guard: a user's URL may reach public addresses, and those that the operator allows.

Names, redirects and odd spellings cannot evade it: it is asked about each address just before it
is connected, after name resolution.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

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


class EgressGuard:
    """Permits connections to public addresses and to the networks in ``allow``."""

    def __init__(self, allow: Sequence[Network] = ()) -> None:
        self._allow = tuple(allow)
        self.permits = lru_cache(maxsize=4096)(self._permits)

    def _permits(self, address: str) -> bool:
        try:
            return self._may_reach(ip_address(address.partition("%")[0]))
        except ValueError:
            return False

    def _may_reach(self, address: Address) -> bool:
        if any(address in network for network in self._allow):
            return True
        if isinstance(address, IPv4Address):
            return _is_public_v4(address)
        embedded = list(_embedded_in(address))
        if embedded:
            return all(map(self._may_reach, embedded))
        return _is_public_v6(address)

    @staticmethod
    def refusal(address: str) -> str:
        """Return the reason of a refusal and the remedy, for the job's owner."""
        return (
            f"{address} is not a public address; "
            "the operator can allow it with CHRONOS_EGRESS_ALLOW."
        )


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
