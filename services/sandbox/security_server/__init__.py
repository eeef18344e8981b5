"""Answers requests to the simulated X-Road security servers themselves: for lists and monitoring."""

from services.sandbox.security_server.monitoring import OFFSET, OperationalMonitoring

__all__ = ["OFFSET", "OperationalMonitoring"]
