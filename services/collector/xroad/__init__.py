"""X-Road security servers, polled for their operational monitoring records."""

from services.collector.xroad.poller import ServerPoller

__all__ = ["ServerPoller"]
