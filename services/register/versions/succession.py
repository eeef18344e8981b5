"""What a new version of a register must keep of the old one (docs/register.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from services.core.errors import Fault
from services.core.model import Policy, Register
from services.register.reading import FaultList, Location, fold

__all__ = ["check_succession"]

_Identities = dict[str, tuple[str, ...]]


def check_succession(new: Register, places: Mapping[tuple[str, str], Location], old: Register) -> tuple[Fault, ...]:
    """Return the faults of ``new`` as the successor of ``old``; ``places`` are those of ``new`` (load.Reading).

    A link's (service, provider, data_item) never change. No id is used again for something else: an agency, a service
    or an endpoint of which nothing is the same but the id. Another calendar, in slot_seconds or timezone, needs a later
    epoch, and an epoch never becomes an earlier one: what lies before it is not on the bus any more.
    """
    findings = FaultList()
    _check_links(new, places, old, findings)
    now, before = _identities(new), _identities(old)
    for section, identities in now.items():
        for name in identities.keys() & before[section].keys():
            if _nothing_same(identities[name], before[section][name]):
                reason = f"id: `{name}` was the id of something else: ids are never used again"
                findings.add(places[section, name], reason)
    _check_calendar(new.policy, places, old.policy, findings)
    return tuple(sorted(findings.faults))


def _check_calendar(new: Policy, places: Mapping[tuple[str, str], Location], old: Policy, findings: FaultList) -> None:
    if new.epoch <= old.epoch:
        for part in ("slot_seconds", "timezone"):
            before, now = getattr(old, part), getattr(new, part)
            if before != now:
                findings.add(places["policy", part], f"{part}: a change from {before} to {now} needs a later epoch")
    if new.epoch < old.epoch and new.timezone == old.timezone:
        before, now = (f"{policy.epoch:%Y-%m-%d %H:%M}" for policy in (old, new))
        reason = f"epoch: {now} UTC is before {before} UTC, from which on the index counts"
        findings.add(places["policy", "epoch"], reason)


def _check_links(new: Register, places: Mapping[tuple[str, str], Location], old: Register, findings: FaultList) -> None:
    for name in new.links.keys() & old.links.keys():
        now, before = new.links[name], old.links[name]
        changes = [
            f"{part} from `{getattr(before, part)}` to `{getattr(now, part)}`"
            for part in ("service", "provider", "data_item")
            if getattr(before, part) != getattr(now, part)
        ]
        if changes:
            reason = f"id: link `{name}` changes {', '.join(changes)}: end it and give the new link another id"
            findings.add(places["links", name], reason)


def _identities(register: Register) -> dict[str, _Identities]:
    """By section and id, what makes a thing this thing and not another."""
    return {
        "agencies": {it.id: (it.name_en, it.name_fa, it.sector) for it in register.agencies.values()},
        "services": {it.id: (it.name_en, it.name_fa, it.agency) for it in register.services.values()},
        "endpoints": {it.id: (it.agency, it.service or "", it.target) for it in register.endpoints.values()},
    }


def _nothing_same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all(fold(a) != fold(b) for a, b in zip(one, other, strict=True) if a or b)
