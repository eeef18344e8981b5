"""The message bus: one NATS server or cluster with JetStream (docs/design.md §5)."""

from services.core.bus.buckets import TOGETHER
from services.core.bus.connection import Bus, connect, connect_by
from services.core.bus.messages import Message, StreamState

__all__ = ["TOGETHER", "Bus", "Message", "StreamState", "connect", "connect_by"]
