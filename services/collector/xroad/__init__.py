"""Polls X-Road security servers for their operational monitoring records."""

from services.collector.xroad.poller import ServerPoller

__all__ = ["ServerPoller"]
