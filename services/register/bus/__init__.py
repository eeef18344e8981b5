"""The register on the bus: content-addressed chunks, publication, reading."""

from services.register.bus.publish import CURRENT_KEY, follow_register, keep_register, publish_register

__all__ = ["CURRENT_KEY", "follow_register", "keep_register", "publish_register"]
