"""What a new version of a register must keep of the old one (DESIGN.md, The register directory). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from services.core.errors import Fault
from services.core.model import Register
from services.register.findings import Findings, Place
from services.register.text import fold

__all__ = ["against"]

_Identities = dict[str, tuple[str, ...]]


def against(new: Register, places: Mapping[tuple[str, str], Place], old: Register) -> tuple[Fault, ...]:
    """Return the faults of ``new`` as the successor of ``old``; ``places`` are those of ``new`` (load.Reading).

    A link's (service, provider, data_item) never change. No id is used again for something else: an agency, a service
    or an endpoint of which nothing is the same but the id. A change of slot_seconds needs a later epoch.
    """
    findings = Findings()
    _check_links(new, places, old, findings)
    now, before = _identities(new), _identities(old)
    for section, identities in now.items():
        for name in identities.keys() & before[section].keys():
            if _nothing_same(identities[name], before[section][name]):
                reason = f"id: `{name}` was the id of something else: ids are never used again"
                findings.add(places[section, name], reason)
    old_slot, new_slot = old.policy.slot_seconds, new.policy.slot_seconds
    if new_slot != old_slot and new.policy.epoch <= old.policy.epoch:
        reason = f"slot_seconds: a change from {old_slot} to {new_slot} needs a later epoch"
        findings.add(places["policy", "slot_seconds"], reason)
    return tuple(sorted(findings.faults))


def _check_links(new: Register, places: Mapping[tuple[str, str], Place], old: Register, findings: Findings) -> None:
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
