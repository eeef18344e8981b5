"""Parties of an exchange, read from the service."""

from __future__ import annotations

import pytest

from services.core.model.exchange import Parties


@pytest.mark.parametrize(
    ("service", "provider"),
    [
        ("IR/GOV/200/registry/person", "IR/GOV/200/registry"),
        ("IR/GOV/200/listMethods", "IR/GOV/200"),
        ("civil-registry/tax-file/a%2Fb", "civil-registry"),
        ("/person", ""),
        ("", ""),
    ],
)
def test_a_service_tells_its_provider(service: str, provider: str) -> None:
    """The provider is all but the last part in X-Road, the first of three on other buses, and empty without a service."""
    assert Parties.of("client", service, meta=False) == Parties("client", provider, service, meta=False)
