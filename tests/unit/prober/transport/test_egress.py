"""Probes may connect to certain addresses only (docs/probing.md §5, behaviour 37)."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from services.core.errors import SettingsError
from services.core.model.register import Egress
from services.prober.transport.egress import EgressRules, read_nat64

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
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:0:a9:fea9:fe00::",
        "64:ff9b:1::a9:fea9:fe00:0",
        "64:ff9b:1:a9fe:ffa9:fe12:3456:789a",
        "2001:db8::5efe:169.254.169.254",
        "2001:db8::200:5efe:169.254.169.254",
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


@pytest.mark.parametrize(
    ("egress", "address", "setting"),
    [
        (Egress(), "127.0.0.1", "egress.allow_loopback is not set"),
        (Egress(), "::ffff:127.0.0.1", "egress.allow_loopback is not set"),
        (Egress(allow=("0.0.0.0/0",)), "127.0.0.1", "egress.allow_loopback is not set"),
        (Egress(), "10.0.0.1", "not public, and egress.allow is empty"),
        (Egress(allow=("10.0.0.0/8",)), "192.168.0.1", "no network of egress.allow has it"),
        (EVERYTHING, "169.254.169.254", "no policy can"),
        (EVERYTHING, "fe80::1%eth0", "no policy can"),
        (EVERYTHING, "not an address", "no policy can"),
    ],
)
def test_the_setting_that_refuses_an_address_is_named(egress: Egress, address: str, setting: str) -> None:
    """A refusal names the key of policy.yaml to set, for users who first probe a machine of their own."""
    rules = EgressRules(egress)
    assert not rules.allows(address)
    assert rules.setting_against(address) == setting


# RFC 6052, 2.4: 192.0.2.33 behind a prefix of each length.
EXAMPLES = {
    "2001:db8::/32": "2001:db8:c000:221::",
    "2001:db8:100::/40": "2001:db8:1c0:2:21::",
    "2001:db8:122::/48": "2001:db8:122:c000:2:2100::",
    "2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::",
    "2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::",
    "2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33",
}


@pytest.mark.parametrize(("prefix", "address"), EXAMPLES.items())
def test_37_nat64_of_the_own_network(prefix: str, address: str) -> None:
    """Behind a NAT64 prefix of the own network, an address counts only as the IPv4 address that it reaches."""
    assert EgressRules(Egress(allow=("192.0.2.33/32",)), read_nat64(f"64:ff9b::/96, {prefix}")).allows(address)
    assert not EgressRules(Egress(allow=(prefix,)), read_nat64(prefix)).allows(address)
    assert EgressRules(Egress(allow=(prefix,))).allows(address)


@pytest.mark.parametrize("text", ["2001:db8::/33", "10.0.0.0/8", "2001:db8::1/32", "nat64"])
def test_37_what_is_no_nat64_prefix(text: str) -> None:
    """A prefix of IPv4, of another length, or with bits after it is refused by name."""
    with pytest.raises(SettingsError, match=f"--nat64 {text}"):
        read_nat64(text)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_37_loopback_only_where_allowed(address: str) -> None:
    """Only its own switch allows loopback, even if an allowed network contains it."""
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


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.215.14",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "192.0.0.9",
        "192.0.1.1",
        "192.31.196.1",
        "198.20.0.1",
        "223.255.255.255",
        "2001:1::1",
        "2001:4:112::1",
        "2001:200::1",
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
        "2002:5db8:d70e::1",
        "2a00::1",
        "3ffe::1",
        "64:ff9b::5db8:d70e",
        "2a00::5efe:93.184.215.14",
    ],
)
def test_37_public_addresses(address: str) -> None:
    """Without an allow list, the addresses that IANA's registries call globally reachable are reached."""
    assert EgressRules(Egress()).allows(address)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "172.16.0.1",
        "192.0.0.1",
        "192.0.0.8",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "::1",
        "100::1",
        "100:0:0:1::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::5db8:d70e",
        "fc00::1",
        "fd12:3456::1",
        "2a00::5efe:10.0.0.1",
    ],
)
def test_37_addresses_of_a_network_of_its_own(address: str) -> None:
    """Without an allow list, private, documentation, benchmark and unallocated addresses are not reached."""
    assert not EgressRules(Egress()).allows(address)


# IANA's registries of special-purpose addresses (RFC 6890), as updated on 2025-10-09: each block, and whether it is
# globally reachable. Blocks that stand for IPv4 addresses are left out, because those addresses decide:
# ::ffff:0:0/96, 64:ff9b::/96, 2001::/32 (Teredo) and 2002::/16 (6to4).
REGISTRIES = """
0.0.0.0/8 no, 0.0.0.0/32 no, 10.0.0.0/8 no, 100.64.0.0/10 no, 127.0.0.0/8 no, 169.254.0.0/16 no, 172.16.0.0/12 no,
192.0.0.0/24 no, 192.0.0.0/29 no, 192.0.0.8/32 no, 192.0.0.9/32 yes, 192.0.0.10/32 yes, 192.0.0.170/32 no, 192.0.0.171/32 no,
192.0.2.0/24 no, 192.31.196.0/24 yes, 192.52.193.0/24 yes, 192.88.99.2/32 no, 192.168.0.0/16 no, 192.175.48.0/24 yes,
198.18.0.0/15 no, 198.51.100.0/24 no, 203.0.113.0/24 no, 240.0.0.0/4 no, 255.255.255.255/32 no,
::1/128 no, ::/128 no, 64:ff9b:1::/48 no, 100::/64 no, 100:0:0:1::/64 no, 2001:1::1/128 yes, 2001:1::2/128 yes,
2001:1::3/128 yes, 2001:2::/48 no, 2001:3::/32 yes, 2001:4:112::/48 yes, 2001:10::/28 no, 2001:20::/28 yes, 2001:30::/28 yes,
2001::/23 no, 2001:db8::/32 no, 2620:4f:8000::/48 yes, 3fff::/20 no, 5f00::/16 no, fc00::/7 no, fe80::/10 no
"""


@pytest.mark.parametrize("entry", [entry.strip() for entry in REGISTRIES.split(",")])
def test_37_every_block_of_the_registries(entry: str) -> None:
    """The first and the last address of every special-purpose block are reached only if its registry says so."""
    block, reachable = entry.split()
    network, rules = ip_network(block), EgressRules(Egress())
    assert [rules.allows(str(network[place])) for place in (0, -1)] == [reachable == "yes"] * 2


def test_37_a_local_nat64_by_the_allow_list() -> None:
    """A local NAT64 prefix is reached if the allow list has both the prefix and the address behind it."""
    rules = EgressRules(Egress(allow=("64:ff9b:1::/48", "93.184.215.0/24")))
    assert rules.allows("64:ff9b:1::5db8:d70e")
    assert not rules.allows("64:ff9b:1::a00:1")
