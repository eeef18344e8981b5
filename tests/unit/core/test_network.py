"""Hosts of addresses, and what clients trust."""

from __future__ import annotations

import ssl

import pytest

from services.core.network import is_loopback, listening, trusting


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("api.example", False), ("", False)],
)
def test_this_machine_is_distinguished_from_others(host: str, expected: bool) -> None:
    """The addresses and the name of loopback are distinguished from others."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_taken_address_is_not_named_by_the_reason(host: str) -> None:
    """The sentence around the reason names the address, so the reason does not, whatever the family of the address."""
    with listening(host, 0) as first, pytest.raises(OSError, match="in use") as refused:
        listening(host, first.getsockname()[1])
    assert refused.value.strerror == "Address already in use"


def test_a_host_that_cannot_be_resolved_is_the_reason() -> None:
    """The reason is that of the resolver, without the address."""
    with pytest.raises(OSError, match="known") as refused:
        listening("::1%nowhere", 0)
    assert "nowhere" not in str(refused.value)


def test_no_version_of_python_is_stricter_than_others() -> None:
    """Certificates without key identifiers are trusted."""
    context = trusting(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
