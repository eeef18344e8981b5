"""Decides when each target is probed, and by which of the probers of a vantage (docs/probing.md §5)."""

from services.prober.scheduling.membership import HEARTBEAT_SECONDS, Membership, MembershipChange
from services.prober.scheduling.rendezvous import Rendezvous, Share
from services.prober.scheduling.schedule import Launch, Schedule, ScheduleEntry

__all__ = [
    "HEARTBEAT_SECONDS",
    "Launch",
    "Membership",
    "MembershipChange",
    "Rendezvous",
    "Schedule",
    "ScheduleEntry",
    "Share",
]
