"""Addresses of the bus are refused with a sentence before anything connects."""

from __future__ import annotations

import pytest

from services.core.bus.connection import parse_urls
from services.core.errors import SettingsError


@pytest.mark.parametrize(
    "urls", ["", "127.0.0.1:4222", "http://a:4222", "nats://", "nats://a:0", "TLS://a:4222", "nats://a,Nats://b"]
)
def test_what_is_no_address_of_a_bus_is_refused(urls: str) -> None:
    """The client of the bus knows two schemes, in small letters. With another one it would try for ever."""
    with pytest.raises(SettingsError, match="must be nats://HOST:PORT or tls://HOST:PORT"):
        parse_urls(urls)


def test_several_servers_are_separated_by_commas() -> None:
    """All of them are encrypted, or none is."""
    assert parse_urls("tls://a:1, tls://b:2") == ["tls://a:1", "tls://b:2"]
    with pytest.raises(SettingsError, match="mixes nats:// and tls://"):
        parse_urls("nats://a:1,tls://b:2")
