"""Publishes the register to the bus in content-addressed chunks, and reads it back."""

from services.register.bus.publish import publish_register, read_before, republish_if_lost
from services.register.bus.read import (
    CURRENT_KEY,
    PREVIOUS_KEY,
    UnverifiedError,
    follow_register,
    read_manifest,
    read_publications,
    read_register,
    read_verified_register,
)

__all__ = [
    "CURRENT_KEY",
    "PREVIOUS_KEY",
    "UnverifiedError",
    "follow_register",
    "publish_register",
    "read_before",
    "read_manifest",
    "read_publications",
    "read_register",
    "read_verified_register",
    "republish_if_lost",
]
