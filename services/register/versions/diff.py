"""Compares two versions of a register, which shows a shrinking denominator (docs/method.md §10). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.core.canonical_json import canonical_json
from services.core.model import Register
from services.core.texts import plural
from services.register.versions.rows import to_rows

_KEYS = {"probes": "name", "reviews": "finding"}
_ROW_SECTIONS = ("members", "routes", "maintenance", "objections", "holidays")


@dataclass(frozen=True, slots=True)
class Denominator:
    """Counts of what is required: links, absent links, the services that need links, and all agencies."""

    links: int
    absent: int
    services: int
    agencies: int

    def __str__(self) -> str:
        agencies = plural(self.agencies, "agency", "agencies")
        return (
            f"{plural(self.links, 'link')} ({self.absent:,} absent) of {plural(self.services, 'service')}, {agencies}"
        )


@dataclass(frozen=True, slots=True)
class SectionChanges:
    """Ids added and removed and, for ids in both versions, the fields that changed, as (old, new)."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, Mapping[str, tuple[Any, Any]]]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class RegisterDiff:
    """All differences, by section in the order of to_rows; versions and denominators as (old, new)."""

    register_version: tuple[str, str]
    probe_version: tuple[str, str]
    denominator: tuple[Denominator, Denominator]
    sections: Mapping[str, SectionChanges]

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        before, after = self.denominator
        return {
            "register_version": _pair(*self.register_version),
            "probe_version": _pair(*self.probe_version),
            "denominator": {part: _pair(getattr(before, part), getattr(after, part)) for part in Denominator.__slots__},
            **{
                section: {
                    "added": list(changes.added),
                    "removed": list(changes.removed),
                    "changed": {
                        name: {field: _pair(*values) for field, values in fields.items()}
                        for name, fields in changes.changed.items()
                    },
                }
                for section, changes in self.sections.items()
            },
        }

    def lines(self) -> Iterator[str]:
        """Yield the differences as lines of text: ``+`` added, ``-`` removed, ``~`` changed."""
        before, after = self.denominator
        if before == after:
            yield f"denominator: {after}, the same size"
        else:
            yield f"denominator: {before} -> {after}"
        for name, (old, new) in (("register_version", self.register_version), ("probe_version", self.probe_version)):
            yield f"{name}: {new}, unchanged" if old == new else f"{name}: {old} -> {new}"
        for section, changes in self.sections.items():
            if changes:
                counts = f"{len(changes.added)} added, {len(changes.removed)} removed, {len(changes.changed)} changed"
                yield f"{section}: {counts}"
                yield from _section_lines(changes)


def diff_registers(old: Register, new: Register) -> RegisterDiff:
    """Return the differences between two registers, both with their versions computed."""
    before, after = _keyed(old), _keyed(new)
    return RegisterDiff(
        register_version=(old.register_version, new.register_version),
        probe_version=(old.probe_version, new.probe_version),
        denominator=(_denominator(old), _denominator(new)),
        sections={section: _changes(before[section], after[section]) for section in before},
    )


def _denominator(register: Register) -> Denominator:
    links = register.links.values()
    return Denominator(
        links=len(links),
        absent=sum(link.absent for link in links),
        services=len({link.service for link in links}),
        agencies=len(register.agencies),
    )


def _keyed(register: Register) -> dict[str, dict[str, dict[str, Any]]]:
    """Return rows by section and id; a row without an id is its own key, and the policy has one row."""
    keyed: dict[str, dict[str, dict[str, Any]]] = {}
    for section, rows in to_rows(register, portable=True, whole=True).items():
        if section in _ROW_SECTIONS:
            keyed[section] = {canonical_json(row).decode(): row for row in rows}
        elif section == "policy":
            keyed[section] = {"policy": rows[0]}
        elif section == "evaluation":
            keyed[section] = {name: row for evaluation in rows for name, row in _evaluation_rows(evaluation)}
        else:
            keyed[section] = {row[_KEYS.get(section, "id")]: row for row in rows}
    return keyed


def _evaluation_rows(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the official rounds one by one, so that a new round is not reported as another evaluation."""
    yield "model", {key: value for key, value in row.items() if key != "rounds"}
    yield from ((f"round {result['round']}", result) for result in row["rounds"])


def _changes(before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> SectionChanges:
    changed = {
        name: {
            field: (before[name][field], value) for field, value in after[name].items() if before[name][field] != value
        }
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    }
    return SectionChanges(
        tuple(sorted(after.keys() - before.keys())), tuple(sorted(before.keys() - after.keys())), changed
    )


def _section_lines(changes: SectionChanges) -> Iterator[str]:
    yield from (f"  + {name}" for name in changes.added)
    yield from (f"  - {name}" for name in changes.removed)
    for name, fields in changes.changed.items():
        yield f"  ~ {name}: " + ", ".join(
            f"{field} {_shown(old)} -> {_shown(new)}" for field, (old, new) in fields.items()
        )


def _shown(value: Any) -> str:
    return canonical_json(value).decode()


def _pair(old: Any, new: Any) -> dict[str, Any]:
    return {"old": old, "new": new}
