"""Publishes the register to the bus in content-addressed chunks, and reads it back."""

from services.register.bus.publish import publish_register, republish_if_lost
from services.register.bus.read import (
    CURRENT_KEY,
    announced_versions,
    follow_register,
    read_previous_register,
    read_publications,
    read_register_in_force,
)

__all__ = [
    "CURRENT_KEY",
    "announced_versions",
    "follow_register",
    "publish_register",
    "read_previous_register",
    "read_publications",
    "read_register_in_force",
    "republish_if_lost",
]
