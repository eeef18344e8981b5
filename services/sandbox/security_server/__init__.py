"""What the simulated X-Road security servers answer themselves: lists and monitoring."""

from services.sandbox.security_server.monitoring import OFFSET, Monitoring

__all__ = ["OFFSET", "Monitoring"]
