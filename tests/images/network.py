"""The host's network as it was before an engine of our own: no bridge, rule or forwarding of its stays behind."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["network_left_as_it_was"]

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_BRIDGE = "docker0"


@dataclass
class _Table:
    """One table of iptables: policies by chain (`-` for chains of somebody's own), and rules in their order."""

    policies: dict[str, str] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)


def _tables() -> dict[str, _Table]:
    found: dict[str, _Table] = {}
    table = _Table()
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    for line in saved.splitlines():
        if line.startswith("*"):
            table = found.setdefault(line[1:], _Table())
        elif line.startswith(":"):
            chain, policy, *_ = line[1:].split()
            table.policies[chain] = policy
        elif line.startswith("-A "):
            table.rules.append(line[3:])
    return found


def _put_back(name: str, before: _Table, after: _Table) -> None:
    def change(*words: str) -> None:
        subprocess.run(["iptables", "-t", name, *words], capture_output=True, check=False)

    for rule in after.rules:
        if rule not in before.rules:
            change("-D", *shlex.split(rule))
    for chain in after.policies.keys() - before.policies.keys():
        change("-X", chain)
    for chain, policy in after.policies.items():
        if policy not in ("-", before.policies.get(chain, "ACCEPT")):
            change("-P", chain, before.policies.get(chain, "ACCEPT"))


@contextmanager
def network_left_as_it_was() -> Iterator[None]:
    """Put back what an engine changes and leaves when it ends."""
    before, forwarding = _tables(), _FORWARDING.read_text()
    bridged = Path("/sys/class/net", _BRIDGE).exists()
    try:
        yield
    finally:
        for name, after in _tables().items():
            _put_back(name, before.get(name, _Table()), after)
        if not bridged:
            subprocess.run(["ip", "link", "delete", _BRIDGE], capture_output=True, check=False)
        _FORWARDING.write_text(forwarding)
