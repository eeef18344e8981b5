"""Tells who reads a page, and what that reader, such as the public, may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OPEN, PUBLIC, SIGNED = "open", "public", "signed"
"""Audiences: everybody sees all; everybody sees agencies and above; the same, and more after a sign-in."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader in a role of the api, such as `public` or `agency:ID`; empty for all that the console itself may see.

    ``subject`` is the id of a signed-in person at the provider of identities; ``token`` belongs to the session's forms.
    """

    role: str
    subject: str = ""
    token: str = ""

    @property
    def sees_links(self) -> bool:
        """Whether services, links and the evidence behind them are for this reader."""
        return self.role != PUBLIC

    @property
    def sees_everything(self) -> bool:
        """Whether the links of every agency are for this reader, as in files that hold all of them."""
        return self.role in ("", "auditor")


def reader_of(audience: str, session: Mapping[str, Any], now: float) -> Reader:
    """Return the reader, by the console's audience and the session of the request; ``now`` is in epoch seconds."""
    if audience == OPEN:
        return Reader("")
    role = session.get("role")
    until = session.get("until")
    if audience == SIGNED and isinstance(role, str) and isinstance(until, int) and now < until:
        return Reader(role, str(session.get("subject", "")), str(session.get("token", "")))
    return Reader(PUBLIC)
