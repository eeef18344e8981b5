"""Checks a new version of a register as the successor of an old one (docs/register.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from services.core.days import utc_minute
from services.core.errors import Fault
from services.core.model import Agency, Endpoint, Link, Policy, Register, Service
from services.core.texts import fold
from services.register.faults import FaultList, Location

E = TypeVar("E", Agency, Service, Link, Endpoint)
_Identities = dict[str, tuple[str, ...]]


def check_succession(new: Register, locations: Mapping[tuple[str, str], Location], old: Register) -> tuple[Fault, ...]:
    """Return the faults of ``new`` as the successor of ``old``; ``locations`` are those of ``new``.

    A link's service, provider and data_item never change. An id is never reused for another agency, service or
    endpoint, which is one that has only the id in common. A change of slot_seconds or timezone needs a later epoch. An
    epoch never becomes earlier, because the bus no longer holds what lies before it.
    """
    faults = FaultList()
    _check_links(new, locations, old, faults)
    before = _identities(old)
    for section, identities in _identities(new).items():
        for name in identities.keys() & before[section].keys():
            pairs = zip(identities[name], before[section][name], strict=True)
            if all(fold(now) != fold(then) for now, then in pairs if now or then):
                reason = f"id: `{name}` was the id of something else: ids are never used again"
                faults.add(locations[section, name], reason)
    _check_calendar(new.policy, locations, old.policy, faults)
    return tuple(sorted(faults))


def check_return(
    new: Register, locations: Mapping[tuple[str, str], Location], old: Register, *, left: float, held_from: float
) -> tuple[Fault, ...]:
    """Return the faults of ``new``, which was in force until ``left``, as the successor of ``old`` with another calendar.

    The scorer continues from the evidence that it had by then, so the bus must hold all measurements since then, or since
    the epoch. It holds those since ``held_from``. Both are in epoch seconds.
    """
    faults = FaultList()
    epoch, old_epoch = new.policy.epoch.timestamp(), old.policy.epoch.timestamp()
    if max(left, epoch) < held_from:
        todo = f"{utc_minute(old_epoch)}, the epoch in force"
        if any(getattr(new.policy, part) != getattr(old.policy, part) for part in ("slot_seconds", "timezone")):
            todo = f"one after {utc_minute(max(old_epoch, held_from))}"
        reason = (
            f"epoch: since {utc_minute(left)} registers with another epoch, slot length or timezone "
            f"were in force, and the bus no longer holds all measurements since then: set {todo}"
        )
        faults.add(locations["policy", "epoch"], reason)
    return tuple(faults)


def with_removed(register: Register, removed: Register) -> Register:
    """Return a register with the agencies, services, links and endpoints that only ``removed`` has, by their ids.

    A successor may use their ids for nothing else either.
    """
    return replace(
        register,
        agencies={**removed.agencies, **register.agencies},
        services={**removed.services, **register.services},
        links={**removed.links, **register.links},
        endpoints={**removed.endpoints, **register.endpoints},
    )


def removed_rows(new: Register, old: Register, removed: Register | None) -> Register:
    """Return what ``new`` removes from ``old`` and what was ``removed`` before, as a register with nothing else.

    ``removed`` may also be the register before ``old``.
    """
    earlier = removed or old
    return Register(
        agencies=_removed(new.agencies, old.agencies, earlier.agencies),
        services=_removed(new.services, old.services, earlier.services),
        links=_removed(new.links, old.links, earlier.links),
        endpoints=_removed(new.endpoints, old.endpoints, earlier.endpoints),
        probes={},
        policy=earlier.policy,
    )


def _removed(new: Mapping[str, E], old: Mapping[str, E], earlier: Mapping[str, E]) -> dict[str, E]:
    gone = {name: row for name, row in earlier.items() if name not in old}
    return gone | {name: row for name, row in old.items() if name not in new}


def _check_calendar(new: Policy, locations: Mapping[tuple[str, str], Location], old: Policy, faults: FaultList) -> None:
    if new.epoch <= old.epoch:
        for part in ("slot_seconds", "timezone"):
            before, now = getattr(old, part), getattr(new, part)
            if before != now:
                faults.add(locations["policy", part], f"{part}: a change from {before} to {now} needs a later epoch")
    if new.epoch < old.epoch and new.timezone == old.timezone:
        then, now = (utc_minute(policy.epoch.timestamp()) for policy in (old, new))
        reason = f"epoch: {now} is before {then}, from which on the index counts"
        faults.add(locations["policy", "epoch"], reason)


def _check_links(
    new: Register, locations: Mapping[tuple[str, str], Location], old: Register, faults: FaultList
) -> None:
    for name in new.links.keys() & old.links.keys():
        now, before = new.links[name], old.links[name]
        changes = [
            f"{part} from `{getattr(before, part)}` to `{getattr(now, part)}`"
            for part in ("service", "provider", "data_item")
            if getattr(before, part) != getattr(now, part)
        ]
        if changes:
            reason = f"id: link `{name}` changes {', '.join(changes)}: end it and give the new link another id"
            faults.add(locations["links", name], reason)


def _identities(register: Register) -> dict[str, _Identities]:
    """Return, by section and id, the fields that identify an entity."""
    return {
        "agencies": {each.id: (each.name_en, each.name_fa, each.sector) for each in register.agencies.values()},
        "services": {each.id: (each.name_en, each.name_fa, each.agency) for each in register.services.values()},
        "endpoints": {each.id: (each.agency, each.service or "", each.target) for each in register.endpoints.values()},
    }
