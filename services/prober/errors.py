"""The error of definitions that the register accepts but that cannot be probed."""

from __future__ import annotations


class UnusableError(ValueError):
    """A definition cannot be probed as it is: our own fault. The message is shown, so it holds no values."""
