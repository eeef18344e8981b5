"""The members and subsystems that X-Road lists, beside the members.csv of a register (docs/exchange.md §2). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.core.model import Member
from services.register.discovery.xroad_lists import XRoadDirectory

__all__ = ["MembersDiff", "compare_members"]


@dataclass(frozen=True, slots=True)
class MembersDiff:
    """How they differ, each by identifier: ``added`` is listed and without a row, ``removed`` are rows of what is not listed
    any more. ``apart`` are rows of instances whose clients no list names, of which nothing can be said.
    """

    added: tuple[str, ...]
    removed: tuple[Member, ...]
    apart: tuple[Member, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        return {
            "members": {"added": list(self.added), "removed": [member.id for member in self.removed]},
            "not_compared": [member.id for member in self.apart],
        }

    def lines(self) -> Iterator[str]:
        """Yield the difference for people, a line each: ``+`` listed and not in members.csv, ``-`` the other way round."""
        yield f"members: {len(self.added)} listed without a row, {len(self.removed)} rows of what is not listed any more"
        yield from (f"  + {name}" for name in self.added)
        yield from (f"  - {member.id}: {member.agency}" for member in self.removed)
        if self.apart:
            instances = ", ".join(sorted({_instance(member.id) for member in self.apart}))
            yield f"not compared: {len(self.apart)} rows of {instances}, of which no clients are listed"


def compare_members(directory: XRoadDirectory, members: Sequence[Member]) -> MembersDiff:
    """Hold members.csv against what is listed. A subsystem has a row when its member has one, and a member when a subsystem
    of it has one, since those are told apart.
    """
    rows = {member.id for member in members}
    beneath = {_member(name) for name in rows}
    listed = set(directory.members)
    added = listed - beneath
    for member, subsystems in directory.subsystems.items():
        names = {f"{member}/{subsystem}" for subsystem in subsystems}
        listed |= names
        if member not in rows:
            added |= names - rows
    known = [member for member in members if _instance(member.id) in directory.instances]
    return MembersDiff(
        added=tuple(sorted(added)),
        removed=tuple(member for member in known if member.id not in listed),
        apart=tuple(member for member in members if _instance(member.id) not in directory.instances),
    )


def _member(identifier: str) -> str:
    return "/".join(identifier.split("/")[:3])


def _instance(identifier: str) -> str:
    return identifier.partition("/")[0]
