"""Hosts of addresses, and what clients trust."""

from __future__ import annotations

import ssl

import pytest

from services.core.network import is_loopback, trusting


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("api.example", False), ("", False)],
)
def test_this_machine_is_distinguished_from_others(host: str, expected: bool) -> None:
    """The addresses and the name of loopback are distinguished from others."""
    assert is_loopback(host) is expected


def test_no_version_of_python_is_stricter_than_others() -> None:
    """Certificates without key identifiers are trusted."""
    context = trusting(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
