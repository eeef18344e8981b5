"""Hosts of addresses."""

from __future__ import annotations

import pytest

from services.core.hosts import is_loopback


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("api.example", False), ("", False)],
)
def test_this_machine_is_distinguished_from_others(host: str, expected: bool) -> None:
    """The addresses and the name of loopback are distinguished from others."""
    assert is_loopback(host) is expected
