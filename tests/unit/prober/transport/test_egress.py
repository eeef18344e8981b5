"""Addresses that probes may connect to (docs/probing.md §5, behaviour 37)."""

from __future__ import annotations

import pytest

from services.core.model.register import Egress
from services.prober.transport.egress import EgressRules

EVERYTHING = Egress(allow=("0.0.0.0/0", "::/0"), allow_loopback=True)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "::ffff:0:169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:c000:201::5601:5601",
        "2001:db8::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "not an address",
        "",
    ],
)
def test_37_some_addresses_are_refused_always(address: str) -> None:
    """Link-local, metadata, multicast and unspecified addresses are refused in every form, whatever is allowed."""
    assert not EgressRules(EVERYTHING).allows(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_37_loopback_only_where_allowed(address: str) -> None:
    """Loopback is allowed by its own switch only, even when a network that holds it is."""
    assert EgressRules(EVERYTHING).allows(address)
    assert not EgressRules(Egress(allow=("0.0.0.0/0", "::/0"))).allows(address)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        ("93.184.215.14", False),
        ("2001:db8::1", True),
    ],
)
def test_37_the_allow_list(address: str, allowed: bool) -> None:
    """With an allow list only its networks are reached."""
    assert EgressRules(Egress(allow=("10.1.0.0/16", "2001:db8::/32"))).allows(address) is allowed


@pytest.mark.parametrize(("address", "allowed"), [("93.184.215.14", True), ("10.0.0.1", False), ("192.168.1.1", False)])
def test_37_without_an_allow_list(address: str, allowed: bool) -> None:
    """Without an allow list any public address is reached, and no private one."""
    assert EgressRules(Egress()).allows(address) is allowed
