"""Addresses that probes may connect to, decided on the resolved address (docs/probing.md §5, behaviour 37). Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from services.core.model import Egress

_Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

# No register may allow these: from them the prober's own machine is configured.
_REFUSED: tuple[_Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # unspecified, "this network"
        "169.254.0.0/16",  # link-local, most clouds' metadata
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "100.100.100.200/32",  # metadata of Alibaba Cloud
        "168.63.129.16/32",  # metadata of Azure
        "192.0.0.192/32",  # metadata of Oracle Cloud
        "::/128",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "fd00:ec2::/32",  # metadata of AWS
        "fd20:ce::254/128",  # metadata of Google Cloud
        "fd00:42::42/128",  # metadata of Scaleway
    )
)
# An address in these stands for the IPv4 address in its last four bytes.
_EMBEDDING = (ip_network("64:ff9b::/96"), ip_network("::/96"))
# An address in these may, where a translator is on the way (RFC 8215, RFC 2765).
_TRANSLATED = (ip_network("64:ff9b:1::/48"), ip_network("::ffff:0:0:0/96"))


class EgressRules:
    """The egress policy of a register, and the addresses that are always refused."""

    def __init__(self, egress: Egress) -> None:
        self._allow = tuple(ip_network(text, strict=False) for text in egress.allow)
        self._allow_loopback = egress.allow_loopback
        self.allows = lru_cache(maxsize=65536)(self._allows)

    def _allows(self, address: str) -> bool:
        """Return whether probes may connect to this IP address. One that cannot be parsed is refused, and one with a zone."""
        if "%" in address:  # only link-local addresses need a zone
            return False
        try:
            forms = _forms(ip_address(address))
        except ValueError:
            return False
        return all(self._allows_form(form) for form in forms)

    def _allows_form(self, address: _Address) -> bool:
        if any(address in network for network in _REFUSED if network.version == address.version):
            return False
        if address.is_loopback:
            return self._allow_loopback
        if not self._allow:
            return address.is_global
        return any(address in network for network in self._allow if network.version == address.version)


def _forms(address: _Address) -> tuple[_Address, ...]:
    """Return the addresses to decide on: an IPv4 address within an IPv6 one counts as what it reaches."""
    if isinstance(address, IPv4Address):
        return (address,)
    low = IPv4Address(int(address) & 0xFFFF_FFFF)
    embedding = int(address) > 1 and any(address in network for network in _EMBEDDING)
    embedded = address.ipv4_mapped or (low if embedding else None)
    if embedded is not None:
        return (embedded,)
    translated = low if any(address in network for network in _TRANSLATED) else None
    tunnelled = (address.sixtofour, translated, *(address.teredo or ()))
    return (address, *(form for form in tunnelled if form is not None))
