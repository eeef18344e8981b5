"""Fault codes of X-Road's security servers, and who failed (docs/exchange.md §1.1). Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from services.core.model.outcome import Reason

# `Client.…` with a namespace prefix is a SOAP fault of the provider; X-Road writes it without one.
_SECURITY_SERVER: Final = re.compile(r"client\.|(?:[\w.-]+:)?server\.(client|server)proxy(?:\.([a-z]+)|$|\.)", re.ASCII)
_OF_PROVIDER: Final = {
    "servicefailed": Reason.SERVER_ERROR,
    "accessdenied": Reason.AUTH_REFUSED,
    "unknownservice": Reason.UNKNOWN_SERVICE,
    "servicedisabled": Reason.UNKNOWN_SERVICE,
}


# Codes have some 60 characters. Servers choose them, and the last ones are remembered.
_LONGEST: Final = 256


def reason_of_fault(code: str) -> Reason | None:
    """Return the reason of a fault code (in any case): BUS_ERROR if the bus failed, any other if the provider failed.

    Return None for a code that no security server writes, so that it comes from the provider's service.
    """
    return _reason(code.strip()[:_LONGEST])


@lru_cache(maxsize=1024)
def _reason(code: str) -> Reason | None:
    # X-Road 7.7 and newer write server.serverproxy.service_failed, older releases Server.ServerProxy.ServiceFailed.
    match = _SECURITY_SERVER.match(code.lower().replace("_", ""))
    if match is None:
        return None
    at_provider = match[1] == "server"
    return _OF_PROVIDER.get(match[2] or "", Reason.BUS_ERROR) if at_provider else Reason.BUS_ERROR
