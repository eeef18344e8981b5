"""Decides which resolved addresses probes may connect to (docs/probing.md §5, behaviour 37). Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Network, ip_address, ip_network
from typing import Final

from services.core.errors import SettingsError
from services.core.model import Egress
from services.prober.transport.special_addresses import (
    NAT64_LENGTHS,
    Address,
    Network,
    is_among,
    is_global,
    may_reach,
    networks,
    standing_for,
)

# No register may allow these: the prober's own machine is configured from them.
_REFUSED: Final = networks(
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


class EgressRules:
    """The egress policy of a register, and the addresses that are always refused.

    ``nat64`` are the NAT64 prefixes of the prober's own network: an address in them counts as what it reaches.
    """

    def __init__(self, egress: Egress, nat64: tuple[Network, ...] = ()) -> None:
        self._allow = tuple(ip_network(text, strict=False) for text in egress.allow)
        self._allow_loopback = egress.allow_loopback
        self._nat64 = nat64
        self.allows = lru_cache(maxsize=65536)(self._allows)

    def _allows(self, address: str) -> bool:
        """Return whether probes may connect to this IP address. Refuse one that cannot be parsed or has a zone."""
        forms = self._forms(address)
        return bool(forms) and all(self._allows_form(form) for form in forms)

    def setting_against(self, address: str) -> str:
        """Return in words which setting of policy.yaml refuses this IP address."""
        forms = self._forms(address)
        if not forms or any(is_among(form, _REFUSED) for form in forms):
            return "no policy can"
        if any(form.is_loopback for form in forms) and not self._allow_loopback:
            return "egress.allow_loopback is not set"
        return "no network of egress.allow has it" if self._allow else "not public, and egress.allow is empty"

    def _forms(self, text: str) -> tuple[Address, ...]:
        """Return the addresses to decide on; none if the text is not an address.

        For IPv6, they are the IPv4 address that it stands for, or else itself and the IPv4 addresses that it may reach.
        """
        if "%" in text:  # only link-local addresses need a zone
            return ()
        try:
            address = ip_address(text)
        except ValueError:
            return ()
        if isinstance(address, IPv4Address):
            return (address,)
        embedded = standing_for(address, self._nat64)
        return (address, *may_reach(address)) if embedded is None else (embedded,)

    def _allows_form(self, address: Address) -> bool:
        if is_among(address, _REFUSED):
            return False
        if address.is_loopback:
            return self._allow_loopback
        return is_among(address, self._allow) if self._allow else is_global(address)


def read_nat64(text: str) -> tuple[Network, ...]:
    """Read NAT64 prefixes, separated by commas. Raises SettingsError."""
    try:
        prefixes = tuple(IPv6Network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(f"--nat64 {text} is no list of IPv6 prefixes: {error}") from error
    if wrong := [str(prefix) for prefix in prefixes if prefix.prefixlen not in NAT64_LENGTHS]:
        lengths = ", ".join(map(str, NAT64_LENGTHS))
        raise SettingsError(f"--nat64 {wrong[0]} is no NAT64 prefix: its length is not one of {lengths}")
    return prefixes
