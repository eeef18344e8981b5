"""Addresses of a register that probes cannot use are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.register.reading.addresses import read_control_target, read_http_url, read_target

READERS = (read_http_url, read_control_target, lambda text: read_target(text, "http"))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("host", ["10.0.0.256", "010.0.0.1", "xn--a", "☕.example"])
def test_a_host_that_cannot_be_asked(read: Callable[[str], str], host: str) -> None:
    """A host that is neither an address nor a name is refused in every URL."""
    with pytest.raises(ValueError, match="names a host that is neither an address nor a name"):
        read(f"http://{host}/")


@pytest.mark.parametrize("kind", ["tcp", "tls", "grpc", "dns"])
def test_a_host_that_other_kinds_cannot_ask(kind: str) -> None:
    """Targets that consist of a host and a port are checked in the same way."""
    with pytest.raises(ValueError, match="names a host that is neither an address nor a name"):
        read_target(f"{kind}://10.0.0.256:53", kind)


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "[2001:db8::1]", "ثبت.ایران", "xn--mgb8b.ir", "a_b.example", "localhost."]
)
def test_hosts_that_can_be_asked(host: str) -> None:
    """Addresses and names stay as written, including internal names."""
    assert read_target(f"http://{host}/", "http") == f"http://{host}/"
