"""The register on the bus: content-addressed chunks, publication, reading."""

from services.register.bus.publish import CURRENT, follow_register, keep_register, publish_register

__all__ = ["CURRENT", "follow_register", "keep_register", "publish_register"]
