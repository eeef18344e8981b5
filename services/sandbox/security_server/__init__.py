"""The monitoring interface of the simulated X-Road security servers."""

from services.sandbox.security_server.monitoring import OFFSET, Monitoring

__all__ = ["OFFSET", "Monitoring"]
