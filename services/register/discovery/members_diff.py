"""Compares the members that X-Road lists with members.csv (docs/exchange.md §2). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.core.model import Member, member_of
from services.register.discovery.xroad_lists import XRoadDirectory


@dataclass(frozen=True, slots=True)
class MembersDiff:
    """The differences by identifier: ``added`` are listed without a row, ``removed`` are rows that are no longer listed.

    ``not_compared`` are rows of instances whose clients no list names.
    """

    added: tuple[str, ...]
    removed: tuple[Member, ...]
    not_compared: tuple[Member, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        return {
            "members": {"added": list(self.added), "removed": [member.id for member in self.removed]},
            "not_compared": [member.id for member in self.not_compared],
        }

    def lines(self) -> Iterator[str]:
        """Yield the differences as lines of text: ``+`` is listed but not in members.csv, ``-`` the other way round."""
        yield f"members: {len(self.added)} listed without a row, {len(self.removed)} rows of what is not listed any more"
        yield from (f"  + {name}" for name in self.added)
        yield from (f"  - {member.id}: {member.agency}" for member in self.removed)
        if self.not_compared:
            instances = ", ".join(sorted({_instance(member.id) for member in self.not_compared}))
            yield f"not compared: {len(self.not_compared)} rows of {instances}, whose clients are not listed"


def compare_members(directory: XRoadDirectory, members: Sequence[Member]) -> MembersDiff:
    """Compare members.csv with the lists.

    A row of a member also covers its subsystems, and a row of a subsystem also covers its member.
    """
    rows = {member.id for member in members}
    members_with_rows = {member_of(name) for name in rows}
    listed = set(directory.members)
    added = listed - members_with_rows
    for member, subsystems in directory.subsystems.items():
        names = {f"{member}/{subsystem}" for subsystem in subsystems}
        listed |= names
        if member not in rows:
            added |= names - rows
    compared = [member for member in members if _instance(member.id) in directory.instances]
    return MembersDiff(
        added=tuple(sorted(added)),
        removed=tuple(member for member in compared if member.id not in listed),
        not_compared=tuple(member for member in members if _instance(member.id) not in directory.instances),
    )


def _instance(identifier: str) -> str:
    return identifier.partition("/")[0]
