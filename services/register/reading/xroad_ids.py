"""X-Road identifiers in a register: INSTANCE/CLASS/CODE/… (docs/exchange.md). Pure.

They are kept as written, since they must equal those in the logs.
"""

from __future__ import annotations

from services.core.model import placeholders
from services.register.reading.headers import holds_control
from services.register.reading.values import fold


def read_party(text: str) -> str:
    """Read the identifier of a member or subsystem."""
    if not _has_parts(text, 3, 4):
        raise ValueError(f"`{text}` is not INSTANCE/CLASS/CODE or INSTANCE/CLASS/CODE/SUBSYSTEM")
    return text


def read_client(text: str) -> str:
    """Read the member or subsystem that a probe calls as; a ``${name}`` stands for one part or within one."""
    _check(text)
    return read_party(text.strip())


def read_service(text: str) -> str:
    """Read the service that a probe calls; a ``${name}`` stands for one part or within one."""
    _check(text)
    if not _has_parts(text, 4, 5, 6):
        form = "INSTANCE/CLASS/CODE/SUBSYSTEM/service"
        raise ValueError(f"`{text}` is not {form}, with /version after it or without SUBSYSTEM")
    return text.strip()


def _check(text: str) -> None:
    placeholders(text)
    if holds_control(text):
        raise ValueError("holds a control character")


def _has_parts(text: str, *numbers: int) -> bool:
    parts = text.split("/")
    return len(parts) in numbers and all(fold(part) for part in parts)
