"""What the simulated X-Road security servers answer themselves: lists and monitoring."""

from services.sandbox.security_server.monitoring import OFFSET, OperationalMonitoring

__all__ = ["OFFSET", "OperationalMonitoring"]
