"""The message bus: one NATS server or cluster with JetStream (DESIGN.md, Contracts)."""

from services.core.bus.connection import Bus, Message, StreamState, connect

__all__ = ["Bus", "Message", "StreamState", "connect"]
