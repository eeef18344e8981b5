"""Names the states of objections and the kinds of announcements, which messages have as numbers."""

from __future__ import annotations

from typing import Final

from peyvand.v1 import register_pb2
from services.core.model import AnnouncementKind, ObjectionState

OBJECTION_STATES: Final[dict[int, str]] = {
    register_pb2.ObjectionState.Value(f"OBJECTION_STATE_{state.name}"): state.name.lower() for state in ObjectionState
}
"""The label of each state; a newer api may send others."""

ANNOUNCEMENT_KINDS: Final[dict[int, str]] = {
    register_pb2.AnnouncementKind.Value(f"ANNOUNCEMENT_KIND_{kind.name}"): kind.name.lower()
    for kind in AnnouncementKind
}
"""The label of each kind; a newer api may send others."""
