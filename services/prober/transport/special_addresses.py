"""Tells which addresses are globally reachable, and finds IPv4 addresses within IPv6 ones. Pure.

Python's ``is_global`` differs from version to version, so this module has a table of its own. Sources:

* IANA's registries of special-purpose IPv4 and IPv6 addresses (RFC 6890, columns as of RFC 8190), as updated on
  2025-10-09 (with RFC 9602, 9637, 9665 and 9780), and of the IPv6 address space
* RFC 6052 §2.2 (NAT64), RFC 8215 (NAT64 of local use) and RFC 2765 §2.1 (SIIT)
* RFC 5214 §6.1 (ISATAP), RFC 3056 §2 (6to4) and RFC 4380 §4 (Teredo)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def networks(*texts: str) -> tuple[Network, ...]:
    """Return networks in CIDR notation."""
    return tuple(map(ip_network, texts))


def is_among(address: Address, among: Iterable[Network]) -> bool:
    """Return whether an address lies in one of the networks."""
    return any(address in network for network in among if network.version == address.version)


# Blocks that the registries call not globally reachable, and deprecated blocks.
_LOCAL: Final = networks(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
)
# Blocks within these that are globally reachable.
_EXCEPTED: Final = networks(
    "192.0.0.9/32",
    "192.0.0.10/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:20::/28",
    "2001:30::/28",
)
# IANA allocates global unicast addresses only from here.
_UNICAST: Final = ip_network("2000::/3")


def is_global(address: Address) -> bool:
    """Return whether an address can be reached from everywhere. An IPv6 address that stands for an IPv4 one cannot."""
    if address.version == 6 and address not in _UNICAST:
        return False
    return not is_among(address, _LOCAL) or is_among(address, _EXCEPTED)


NAT64_LENGTHS: Final = (32, 40, 48, 56, 64, 96)
"""The lengths of NAT64 prefixes."""


def nat64_embedded(address: IPv6Address, length: int) -> IPv4Address:
    """Return the IPv4 address behind a NAT64 prefix of ``length`` bits. Bits 64 to 71 are never part of it."""
    packed = address.packed
    return IPv4Address(bytes(packed[place] for place in range(length // 8, 16) if place != 8)[:4])


# An address in these networks is only another form of the IPv4 address in its last four bytes.
_STANDING_FOR: Final = networks("::ffff:0:0/96", "64:ff9b::/96", "::/96")
_TRANSLATED: Final = ip_network("::ffff:0:0:0/96")
_LOCAL_NAT64: Final = ip_network("64:ff9b:1::/48")
_NOWHERE: Final = ip_network("0.0.0.0/8")
_ISATAP: Final = frozenset({bytes.fromhex("00005efe"), bytes.fromhex("02005efe")})


def standing_for(address: IPv6Address, nat64: Iterable[Network] = ()) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address reaches in any network, or in one with these NAT64 prefixes."""
    if int(address) > 1 and is_among(address, _STANDING_FOR):
        return nat64_embedded(address, 96)
    prefix = next((prefix for prefix in nat64 if address in prefix), None)
    return None if prefix is None else nat64_embedded(address, prefix.prefixlen)


def may_reach(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address reaches where there is a translator or a tunnel."""
    if address in _TRANSLATED or address.packed[8:12] in _ISATAP:
        yield nat64_embedded(address, 96)
    if address in _LOCAL_NAT64:
        # The length that a network uses cannot be told. The wrong lengths mostly find zeros.
        embedded = (nat64_embedded(address, length) for length in NAT64_LENGTHS if length >= _LOCAL_NAT64.prefixlen)
        yield from (form for form in embedded if form not in _NOWHERE)
    if address.sixtofour is not None:
        yield address.sixtofour
    yield from address.teredo or ()
