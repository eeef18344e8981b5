"""How a definition is refused that the register let through."""

from __future__ import annotations

__all__ = ["UnusableError"]


class UnusableError(ValueError):
    """A definition that cannot be probed as it stands: our own fault. The message is shown, so it holds no values."""
