"""Hosts of a cluster as network namespaces on one bridge.

The namespaces end with this process. ``close`` removes the bridge too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.nats import WITH_US

NODES = 3
_SECONDS = 10.0
_NETWORK = f"10.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}"


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


class Hosts:
    """So many hosts, each with its own address. This machine is on the same network."""

    def __init__(self, count: int = NODES) -> None:
        self._bridge = f"pv{os.getpid()}"
        self._holders: list[subprocess.Popen[bytes]] = []
        try:
            _run("ip", "link", "add", self._bridge, "type", "bridge")
            _run("ip", "address", "add", f"{_NETWORK}.254/24", "dev", self._bridge)
            _run("ip", "link", "set", self._bridge, "up")
            for number in range(count):
                self._add(number)
        except (OSError, subprocess.CalledProcessError):
            self.close()
            raise

    def _add(self, number: int) -> None:
        holder = subprocess.Popen([*WITH_US, "unshare", "--net", "sleep", "infinity"])
        self._holders.append(holder)
        ours = Path("/proc/self/ns/net").readlink()
        until = time.monotonic() + _SECONDS
        while Path(f"/proc/{holder.pid}/ns/net").readlink() == ours:
            if time.monotonic() > until:
                raise OSError("no network namespace can be made")
            time.sleep(0.02)
        outer = f"{self._bridge}-{number}"
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", holder.pid)
        _run("ip", "link", "set", outer, "master", self._bridge, "up")
        _run(*self.within(number), "ip", "address", "add", f"{self.address(number)}/24", "dev", "eth0")
        _run(*self.within(number), "ip", "link", "set", "eth0", "up")
        _run(*self.within(number), "ip", "link", "set", "lo", "up")

    def address(self, number: int) -> str:
        """Return the address of a host."""
        return f"{_NETWORK}.{number + 1}"

    def within(self, number: int) -> Sequence[str]:
        """Return the prefix of a command that is to run on a host."""
        return ("nsenter", f"--net=/proc/{self._holders[number].pid}/ns/net")

    def unplug(self, number: int) -> None:
        """Cut a host off from everything."""
        _run("ip", "link", "set", f"{self._bridge}-{number}", "down")

    def plug_in(self, number: int) -> None:
        """Join it again."""
        _run("ip", "link", "set", f"{self._bridge}-{number}", "up")

    def part(self, one: int, other: int, *, both: bool) -> None:
        """Keep one host from reaching the other, in both directions or in one."""
        for sender, receiver in ((one, other), (other, one))[: 2 if both else 1]:
            _run(*self.within(sender), "ip", "route", "add", "blackhole", f"{self.address(receiver)}/32")

    def join(self, one: int, other: int, *, both: bool) -> None:
        """Undo ``part``."""
        for sender, receiver in ((one, other), (other, one))[: 2 if both else 1]:
            _run(*self.within(sender), "ip", "route", "del", "blackhole", f"{self.address(receiver)}/32")

    def close(self) -> None:
        """Remove the hosts and the bridge."""
        for holder in self._holders:
            holder.kill()
            holder.wait()
        subprocess.run(["ip", "link", "del", self._bridge], check=False, capture_output=True)


def why_not() -> str:
    """Return why this machine has no such hosts, "" if it has."""
    if missing := [name for name in ("ip", "unshare", "nsenter") if shutil.which(name) is None]:
        return f"{missing[0]} is not installed"
    try:
        Hosts(1).close()
    except (OSError, subprocess.CalledProcessError):
        return "this user may make no network namespaces and bridges"
    return ""
